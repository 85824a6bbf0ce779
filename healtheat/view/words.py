"""What issues, verdicts and keys are called on pages and in reports."""

from __future__ import annotations

from collections.abc import Mapping

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
