"""The map shows neighbours as neighbours, is the same every time, and is finite whatever comes in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from healtheat.view.projection import project


def clusters(n: int, k: int = 4, d: int = 16) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(0)
    code = np.arange(n) % k
    vectors = random.normal(size=(k, d))[code] * 3 + random.normal(size=(n, d)) * 0.3
    return vectors.astype(np.float32), code


def kept(places: NDArray[np.float32], code: NDArray[np.int64]) -> float:
    """How often the nearest neighbour on the map is of the same cluster."""
    distance = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((code[distance.argmin(axis=1)] == code).mean())


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", [500, 60])
def test_clusters_stay_together(landmarks: int) -> None:
    vectors, code = clusters(240)
    places = project(vectors, landmarks=landmarks)
    assert places.shape == (240, 2) and places.dtype == np.float32
    assert kept(places, code) > 0.97
    assert np.abs(places).max() == pytest.approx(1)
    assert np.array_equal(places, project(vectors, landmarks=landmarks))


@given(st.integers(0, 12), st.integers(1, 4), st.sampled_from([0.0, 1.0, 1e6]), st.sampled_from([5, 100]))
@settings(max_examples=25)
def test_any_size_is_finite(n: int, d: int, scale: float, landmarks: int) -> None:
    vectors = (np.random.default_rng(n).normal(size=(n, d)) * scale).astype(np.float32)
    places = project(vectors, landmarks=landmarks)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all() and (np.abs(places) <= 1).all()


def test_nonsense_is_refused() -> None:
    for wrong in (np.zeros(3, np.float32), np.full((3, 2), np.nan, np.float32)):
        with pytest.raises(ValueError):
            project(wrong)
