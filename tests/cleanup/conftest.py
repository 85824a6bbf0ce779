"""The small data set of the cleanup tests, before and after people decided."""

from pathlib import Path

import pytest

from tests.cleanup.small_yolo import decide_some, make_index
from tests.made_index import MadeIndex


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    return make_index(tmp_path)


@pytest.fixture
def decided(index: MadeIndex) -> MadeIndex:
    decide_some(index)
    return index
