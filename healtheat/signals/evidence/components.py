"""Principal components of the vectors: fewer, independent numbers for what comes after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]
COMPONENTS = 64


@dataclass(frozen=True, slots=True)
class Axes:
    """Principal axes: `mean` (d,), `axes` (d, k), `variances` (k,) along them, largest first."""

    mean: Floats
    axes: Floats
    variances: Floats

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], count: int) -> Axes:
        """The `count` axes of most variance of the rows (n, d), fewer where they have no more of it.

        One axis of zeros where they have none. Each axis points to where its largest loading is positive, so
        that equal input gives equal output everywhere.
        """
        n, d = vectors.shape
        rows = vectors.astype(np.float64)
        mean = rows.mean(axis=0) if n else np.zeros(d)
        nothing = cls(mean, np.zeros((d, 1)), np.zeros(1))
        if not vectors.size:
            return nothing
        centred = rows - mean
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
        return cls(mean, axes * sign, values)

    def project(self, vectors: NDArray[np.float32]) -> Floats:
        """(n, k) the rows (n, d) along the axes, centred."""
        return np.asarray((vectors.astype(np.float64) - self.mean) @ self.axes)

    def whitened(self, parts: Floats, shrink: float = 0.1) -> Floats:
        """(n, k) components over their deviation, shrunk by `shrink` × mean variance."""
        return whitened(parts, self.variances, shrink)


def principal(
    vectors: NDArray[np.float32], count: int, teaches: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """(n, k) centred rows along the axes of `Axes.fit`, and the variances (k,).

    Axes, centre and variances are those of the rows that `teaches` (n,) marks, all by default.
    """
    axes = Axes.fit(vectors if teaches is None or teaches.all() else vectors[teaches], count)
    return axes.project(vectors), axes.variances


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
