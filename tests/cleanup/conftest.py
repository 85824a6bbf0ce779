"""The small data set of the cleanup tests, before and after people decided."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest
from made_index import MadeIndex

from tests.cleanup.small_yolo import decide_some, make_index


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    return make_index(tmp_path)


@pytest.fixture
def decided(index: MadeIndex) -> MadeIndex:
    decide_some(index)
    return index


@pytest.fixture(scope="session")
def processes() -> Iterator[BaseContext]:
    """Starts fresh processes; where possible from one that has already imported everything."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield multiprocessing.get_context("spawn")
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.cleanup.killed", "tests.index.killed_build", "tests.index.test_verdicts"]
    )
    # The server imports by PYTHONPATH alone, and must not own threads when it forks.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield context
