"""`healtheat verify`."""

from __future__ import annotations

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import one_line
from healtheat.core.errors import BadIndex


def verify(index: options.IndexOption = None) -> None:
    """Check every file of an index against its hash.

    Prints one line for each file that is missing, changed or does not belong there, and exits with 1 if
    there is any.

    \b
    Examples:
      healtheat verify
      healtheat verify --index index/pushin-pill
    """
    path = options.index_path(index)
    try:
        damage = options.open_index(path, verify=False).verify()
    except BadIndex as error:
        damage = [str(error)]
    for line in damage:
        typer.echo(one_line(line))
    if damage:
        raise typer.Exit(1)
    typer.echo(f"{one_line(str(path))}: every file is as it was built")
