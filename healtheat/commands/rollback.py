"""`healtheat rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note, progress_bar, report_of
from healtheat.core.text import counted


def rollback(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="The data set's folder, which holds `.healtheat`. Default: the data set of the index.",
            show_default=False,
        ),
    ] = None,
    index: options.IndexOption = None,
    keep_edited: Annotated[
        bool,
        typer.Option(
            "--keep-edited", help="Leave files that were edited since as they are; restore all others."
        ),
    ] = False,
) -> None:
    """Undo the last `healtheat apply --in-place`: every file back as it was, byte for byte.

    It works after a finished cleanup as well as after one that was killed, and if it is killed itself, the
    same command finishes the work. Files that somebody edited after the cleanup are never overwritten. Run it
    once more to undo the cleanup before.

    \b
    Examples:
      healtheat rollback
      healtheat rollback data/pills
      healtheat rollback --keep-edited
    """
    index = index if folder else options.which_index(index)
    with progress_bar() as progress:
        done = api.rollback(folder, index=index, keep_edited=keep_edited, progress=progress)
    are = counted(len(done.restored), "file is as it was", "files are as they were")
    with report_of("the cleanup is undone all the same"):
        echo(f"{are} before {done.run.folder}")
    for path in done.left:
        note(f"left alone, edited since: {path}")
