"""`healtheat batches`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import note, one_line
from healtheat.core.text import counted


def batches(
    index: options.IndexOption = None,
    format: Annotated[
        Literal["text", "csv", "json", "jsonl"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "text",
) -> None:
    """List the batches that were added to an index: what came with which, and when.

    \b
    Examples:
      healtheat batches
      healtheat batches --index index/pills --format json
    """
    from healtheat.core.table import TEXT_FORMATS

    rows = api.batches(options.which_index(index))
    if format != "text":
        TEXT_FORMATS[format](rows, sys.stdout)
        return
    if not rows.num_rows:
        note("no batches: all of it came with the build")
    for row in rows.to_pylist():
        what = f"{counted(row['boxes'], 'box', 'boxes')} on {counted(row['images'], 'image')}"
        less = f", {row['left_out']} left out" if row["left_out"] else ""
        at = row["added_at"][:16].replace("T", " ")
        typer.echo(one_line(f"{row['name']}: {what}{less}; {row['kind']}, {row['data']}, {at}"))
