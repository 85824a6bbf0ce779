"""A small dataset on disk and an index built from it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healtheat.building.build import BuildReport, build
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, write_set

Build = Callable[..., BuildReport]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """data.yaml of a small set in a folder with a Korean name and a space."""
    return write_set(tmp_path / "자료 set")


@pytest.fixture
def index_path(tmp_path: Path) -> Path:
    """Where the index goes."""
    return tmp_path / "색인 folder" / "small"


@pytest.fixture
def build_small(data: Path, index_path: Path) -> Build:
    """Builds the small set; keywords go to `build`."""

    def run(**more: object) -> BuildReport:
        settings = {"encoder": FakeEncoder(), "signals": (), **more}
        return build(YoloSource(data), index_path, **settings)  # type: ignore[arg-type]

    return run
