"""Vectors on a plane: a map of the embedding for people to look at, never for a decision.

Up to `LANDMARKS` vectors are placed by t-SNE (van der Maaten and Hinton 2008, scikit-learn's Barnes-Hut
version). Of more, an even sample is placed so, and every other vector lands among its nearest ones of the
sample: the cost grows with n × LANDMARKS only. Same vectors, same map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANDMARKS = 2000
NEAREST = 3
_PCA_DIMS = 32
_CHUNK = 8192


def project(
    vectors: NDArray[np.float32], *, landmarks: int = LANDMARKS, seed: int = 0
) -> NDArray[np.float32]:
    """(n, 2) places of (n, d) vectors, each axis within [-1, 1], the middle at 0; finite for finite input.

    Near on the map means near in the embedding; distances between far groups mean little. Raises ValueError
    for an array that is not (n, d) or holds NaN.
    """
    given = np.asarray(vectors, np.float32)
    if given.ndim != 2:
        raise ValueError(f"expected (n, d) vectors, found {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("vectors must be finite")
    n = len(given)
    if n == 0:
        return np.zeros((0, 2), np.float32)
    chosen = np.arange(n) if n <= landmarks else np.linspace(0, n - 1, landmarks).round().astype(np.int64)
    placed = _tsne(given[chosen], seed)
    if n > landmarks:
        placed = _among(given, given[chosen], placed, seed)
    return _fit(placed)


def _tsne(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n = len(vectors)
    if len(np.unique(vectors, axis=0)) < 5:  # too few different points for a map: along the two main axes
        plane = np.zeros((n, 2))
        spread = vectors - vectors.mean(axis=0)
        axes = np.linalg.svd(spread.astype(np.float64), full_matrices=False)[2][:2]
        plane[:, : len(axes)] = spread @ axes.T
        return plane
    dims = min(_PCA_DIMS, n, vectors.shape[1])
    reduced = PCA(dims, svd_solver="full").fit_transform(vectors.astype(np.float64))
    perplexity = min(30.0, (n - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca" if dims >= 2 else "random", random_state=seed, n_jobs=1)
    return np.asarray(tsne.fit_transform(reduced), np.float64)


def _among(
    vectors: NDArray[np.float32], marks: NDArray[np.float32], placed: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """The mean place of the nearest landmarks, nearer ones counting more."""
    scatter = np.random.default_rng(seed).normal(scale=0.004 * np.ptp(placed, axis=0), size=(len(vectors), 2))
    out = np.empty((len(vectors), 2))
    square = (marks**2).sum(axis=1)
    nearest = min(NEAREST, len(marks))
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK]
        distance = np.maximum(square - 2 * part @ marks.T + (part**2).sum(axis=1, keepdims=True), 0)
        near = np.argpartition(distance, nearest - 1, axis=1)[:, :nearest]
        weight = 1 / (np.take_along_axis(distance, near, axis=1).astype(np.float64) + 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        out[start : start + _CHUNK] = (placed[near] * weight[:, :, None]).sum(axis=1)
    return out + scatter  # so that copies do not hide each other


def _fit(placed: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = placed.min(axis=0), placed.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    return np.asarray(np.clip((placed - (low + high) / 2) / half, -1, 1), np.float32)
