"""`healtheat encoders`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat.commands._terminal import console, one_line, progress_bar


def encoders(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDERS]...", help="Look for encoders' folders here, too.", show_default=False
        ),
    ] = None,
    no_speed: Annotated[
        bool, typer.Option("--no-speed", help="Do not load and measure each one, some seconds each.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; all cores unless given.", show_default=False)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
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
    import json
    from dataclasses import asdict

    from rich.table import Table

    from healtheat.embedding import list_encoders

    with progress_bar() as progress:
        infos = list_encoders(folders=folders or (), measure=not no_speed, threads=threads, progress=progress)
    if json_:
        for info in infos:
            typer.echo(json.dumps(asdict(info), ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("encoder", "kind", "numbers", "pixels", "MB", "crops/s", "note"):
        table.add_column(name, justify="left" if name in ("encoder", "kind", "note") else "right")
    for info in infos:
        size = None if info.size_bytes is None else f"{info.size_bytes / 1e6:.1f}"
        rate = None if info.crops_per_s is None else f"{info.crops_per_s:.0f}"
        cells = (info.name, info.kind, info.dim, info.resolution_px, size, rate, info.note)
        table.add_row(*("" if cell is None else one_line(str(cell)) for cell in cells))
    console().print(table)
