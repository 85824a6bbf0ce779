"""An `add` or `remove` that is killed, for real, at its k-th step: see killed_build.py."""

from __future__ import annotations

from pathlib import Path

from healtheat.building.append import add
from healtheat.building.removal import remove
from healtheat.index import cache
from healtheat.index.catalog import CatalogWriter
from healtheat.sources.yolo.source import YoloSource
from tests.index.killed_build import SIGNALS
from tests.index.small_set import FakeEncoder
from tests.kill_steps import run_to_step

_MORE_CALLS = ((CatalogWriter, "_insert"), (CatalogWriter, "finish"), (FakeEncoder, "encode"))


def run_add(data: Path, index_path: Path) -> None:
    """The add under test."""
    cache.CHUNK_CROPS = 8
    add(YoloSource(data), index_path, encoder=FakeEncoder(), signals=SIGNALS)


def run_killed_add(data: str, index_path: str, kill_at: int, counted: str) -> None:
    """Run it and die at step `kill_at`; with -1 live, and write the number of steps to `counted`."""
    run_to_step(lambda: run_add(Path(data), Path(index_path)), _MORE_CALLS, kill_at, counted)


def run_killed_remove(name: str, index_path: str, kill_at: int, counted: str) -> None:
    """The same for taking a batch out."""
    run_to_step(lambda: remove(name, Path(index_path), signals=SIGNALS), _MORE_CALLS, kill_at, counted)
