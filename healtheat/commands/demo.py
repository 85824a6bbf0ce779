"""`healtheat demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat.commands._terminal import console, one_line, progress_bar

if TYPE_CHECKING:
    import pyarrow as pa

    from healtheat.drawing import DemoSet
    from healtheat.index import Index

SHEET_CELLS = 20
SHEET_A_QUEUE = 5


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the generated data set is written.")
    ] = Path("data/demo"),
    index: Annotated[Path, typer.Option("--index", metavar="DIR", help="Where its index is built.")] = Path(
        "index/demo"
    ),
    lists: Annotated[
        Path, typer.Option("--lists", metavar="DIR", help="Where the cleanup lists are written.")
    ] = Path("data/demo-lists"),
    photos: Annotated[int, typer.Option("--photos", metavar="N", help="How many photos to draw.")] = 300,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, other photos.")] = 0,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="See `healtheat encoders`.")
    ] = "default",
) -> None:
    """Do the whole job on generated photos with known errors.

    Draws photos with YOLO labels and planted errors, builds the index, lists what is suspicious, writes the
    cleanup lists and a picture, and compares what was found with what was planted.

    \b
    Examples:
      healtheat demo
      healtheat demo --photos 60 --seed 7
    """
    from healtheat.building.build import build
    from healtheat.drawing import make_demo
    from healtheat.embedding import load_encoder
    from healtheat.index import Index
    from healtheat.sources import open_source

    started = time.perf_counter()
    with progress_bar() as progress:
        made = make_demo(out, seed=seed, photos=photos, progress=progress)
        report = build(open_source(made.data_yaml), index, encoder=load_encoder(encoder), progress=progress)
    typer.echo(f"{made.photos} photos, {made.boxes} boxes, {len(made.truth)} planted errors in {out}")
    typer.echo(f"{report.boxes} boxes indexed in {index}, {len(report.problems)} problems")
    with Index.open(index, verify=False) as opened:
        written = _write_lists(opened, made, lists)
    typer.echo("")
    for path, what in written:
        typer.echo(f"{path.as_posix():<32} {what}")
    typer.echo(
        f"done in {time.perf_counter() - started:.0f} s; next: healtheat query --index {index.as_posix()}"
    )


def _write_lists(index: Index, made: DemoSet, to: Path) -> list[tuple[Path, str]]:
    from healtheat.core.table import write_table
    from healtheat.drawing.sheet import contact_sheet
    from healtheat.exporting.yolo import deciding, plan_cleanup
    from healtheat.exporting.yolo_write import write_cleanup
    from healtheat.findings.query import Filters, query
    from healtheat.index.target import Places

    places = Places.of(index)
    for name in ("suspicious.csv", "every-box.csv", "suspicious.png"):
        places.check_file(to / name, overwrite=True)
    every = query(index, Filters(flagged_only=False))
    flagged = query(index)
    _print_comparison(every, made)
    write_table(flagged, to / "suspicious.csv", "csv", overwrite=True)
    write_table(every, to / "every-box.csv", "csv", overwrite=True)
    plan = plan_cleanup(index, deciding(index, Filters()))
    write_cleanup(plan, to / "yolo", overwrite=True)
    kept = f"{len(plan.kept)} of {len(plan.photos)} photos to train on, and what was left out and why"
    sheet = contact_sheet(made.root, _worst_of_each(flagged), to / "suspicious.png", names=index.names)
    return [
        (to / "suspicious.csv", f"{flagged.num_rows} findings, most suspicious first"),
        (to / "every-box.csv", f"{every.num_rows} rows: every box and every issue it was judged for"),
        (to / "yolo", kept),
        (sheet, "a picture of the most suspicious of each issue"),
        (made.truth_csv, "what was planted"),
    ]


def _print_comparison(every: pa.Table, made: DemoSet) -> None:
    from rich.table import Table

    from healtheat.drawing import summary_rows

    (head, *rows), alarms = summary_rows(every, made.truth)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if 0 < number < len(head) - 1 else "left")
    for row in rows:
        table.add_row(*row)
    console().print(table)
    typer.echo(one_line(alarms))


def _worst_of_each(flagged: pa.Table) -> list[dict[str, object]]:
    """The first few findings of each issue, so that the picture shows every kind."""
    seen: dict[str, int] = {}
    rows = []
    for row in flagged.to_pylist():
        seen[row["issue"]] = seen.get(row["issue"], 0) + 1
        if seen[row["issue"]] <= SHEET_A_QUEUE:
            rows.append(row)
    return sorted(rows, key=lambda row: row["issue"])[:SHEET_CELLS]
