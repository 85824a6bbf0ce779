"""`healtheat encoders`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands._terminal import console, print_json_line, progress_bar


def encoders(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDERS]...", help="Look for folders of encoders here, too.", show_default=False
        ),
    ] = None,
    no_speed: Annotated[
        bool,
        typer.Option("--no-speed", help="Do not load and measure each one (some seconds each)."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; all cores unless given.", show_default=False)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the encoders that work here and now, without a network, with size and measured speed.

    crops/s is what this machine does with the encoder's own policy, all its views included. Beside these
    `build` takes any open_clip name (MODEL/PRETRAINED, hf-hub:USER/REPO, local-dir:FOLDER); that needs the
    extra `clip`, and weights that open_clip can find or download.

    \b
    Examples:
      healtheat encoders
      healtheat encoders models --no-speed
      healtheat build data.yaml --encoder imagenet
      healtheat build data.yaml --encoder ViT-B-32/laion2b_s34b_b79k
      healtheat build data.yaml --encoder local-dir:models/my-clip
    """
    with progress_bar() as progress:
        found = api.encoders(folders, no_speed=no_speed, threads=threads, progress=progress).to_pylist()
    if json_:
        for row in found:
            print_json_line(row)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("encoder", "kind", "dimensions", "pixels", "MB", "crops/s", "note"):
        table.add_column(name, justify="left" if name in ("encoder", "kind", "note") else "right")
    for row in found:
        size = None if row["size_bytes"] is None else f"{row['size_bytes'] / 1e6:.1f}"
        rate = None if row["crops_per_s"] is None else f"{row['crops_per_s']:.0f}"
        cells = (row["name"], row["kind"], row["dim"], row["resolution_px"], size, rate, row["note"])
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    console().print(table)
