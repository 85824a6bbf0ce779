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
