"""`healtheat batches`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note, print_rows
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

    rows = api.batches(options.which_index(index))
    if format != "text":
        print_rows(rows, format)
        return
    if not rows.num_rows:
        note("no batches: all of it came with the build")
    for row in rows.to_pylist():
        what = f"{counted(row['boxes'], 'box', 'boxes')} on {counted(row['images'], 'image')}"
        less = f", {row['left_out']} left out" if row["left_out"] else ""
        at = row["added_at"][:16].replace("T", " ")
        echo(f"{row['name']}: {what}{less}; {row['kind']}, {row['data']}, {at}")
