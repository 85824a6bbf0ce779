"""Fixtures for encoders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedding.tiny_clip import TINY, write_model


@pytest.fixture(scope="session")
def tiny_model() -> Any:
    """The model itself, random weights."""
    open_clip = pytest.importorskip("open_clip")
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    return open_clip.CLIP(**TINY).eval()


@pytest.fixture(scope="session")
def tiny_folder(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("clip") / "작은 모형", tiny_model, TINY)


@pytest.fixture
def random_crops() -> Any:
    """(n, side) → uint8 crops."""

    def make(count: int, side_px: int) -> Any:
        return np.random.default_rng(3).integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8)

    return make
