"""`healtheat report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note, progress_bar, report_of
from healtheat.core.text import counted


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[INDEX]", help="The index to read; the same as --index.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "--to", metavar="FILE", help="HTML file to write.")] = Path(
        "report.html"
    ),
    index: options.IndexOption = None,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Heading. Default: the index's name.", show_default=False),
    ] = None,
    per_issue: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="Worst samples shown of each issue.")
    ] = 12,
    max_mb: Annotated[
        float,
        typer.Option(
            min=0.1, max=500, metavar="X", help="Longest file in MiB; pictures that do not fit are left out."
        ),
    ] = 10,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a file that is there, unless it belongs to the data set or an index."
        ),
    ] = False,
) -> None:
    """Write one HTML file for a colleague: queues, verdicts, worst samples, class trust, look-alikes, map.

    Pictures are inside the file. It opens from the disk without network or script, in light and dark, and
    prints well. The index and the data set are only read. Mind that it holds pictures from your images.

    \b
    Examples:
      healtheat report
      healtheat report index/pills --out pills.html --title "Pills, November"
      healtheat report --per-issue 24 --max-mb 25 --overwrite
    """
    with progress_bar() as progress:
        done = api.report(
            options.which_index(folder or index),
            out=out,
            title=title,
            per_issue=per_issue,
            max_mb=max_mb,
            overwrite=overwrite,
            progress=progress,
        )
    if done.pictures_left_out:
        note(f"{counted(done.pictures_left_out, 'picture')} left out to stay below {max_mb:g} MiB (--max-mb)")
    size = f"{done.size_bytes / (1 << 20):.1f} MiB"
    with report_of("the page is written all the same"):
        echo(f"{counted(done.flags, 'place')} flagged, {size} -> {out}")
