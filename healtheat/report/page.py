"""The page of a report: one HTML text with everything in it, escaped by the template engine."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from healtheat.errors import InputError
from healtheat.export.table import replacing
from healtheat.export.target import Places
from healtheat.index import Index
from healtheat.progress import Progress, silent
from healtheat.report.facts import PER_ISSUE, Facts, collect
from healtheat.report.map import SHAPES
from healtheat.report.worst import fit
from healtheat.review.pages import ISSUE_WORDS
from healtheat.signals.trust import VERDICTS

DEFAULT_LIMIT_BYTES = 10 << 20
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_TAG_BYTES = 400  # around one picture: its tag and the text that stands for it
_SLACK_BYTES = 8 << 10


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it."""

    flags: int
    size_bytes: int
    pictures_left_out: int


def write_report(
    index: Index,
    to: Path,
    *,
    title: str,
    limit_bytes: int = DEFAULT_LIMIT_BYTES,
    per_issue: int = PER_ISSUE,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write the report to the file `to`, whole or not at all, at most `limit_bytes` long.

    Pictures that do not fit are left out, and the page says how many. Raises InputError if `to` is there and
    `overwrite` is false, if it is or lies among what must be kept (the data set, an index), or if the text
    alone is longer than the limit.
    """
    Places.of(index).check_file(to, overwrite=overwrite)
    facts = collect(index, title=title, per_issue=per_issue, progress=progress)
    text, lost = bounded(facts, limit_bytes)
    data = text.encode("utf-8", "replace")  # a lone surrogate in a name must not cost the report
    with replacing(to) as staged:
        staged.write_bytes(data)
    return Written(facts.counts["flags"], len(data), lost)


def bounded(facts: Facts, limit_bytes: int) -> tuple[str, int]:
    """The page in at most `limit_bytes` of UTF-8, and how many pictures had to be left out."""
    bare = deepcopy(dict(facts.worst))
    _, every = fit(bare, -1)
    text_bytes = _length(render(facts, worst=bare))
    budget = limit_bytes - text_bytes - _SLACK_BYTES - every * _TAG_BYTES
    kept = deepcopy(dict(facts.worst))
    _, lost = fit(kept, budget)
    text = render(facts, worst=kept, left_out=lost, limit_bytes=limit_bytes)
    if _length(text) > limit_bytes:
        kept, lost = bare, every
        text = render(facts, worst=bare, left_out=every, limit_bytes=limit_bytes)
    if _length(text) > limit_bytes:
        raise InputError(
            f"the report is {_length(text) / (1 << 20):.1f} MiB long without photos; raise --max-mb or lower "
            "--per-issue"
        )
    return text, lost


def render(
    facts: Facts, *, worst: object = None, left_out: int = 0, limit_bytes: int = DEFAULT_LIMIT_BYTES
) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda value: f"{100 * value:.0f} %",
        score=lambda value: "–" if value is None else f"{value:.2f}",
        count=lambda value: f"{value:,}",
    )
    return environment.get_template("report.html").render(
        facts=facts,
        worst=facts.worst if worst is None else worst,
        left_out=left_out,
        limit_mib=limit_bytes / (1 << 20),
        issue_words=ISSUE_WORDS,
        trust_words=VERDICTS,
        shapes=SHAPES,
    )


def _length(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
