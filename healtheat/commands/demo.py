"""`healtheat demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._cleanup import what_goes
from healtheat.commands._terminal import console, echo, progress_bar, report_of
from healtheat.core.drop import MAX_SHARE
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.cleanup import Figures
    from healtheat.drawing.run import DemoReport


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
    images: Annotated[int, typer.Option("--images", metavar="N", help="How many images to draw.")] = 300,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, other images.")] = 0,
    encoder: options.EncoderOption = "auto",
) -> None:
    """Do the whole job on generated images with known errors.

    Draws images with YOLO labels and planted errors, builds the index, lists what is suspicious, writes the
    cleanup lists and a picture, and compares what was found with what was planted.

    \b
    Examples:
      healtheat demo
      healtheat demo --images 60 --seed 7
    """
    with progress_bar() as progress:
        report = api.demo(
            out=out, index=index, lists=lists, images=images, seed=seed, encoder=encoder, progress=progress
        )
    with report_of("all is written all the same"):
        _tell(report, out, index)


def _tell(report: DemoReport, out: Path, index: Path) -> None:
    made = report.made
    drawn = f"{counted(made.images, 'image')}, {counted(made.boxes, 'box')}"
    echo(f"{drawn}, {counted(len(made.truth), 'planted error')} in {out}")
    indexed = f"{counted(report.build.boxes, 'box')} indexed in {index}"
    echo(f"{indexed}, {counted(len(report.build.problems), 'problem')}")
    if report.build.choice:
        echo(str(report.build.choice))
    _print_comparison(report)
    echo("")
    for path, what in report.written.items():
        echo(f"{path.as_posix():<32} {what}")
    _print_share(report.cleanup)
    echo(f"done in {report.seconds:.0f} s; next: healtheat query --index {index.as_posix()}")


def _print_share(figures: Figures) -> None:
    """Which share the lists leave out, and what would allow that on the user's own data."""
    if figures.emptied_splits:
        empty = " and of ".join(figures.emptied_splits)
        echo(f"no lists to train on: no image of {empty} would be left; draw more --images")
        return
    echo(f"left out of the lists: {what_goes(figures)}")
    if figures.too_much():
        here = f"more than {MAX_SHARE:.0%} goes, which is written here because the errors are planted"
        echo(f"{here}; on your own data `export --write` and `apply` ask for --max-share")


def _print_comparison(report: DemoReport) -> None:
    from rich.table import Table

    head, *rows = report.comparison
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if 0 < number < len(head) - 1 else "left")
    for row in rows:
        table.add_row(*row)
    console().print(table)
    echo(report.alarms)
