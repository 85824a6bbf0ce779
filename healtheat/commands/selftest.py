"""`healtheat selftest`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, note, print_json, progress_bar
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.planting import Estimate, SelftestReport


def selftest(
    index: options.IndexOption = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME", help="Only this kind of error (see above). Repeatable."),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", metavar="X", help="Share of the boxes that get a planted error.")
    ] = 0.05,
    plantings: Annotated[
        int, typer.Option("--plantings", min=1, max=100, metavar="N", help="How often each kind is planted.")
    ] = 3,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            min=1,
            metavar="N",
            help="How many boxes you would look at. Default: as many as are planted.",
        ),
    ] = None,
    crops: Annotated[
        int,
        typer.Option(
            "--crops",
            min=0,
            metavar="N",
            help="New boxes embedded for each planting, at most; 0 leaves out the kinds that need them.",
        ),
    ] = 200,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same seed plants the same errors.")
    ] = 0,
    encoder: options.AgainEncoderOption = None,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
) -> None:
    """Plant errors in a copy of your data, in memory, and say how many would be found.

    Kinds: flips (another class), confuse (a class that looks alike), boxes (off the object, or the whole
    image), spurious (a box on background), duplicate (boxed twice), missing (no box; found by image names).
    Errors that your data had before count as false alarms, so the true precision is at least what is printed.
    Images and labels are only read.

    \b
    Examples:
      healtheat selftest
      healtheat selftest --kind flips --kind confuse --rate 0.02 --budget 100
    """
    with progress_bar() as progress:
        report = api.selftest(
            options.which_index(index),
            kind=kind,
            rate=rate,
            plantings=plantings,
            budget=budget,
            crops=crops,
            seed=seed,
            encoder=encoder,
            progress=progress,
        )
    if format == "json":
        print_json(asdict(report))
    else:
        _show(report)
        note("what was wrong before counts as a false alarm: true figures are at least these")
    for name, why in report.skipped.items():
        note(f"{name}: not tested: {why}")
    if report.unread:
        note(f"{counted(report.unread, 'time')} an image was gone, changed or unreadable")
    for failure in report.failures:
        note(f"signal crashed: {failure}")
    if report.failures:
        raise typer.Exit(1)


def _show(report: SelftestReport) -> None:
    from rich.table import Table

    def figure(e: Estimate) -> str:
        return f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"

    def share(value: float) -> str:
        return "-" if math.isnan(value) else f"{value:.0%}"

    table = Table(
        "planted",
        "errors",
        "chance",
        "average precision",
        "precision at budget",
        "budget",
        "flags",
        "of them planted",
        "planted found",
        "abstained",
        box=None,
    )
    for r in report.results:
        table.add_row(
            r.kind,
            f"{r.planted:.0f}",
            f"{r.base_rate:.3f}",
            figure(r.average_precision),
            figure(r.precision),
            f"{r.budget:.0f}",
            f"{r.flagged:.0f}",
            share(r.flag_precision),
            share(r.flag_recall),
            share(r.abstained),
        )
    console().print(table)
    note(
        f"means of {counted(report.plantings, 'planting')} in {counted(report.boxes, 'box')} of "
        f"{counted(report.classes, 'class')}; "
        "90 % intervals"
    )
