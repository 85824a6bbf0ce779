"""A small dataset on disk and an index built from it."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from healtheat.build import BuildReport, build
from healtheat.sources.yolo import YoloSource
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


@pytest.fixture(scope="session")
def processes() -> Iterator[BaseContext]:
    """Starts fresh processes; where possible from one that has already imported everything."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield multiprocessing.get_context("spawn")
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.index.killed_build", "tests.index.test_verdicts"])
    # The server imports by PYTHONPATH alone, and must not own threads when it forks.
    wanted = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    yield context
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
