"""Templates and the words and numbers in them. Every value is escaped; no template switches that off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from healtheat.review.stats import FEWEST_WINDOW

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"

ISSUE_WORDS: Mapping[str, tuple[str, str]] = {
    "all": ("All issues", "every finding, the most suspicious box first"),
    "mislabel": ("Wrong class", "looks like another class than its label says"),
    "outlier": ("Outlier", "looks unlike the rest of its class"),
    "background": ("Background", "may hold no object at all"),
    "bad_box": ("Bad box", "of an odd size, shape or place"),
    "duplicate": ("Duplicate", "the same pill boxed twice, or the same picture again"),
    "missing_box": ("Missing box", "the photo should show a class that no box has"),
    "unexpected_class": ("Unexpected class", "not on the list of what the photo shows"),
    "low_quality": ("Low quality", "too dark, blurred or flat to be sure"),
    "unreadable": ("Unreadable", "a line or file that could not be read"),
}
VERDICT_WORDS: Mapping[str, str] = {
    "ok": "the label is right: do not show it again",
    "drop": "leave this box out of training",
    "relabel": "another class is right: goes on a list, the file stays",
    "unsure": "somebody else should look",
}
# What a verdict says of a finding about a whole photo; by issue, "photo" for all others.
_OUT = "leave the photo out: apply takes the photo and its label file out, with every box on it"
_NO_BOX = "not here, for no box could get another class"
PHOTO_WORDS: Mapping[str, Mapping[str, str]] = {
    "missing_box": {
        "ok": "no box is missing",
        "drop": _OUT,
        "relabel": _NO_BOX + "; to keep the photo, draw the box in the annotation tool",
        "unsure": VERDICT_WORDS["unsure"],
    },
    "unreadable": {
        "ok": "it does not matter: do not show it again",
        "drop": _OUT,
        "relabel": _NO_BOX + "; mend the file in the annotation tool",
        "unsure": VERDICT_WORDS["unsure"],
    },
    "photo": {
        "ok": "the photo is right: do not show it again",
        "drop": _OUT,
        "relabel": _NO_BOX,
        "unsure": VERDICT_WORDS["unsure"],
    },
}
KEYS: tuple[tuple[str, str], ...] = (
    ("o", "ok: the label is right"),
    ("d", "drop: leave the box out; of a finding about a whole photo, the photo with its label file"),
    ("r", "relabel: say which class it is (a box only)"),
    ("u", "unsure"),
    ("→ or j", "next sample"),
    ("← or k", "sample before"),
    ("z", "take back my last verdict"),
    ("f", "the photo as large as the screen; Esc closes it"),
    ("Enter", "open the sample (in the grid)"),
    ("g", "to the grid"),
    ("?", "show or hide these keys"),
)


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\u00a0%"  # never a line end between them


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _count(value: int) -> str:
    return f"{value:,}"


class Pages:
    """Renders templates of this package. `asset_version` changes with the content of the static files."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(percent=_percent, score=_score, count=_count)
        self._environment.globals.update(
            issue_words=ISSUE_WORDS,
            verdict_words=VERDICT_WORDS,
            photo_words=PHOTO_WORDS,
            keys=KEYS,
            fewest_window=FEWEST_WINDOW,
        )

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """HTML text."""
        return self._environment.get_template(template).render(context)
