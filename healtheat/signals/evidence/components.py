"""Principal components of the vectors: fewer, independent numbers for what comes after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]
COMPONENTS = 64


def principal(
    vectors: NDArray[np.float32], count: int, teaches: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """(n, k) centred rows along the `count` axes of most variance, and the variances (k,), largest first.

    k is less than `count` where the rows have no more variance; (n, 1) zeros where they have none. Each axis
    points to where its largest loading is positive, so that equal input gives equal output everywhere.
    Axes, centre and variances are those of the rows that `teaches` (n,) marks, all by default.
    """
    n, d = vectors.shape
    nothing = np.zeros((n, 1)), np.zeros(1)
    if not vectors.size:
        return nothing
    rows = vectors.astype(np.float64)
    known = rows if teaches is None or teaches.all() else rows[teaches]
    n = len(known)
    if not n:
        return nothing
    mean = known.mean(axis=0, keepdims=True)
    centred = known - mean
    small = n < d  # the smaller of the two square matrices has the same non-zero eigenvalues
    square = (centred @ centred.T if small else centred.T @ centred) / n
    size = len(square)
    values, axes = eigh(square, subset_by_index=[max(0, size - count), size - 1])
    values, axes = values[::-1], axes[:, ::-1]
    keep = int((values > max(values[0], 1e-12) * 1e-7).sum())
    if not keep:
        return nothing
    values, axes = values[:keep], axes[:, :keep]
    if small:
        axes = centred.T @ axes / np.sqrt(values * n)
    sign = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(keep)])
    every = centred if known is rows else rows - mean
    return np.asarray(every @ (axes * sign)), np.asarray(values)


def whiten(
    vectors: NDArray[np.float32],
    components: int = COMPONENTS,
    shrink: float = 0.1,
    teaches: NDArray[np.bool_] | None = None,
) -> Floats:
    """(n, <= components) principal components over their deviation, see `whitened`.

    Learned from the rows that `teaches` (n,) marks, all by default.
    """
    return whitened(*principal(vectors, components, teaches), shrink)


def whitened(parts: Floats, variances: Floats, shrink: float = 0.1) -> Floats:
    """(n, k) components over their deviation, shrunk by `shrink` × mean variance."""
    scale = np.sqrt(variances + shrink * variances.mean())
    return np.asarray(parts / np.maximum(scale, 1e-12))
