"""The outline of a box: its corners, where a label gives more than an upright box."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS, MOST_POINTS = 3, 1000  # of one outline; the trainer samples a polygon at 1,000 points
MOST_NUMBERS = 2**25  # of all outlines of a data set: 256 MiB
LEAST, MOST = -1.0, 2.0  # shares of the image; what lies farther away outlines nothing on it

Outline = NDArray[np.float64]  # (k, 2) x, y as shares of the image, in the order of the label


def outlines(items: Iterable[Outline | None]) -> NDArray[np.object_]:
    """(n,) outlines, None where there is only an upright box."""
    listed = list(items)
    out = np.empty(len(listed), object)
    for row, item in enumerate(listed):  # a slice would take arrays of one shape for a table
        out[row] = item
    return out


def what_is_wrong(outline: Outline) -> str:
    """Why no index can hold the outline, or "" where one can."""
    if outline.dtype != np.float64 or outline.ndim != 2 or outline.shape[1] != 2:
        return f"an outline is float64 (k, 2), not {outline.dtype} {outline.shape}"
    if len(outline) < FEWEST_POINTS:
        return f"an outline of {len(outline)} points; it needs {FEWEST_POINTS}"
    if len(outline) > MOST_POINTS:
        return f"an outline of {len(outline):,} points, more than the {MOST_POINTS:,} that are kept"
    if not ((outline >= LEAST) & (outline <= MOST)).all():  # NaN too
        return "an outline that leaves its image by more than the image's size"
    return ""


def same_outline(one: Outline, other: Outline, tolerance: float = 0.0) -> bool:
    """Whether two outlines are alike: no corner differs by more than `tolerance` (a share of the image).

    They may begin at another corner and run the other way round. With different numbers of corners each has
    to lie on the other's edge, so that a corner amid a straight edge makes no difference.
    """
    if len(one) != len(other):
        return max(_farthest(one, other), _farthest(other, one)) <= tolerance
    for way in (other, other[::-1]):
        for start in np.flatnonzero(np.abs(way - one[0]).max(axis=1) <= tolerance).tolist():
            if np.abs(np.roll(way, -start, axis=0) - one).max() <= tolerance:
                return True
    return False


def corners_of(xyxy: NDArray[np.float64]) -> Outline:
    """(4, 2) corners of an upright box of left, top, right, bottom."""
    left, top, right, bottom = xyxy
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _farthest(points: Outline, outline: Outline) -> float:
    """How far the point of `points` that is farthest from the edge of `outline` lies from it."""
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    length = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    farthest = 0.0
    for point in points:
        share = np.clip(((point - start) * along).sum(axis=1) / length, 0, 1)
        away = np.abs(start + share[:, None] * along - point).max(axis=1).min()
        farthest = max(farthest, float(away))
    return farthest
