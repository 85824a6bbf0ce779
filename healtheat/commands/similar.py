"""`healtheat similar`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, note, print_rows
from healtheat.core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


def similar(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="An image file, or its name as `query` lists it.")
    ],
    index: options.IndexOption = None,
    box: Annotated[
        str | None,
        typer.Option(
            "--box", metavar="CX,CY,W,H", help="The crop: centre, width and height as shares of the image."
        ),
    ] = None,
    line: Annotated[
        int | None,
        typer.Option(
            "--line", min=1, metavar="N", help="The crop: the box on line N of its labels, counted from 1."
        ),
    ] = None,
    class_: options.ClassOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, metavar="N", help="At most N rows.")] = 10,
    encoder: options.AgainEncoderOption = None,
    format: Annotated[
        Literal["table", "csv", "json", "jsonl"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
) -> None:
    """Show the crops of an index that are most similar to a crop of any image.

    Without --box and --line, the whole image is the crop. Where the index holds this very file, boxes of the
    same source are left out. Lines are counted from 1, as editors do, but from 0 in CSV and JSON. The crop is
    embedded with the index's own encoder. The list shows what a class means here; it does not decide the
    class of the crop.

    \b
    Examples:
      healtheat similar pills/images/train/0001.jpg --line 3
      healtheat similar new.jpg --box 0.42,0.55,0.1,0.12 --limit 5
      healtheat similar crop.png --class tylenol --format csv
    """

    rows = api.similar(
        image,
        options.which_index(index),
        box=_box(box),
        line=None if line is None else line - 1,
        class_=class_,
        limit=limit,
        encoder=encoder,
    )
    if format != "table":
        print_rows(rows, format)
    elif rows.num_rows:
        _print_table(rows)
    elif limit:
        note("no other box to compare with")


def _box(text: str | None) -> tuple[float, ...] | None:
    """The numbers of --box."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--box {text[:60]!r}: expected four numbers cx,cy,w,h, such as 0.5,0.5,0.1,0.1"
        ) from None


def _print_table(rows: pa.Table) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "similarity"):
        table.add_column(name, justify="right")
    table.add_column("class")
    table.add_column("line", justify="right")
    table.add_column("image", overflow="fold")
    for row in rows.to_pylist():
        named = f"{row['class_id']} {row['class_name'] or ''}".strip()
        cells = (row["rank"], f"{row['similarity']:.3f}", named, row["line"] + 1, row["image"])
        table.add_row(*(str(cell) for cell in cells))
    console().print(table)
