"""A build that is killed, for real, at its k-th step: what the kill tests start in a process of their own.

Steps are the calls with which anything reaches the disk (see kill_steps.py), rows for the catalog, and the
encoder.
"""

from __future__ import annotations

from pathlib import Path

from healtheat.building.build import build
from healtheat.index import cache
from healtheat.index.catalog import CatalogWriter
from healtheat.signals.geometry import Geometry
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder
from tests.kill_steps import run_to_step

SIGNALS = (Geometry(),)
_MORE_CALLS = ((CatalogWriter, "_insert"), (CatalogWriter, "finish"), (FakeEncoder, "encode"))


def run_build(data: Path, index_path: Path) -> None:
    """The build under test."""
    cache.CHUNK_CROPS = 8
    build(YoloSource(data), index_path, encoder=FakeEncoder(), signals=SIGNALS)


def run_killed(data: str, index_path: str, kill_at: int, counted: str) -> None:
    """Run the build and die at step `kill_at`; with -1 live, and write the number of steps to `counted`."""
    run_to_step(lambda: run_build(Path(data), Path(index_path)), _MORE_CALLS, kill_at, counted)
