"""One small demo set for all tests of this folder."""

from pathlib import Path

import pytest

from healtheat.drawing import DemoSet, make_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    out: Path = tmp_path_factory.mktemp("demo") / "set"
    return make_demo(out, seed=5, images=48)
