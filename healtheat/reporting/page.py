"""The page of a report: one HTML text with everything in it, escaped by the template engine."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from healtheat.core.atomic import write_file
from healtheat.core.errors import Argument, InputError
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted, on_page
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.reporting.facts import PER_ISSUE, ReportFacts, collect
from healtheat.reporting.map import SHAPES
from healtheat.reporting.worst import keep, pictures
from healtheat.signals.evidence.trust import VERDICTS
from healtheat.view.words import ISSUE_WORDS

DEFAULT_LIMIT_BYTES = 10 << 20
_TEMPLATES = Path(__file__).resolve().parent / "templates"


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
    write_file(to, data)
    return Written(facts.counts["places flagged"], len(data), lost)


def bounded(facts: ReportFacts, limit_bytes: int) -> tuple[str, int]:
    """The page in at most `limit_bytes` of UTF-8, and how many pictures had to be left out."""
    sizes = list(accumulate(map(len, pictures(facts.worst)), initial=0))
    every = len(sizes) - 1

    def page(count: int) -> str:
        kept = keep(facts.worst, count)
        return render(facts, worst=kept, left_out=every - count, limit_bytes=limit_bytes)

    most = bisect_right(sizes, limit_bytes) - 1  # pictures that would fit without any text
    text = page(most)
    if _length(text) <= limit_bytes:
        return text, every - most
    # What goes around a picture depends on names: no sum foretells it, so the page itself is measured.
    count = bisect_right(range(most), limit_bytes, key=lambda count: _length(page(count))) - 1
    text = page(max(count, 0))
    if count < 0:
        raise InputError(
            f"the report is {_length(text) / (1 << 20):.1f} MiB long without images; raise ",
            Argument("max_mb"),
            " or lower ",
            Argument("per_issue"),
        )
    return text, every - count


def render(
    facts: ReportFacts, *, worst: object = None, left_out: int = 0, limit_bytes: int = DEFAULT_LIMIT_BYTES
) -> str:
    """The page as text."""
    return _template().render(
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


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=on_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda value: f"{100 * value:.0f} %",
        score=lambda value: "–" if value is None else f"{value:.2f}",
        count=lambda value: f"{value:,}",
        counted=partial(counted, spec=","),
    )
    return environment.get_template("report.html")
