"""The writers of a vetted batch, as `FORMATS` names them; `export --help` needs none of what they import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from healtheat.exporting.vetted.gather import Vetted

VETTED_COCO_FILES = ("accepted.json", "partly.json", "held.json")


def write_vetted_yolo(given: Vetted, to: Path, *, overwrite: bool = False) -> list[str]:
    """Write the folder `to`, whole or not at all, and return the names in it; see `vetted.yolo`."""
    from healtheat.exporting.vetted.yolo import write_folder

    return write_folder(given, to, overwrite=overwrite)


def write_vetted_coco(given: Vetted, accepted: Path, partly: Path, held: Path) -> None:
    """Write the three files; see `vetted.coco`."""
    from healtheat.exporting.vetted.coco import write_files

    write_files(given, accepted, partly, held)
