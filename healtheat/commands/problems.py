"""`healtheat problems`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import one_line


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
    from healtheat.core.table import TEXT_FORMATS

    opened = options.open_index(index)
    if format == "text":
        for problem in opened.problems():
            typer.echo(one_line(str(problem)))
    else:
        rows = opened.sql(
            "select p.file, p.line, p.reason, i.path as image from problems p "
            "left join images i using (image_id) order by problem_id"
        )
        TEXT_FORMATS[format](rows, sys.stdout)
