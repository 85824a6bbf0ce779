"""`healtheat contents`: what the images' names say about their labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, note, print_rows
from healtheat.core.text import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from healtheat.listing import ContentsReport

PROBLEMS_SHOWN = 20


def contents(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A folder of YOLO label files, a data set, or a COCO file.")
    ],
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            metavar="aihub|FILE.csv|REGEX",
            help="How a name lists what is on the image: aihub, a CSV (image,code), or a regular expression "
            "with a group (?P<codes>...) around the list or (?P<code>...) around each code.",
        ),
    ] = "aihub",
    classes: options.ClassesOption = None,
    outside: options.OutsideOption = False,
    format: Annotated[
        Literal["table", "csv", "json", "jsonl"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, metavar="N", help="At most N rows of the table.")
    ] = 20,
    fail_over: Annotated[
        int | None,
        typer.Option(
            "--fail-over", min=0, metavar="N", help="Exit with 1 if there are more findings than N."
        ),
    ] = None,
) -> None:
    """Compare labels with what the images' names list: missing, superfluous and unexpected boxes.

    No image is read and no index is needed. Lines are counted from 0 in CSV and JSON, from 1 in the table; a
    missing box has line -1, and class_id is the class that is missing.

    \b
    Examples:
      healtheat contents labels --classes classes.csv
      healtheat contents labels --classes classes.csv --format csv > missing.csv
      healtheat contents data.yaml --rule contents.csv --fail-over 0
    """

    report = api.contents(data, rule=rule, classes=classes, outside=outside)
    if format == "table":
        _show(report.table.slice(0, limit))
        if (total := report.table.num_rows) > limit:
            note(f"{limit} of {total} shown; --limit {total} shows all, --format csv too")
    else:
        print_rows(report.table, format)
    _note_problems(report)
    counts = report.counts
    note(
        f"{counted(counts.get('missing_box', 0), 'missing box')} and "
        f"{counted(counts.get('unexpected_class', 0), 'box')} that the name does not list, on "
        f"{report.images_with_findings} of {counted(report.images, 'image')}; "
        f"{counted(len(report.problems), 'problem')}"
    )
    if fail_over is not None and report.table.num_rows > fail_over:
        raise typer.Exit(1)


def _note_problems(report: ContentsReport) -> None:
    lines = [str(problem) for problem in report.other_problems]
    lines += [
        f"code {code} has no class; {counted(n, 'image lists', 'images list')} it"
        for code, n in sorted(report.unknown_codes.items(), key=lambda item: (-item[1], item[0]))
    ]
    for line in lines[:PROBLEMS_SHOWN]:
        note(line)
    if len(lines) > PROBLEMS_SHOWN:
        note(f"… and {counted(len(lines) - PROBLEMS_SHOWN, 'more such line')}")


def _show(table: pa.Table) -> None:
    from rich.table import Table

    shown = Table("image", "line", "class", "issue", "score", "reason", box=None)
    rows = table.to_pylist()
    for row in rows:
        name = f"{row['class_id']} {row['class_name']}"
        shown.add_row(
            row["image"],
            "-" if row["line"] < 0 else str(row["line"] + 1),
            name,
            row["issue"],
            f"{row['score']:.2f}",
            row["reason"],
        )
    if rows:
        console().print(shown)
