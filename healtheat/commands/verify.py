"""`healtheat verify`."""

from __future__ import annotations

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note


def verify(index: options.IndexOption = None) -> None:
    """Check every file of an index against its hash.

    Prints one line per file that is missing, changed or does not belong there, and exits with 1 if there is
    any.

    \b
    Examples:
      healtheat verify
      healtheat verify --index index/pushin-pill
    """
    report = api.verify(options.which_index(index))
    for line in report.damage:
        echo(line)
    if report.damage:
        note(f"healtheat: {report.index}: not as it was built ({len(report.damage)} found); build it again")
        raise typer.Exit(1)
    echo(f"{report.index}: every file is as it was built")
