"""The whole job on a generated set: draw, build, list, compare with what was planted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from healtheat.building.auto import Auto
from healtheat.building.build import BuildReport, build
from healtheat.cleanup import Figures
from healtheat.core.progress import Progress, silent
from healtheat.drawing.compare import summary_rows
from healtheat.drawing.make import DemoSet, make_demo
from healtheat.drawing.sheet import contact_sheet
from healtheat.embedding import Encoder
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.findings.query import query
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.sources import open_source

SHEET_CELLS = 20
SHEET_PER_ISSUE = 5


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What a demo made: the drawn set, its build, and the lists it wrote.

    `comparison`: a header and one row per kind of planted error that occurs, for people; `alarms` says how
    many flags are false. `written`: file or folder → what is in it; `cleanup`: what goes from the lists.
    """

    made: DemoSet
    build: BuildReport
    comparison: tuple[tuple[str, ...], ...]
    alarms: str
    written: dict[Path, str]
    cleanup: Figures
    seconds: float


def demo(
    out: Path,
    index: Path,
    lists: Path,
    *,
    encoder: Encoder | Auto,
    images: int,
    seed: int,
    progress: Progress = silent,
) -> DemoReport:
    """Draw a set in `out`, build `index` of it, and write the cleanup lists and a picture into `lists`.

    Raises InputError where one of the folders holds something else.
    """
    started = time.perf_counter()
    made = make_demo(out, seed=seed, images=images, progress=progress)
    report = build(open_source(made.data_yaml), index, encoder=encoder, progress=progress)
    with Index.open(index, verify=False) as opened:
        places = Places.of(opened)
        for name in ("suspicious.csv", "every-box.csv", "suspicious.png"):
            places.check_file(lists / name, overwrite=True)
        every, flagged = query(opened, Filters(flagged_only=False)), query(opened)
        comparison, alarms = summary_rows(every, made.truth)
        written, figures = _write_lists(opened, made, every, flagged, lists)
    seconds = time.perf_counter() - started
    return DemoReport(made, report, tuple(comparison), alarms, written, figures, seconds)


def _write_lists(
    index: Index, made: DemoSet, every: pa.Table, flagged: pa.Table, to: Path
) -> tuple[dict[Path, str], Figures]:
    listed = export(index, to / "suspicious.csv", overwrite=True).findings
    export(index, to / "every-box.csv", filters=Filters(flagged_only=False), overwrite=True)
    figures = export(index, to / "yolo", "yolo").cleanup  # a dry run
    assert figures is not None
    if not figures.emptied_splits:
        export(index, to / "yolo", "yolo", max_share=1, write=True, overwrite=True)
    images, of = figures.images_kept
    kept = f"{images} of {of} images to train on, and what was left out and why"
    sheet = contact_sheet(made.root, _worst_of_each(flagged), to / "suspicious.png", names=index.names)
    written = {
        to / "suspicious.csv": f"{listed} findings, most suspicious first",
        to / "every-box.csv": f"{every.num_rows} rows: every box and every issue it was judged for",
        **({} if figures.emptied_splits else {to / "yolo": kept}),
        sheet: "a picture of the most suspicious of each issue",
        made.truth_csv: "what was planted",
    }
    return written, figures


def _worst_of_each(flagged: pa.Table) -> list[dict[str, object]]:
    """The first few findings of each issue, so that the picture shows every kind."""
    seen: dict[str, int] = {}
    rows = []
    for row in flagged.to_pylist():
        seen[row["issue"]] = seen.get(row["issue"], 0) + 1
        if seen[row["issue"]] <= SHEET_PER_ISSUE:
            rows.append(row)
    return sorted(rows, key=lambda row: row["issue"])[:SHEET_CELLS]
