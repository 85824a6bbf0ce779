"""Lists to train on with Ultralytics: the folder that a cleanup plan describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from healtheat.cleanup import Plan


def write_yolo(plan: Plan, to: Path, *, overwrite: bool = False) -> list[str]:
    """Write the folder `to`, whole or not at all, and return the names of its files.

    See `healtheat.cleanup.training`.
    """
    from healtheat.cleanup import write_training

    return write_training(plan, to, overwrite=overwrite)
