"""`healtheat problems`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note, print_rows


def problems(
    index: options.IndexOption = None,
    format: Annotated[
        Literal["text", "csv", "json", "jsonl"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "text",
) -> None:
    """List the lines and files that could not be read, and why.

    As text, lines are counted from 1 as editors do; in CSV and JSON from 0, empty for a whole file.

    \b
    Examples:
      healtheat problems
      healtheat problems --format csv > problems.csv
    """

    rows = api.problems(options.which_index(index))
    if format == "text":
        if not rows.num_rows:
            note("no problems: every line and file could be read")
        for row in rows.to_pylist():
            where = row["file"] if row["line"] is None else f"{row['file']}:{row['line'] + 1}"
            echo(f"{where}: {row['reason']}")
    else:
        print_rows(rows, format)
