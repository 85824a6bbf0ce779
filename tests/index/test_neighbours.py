"""The blocked search against a slow obvious loop, exact and by shards."""

from __future__ import annotations

import numpy as np
import pytest

from healtheat.index import search as module
from healtheat.index.search import neighbours


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow(
    vectors: np.ndarray, group: np.ndarray, k: int, k_near: int
) -> tuple[list[list[int]], list[list[int]]]:
    other, near = [], []
    for i in range(len(vectors)):
        order = sorted((-float(vectors[i] @ vectors[j]), j) for j in range(len(vectors)) if j != i)
        near.append([j for _, j in order][:k_near])
        other.append([j for _, j in order if group[j] != group[i]][:k])
    return other, near


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 6, 120)
    vectors = unit(np.eye(6, 12)[code] * 2 + rng.standard_normal((120, 12)))
    return vectors, rng.integers(0, 30, 120).astype(np.int32), code.astype(np.int64)


@pytest.mark.parametrize("block", [200, 8_000_000])  # one row at a time, and all at once
def test_exact_search_is_the_loop(
    data: tuple[np.ndarray, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, group, code = data
    monkeypatch.setattr(module, "_BLOCK_VALUES", block)
    found = neighbours(vectors, group, code, k=7, k_near=4)
    other, near = slow(vectors, group, 7, 4)
    assert found.other.tolist() == other
    assert found.near.tolist() == near
    expected = np.take_along_axis(vectors @ vectors.T, found.other, axis=1)
    np.testing.assert_allclose(found.other_similarity, expected, atol=1e-6)


def test_probing_every_shard_is_exact(data: tuple[np.ndarray, ...]) -> None:
    vectors, group, code = data
    found = neighbours(vectors, group, code, k=7, k_near=4, exact_rows=0, probes=6)
    other, near = slow(vectors, group, 7, 4)
    assert found.other.tolist() == other
    assert found.near.tolist() == near


def test_probing_few_shards_searches_the_own_one_and_finds_most(data: tuple[np.ndarray, ...]) -> None:
    vectors, group, code = data
    found = neighbours(vectors, group, code, k=5, exact_rows=0, probes=2)
    for row in range(len(vectors)):
        own = [j for j in np.flatnonzero(code == code[row]) if group[j] != group[row]]
        best = max(own, key=lambda j: float(vectors[row] @ vectors[j]))
        worst = found.other_similarity[row].min()
        assert best in found.other[row] or float(vectors[row] @ vectors[best]) <= worst + 1e-6
    exact = neighbours(vectors, group, code, k=5)
    shared = [len(set(a) & set(b)) / 5 for a, b in zip(found.other, exact.other, strict=True)]
    assert np.mean(shared) > 0.7


def test_self_hits_are_dropped_by_row_not_by_similarity() -> None:
    vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    found = neighbours(vectors, np.arange(4, dtype=np.int32), np.zeros(4, np.int64), k=3, k_near=3)
    for row in range(4):
        assert sorted(found.near[row]) == sorted(set(range(4)) - {row})


def test_too_few_boxes_leave_empty_places() -> None:
    vectors = unit(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    found = neighbours(vectors, np.array([0, 0, 1], np.int32), np.zeros(3, np.int64), k=4, k_near=4)
    assert found.other.tolist() == [[2, -1, -1, -1], [2, -1, -1, -1], [1, 0, -1, -1]]
    assert found.near.tolist() == [[1, 2, -1, -1], [0, 2, -1, -1], [1, 0, -1, -1]] or found.near[1, 2] == -1
    assert (found.other_similarity[found.other < 0] == -1).all()


def test_nothing_at_all() -> None:
    found = neighbours(np.zeros((0, 3), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int64))
    assert found.other.shape == (0, 30)
