"""`healtheat diff`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, echo, note, print_json, print_rows
from healtheat.core.errors import UsageError
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.comparing.run import DiffReport

SHOWN = 20  # classes, and images, of a table on the terminal


def diff(
    old: Annotated[
        Path,
        typer.Argument(metavar="OLD", help="The labels as they were: an index, a data set or labels alone."),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The labels as they are now, likewise.")],
    classes: Annotated[
        Literal["auto", "by-id", "by-name"],
        typer.Option(
            help="Whether the tool in between kept class ids or class names. auto: what both sides agree on."
        ),
    ] = "auto",
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="A place that differs by less than this share of the image is the same, rounded.",
        ),
    ] = 0.001,
    names: options.NamesOption = None,
    outside: options.OutsideOption = False,
    format: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
    list_: Annotated[
        Literal["changes", "findings"], typer.Option("--list", help="What the CSV lists.")
    ] = "changes",
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="Exit with 1 if there is any: added, removed, moved, relabelled, image-added, "
            "image-removed; of an index as OLD also settled, otherwise, open, absent, undone, unasked; of "
            "two indexes also new. Repeatable. For CI.",
        ),
    ] = None,
) -> None:
    """Say what changed between two versions of labels, such as before and after an annotation tool.

    Boxes that were added, removed, moved or relabelled, by class and image, on the images that both have. If
    OLD is an index: which findings and verdicts that settles, which are still open, and which changes nobody
    asked for. If NEW is an index too, what only that one finds is new; a data set has no new findings before
    it is built. Nothing is written.

    \b
    Examples:
      healtheat diff index/pills pills/data.yaml
      healtheat diff pills/data.yaml from-cvat/data.yaml --format csv > changes.csv
      healtheat diff index/pills fixed.json --fail-on undone --fail-on unasked
    """
    from healtheat.comparing.run import NO_INDEX, check_gates

    if list_ == "findings" and format != "csv":
        raise UsageError("--list findings is for --format csv; the table and the JSON hold the counts")
    found = api.diff(old, new, classes=classes, tolerance=tolerance, names=names, outside=outside)
    if list_ == "findings" and found.findings is None:
        raise UsageError(f"--list findings: {old} is no index, so it has none")
    failed = check_gates(found, fail_on or ())
    for text in found.notes:
        note(text)
    if found.findings is not None and not found.knows_new:
        note(f"{new}: {NO_INDEX}")
    if found.problems:
        note(f"{new}: {counted(len(found.problems), 'problem')}; the first: {found.problems[0]}")
    if format == "json":
        print_json(found.as_dict())
    elif format == "table":
        _show(found)
    else:
        rows = found.changes if list_ == "changes" else found.findings
        print_rows(rows, "csv")
    sys.stdout.flush()
    if failed:
        note("gate: " + ", ".join(f"{n} {what}" for what, n in failed.items()))
        raise typer.Exit(1)


def _show(found: DiffReport) -> None:
    by = f"classes by {found.matched_by}"
    renamed = f", {found.renamed} of them under another path" if found.renamed else ""
    echo(f"images    {found.images} compared{renamed}; {by}")
    for what, paths in (("only in OLD", found.only_old), ("only in NEW", found.only_new)):
        if paths:
            echo(f"          {len(paths)} {what}, such as {paths[0]}")
    if found.unclear:
        echo(f"          {len(found.unclear)} share a name, such as {found.unclear[0]}")
    rounded = f" ({found.rounded} of them rounded)" if found.rounded else ""
    counts = ", ".join(f"{n} {kind}" for kind, n in found.counts.items())
    echo(f"boxes     {found.same} as they were{rounded}, {counts}")
    if found.findings is not None:
        states = ", ".join(f"{n} {state}" for state, n in found.states.items())
        echo(f"findings  {states}")
        undone, unasked = counted(found.undone, "verdict"), counted(found.unasked, "change")
        echo(f"undone    {undone} that nothing was done about")
        echo(f"unasked   {unasked} that no finding or verdict asked for")
    _table("class", found.by_class())
    _table("image", found.by_image())


def _table(what: str, rows: dict[str, dict[str, int]]) -> None:
    from rich.table import Table

    from healtheat.comparing.changes import KINDS

    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(what, overflow="fold", ratio=1)
    for kind in KINDS:
        table.add_column(kind, justify="right")
    most = sorted(rows.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:SHOWN]
    for name, kinds in most:
        table.add_row(name, *(str(kinds.get(kind, "")) for kind in KINDS))
    echo("")
    console().print(table)
    if len(rows) > SHOWN:
        note(f"{SHOWN} of {len(rows)} shown; --format csv lists everything")
