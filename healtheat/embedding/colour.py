"""Colour of the pill itself: networks trained against colour jitter forget it, look-alikes differ in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from healtheat.crops.measure import content

BINS = 4  # a channel
COLOUR_DIM = BINS**3
MARGIN = 0.25  # of the box's side is left out on every side: ground and shadow


def colour_histogram(crops: NDArray[np.uint8], fill: tuple[int, int, int]) -> NDArray[np.float32]:
    """(n, 64) unit rows: square root of the joint RGB histogram of the box's middle.

    The inner product of two rows is the Bhattacharyya coefficient of the histograms. Letterbox bars are left
    out.
    """
    rows = np.empty((len(crops), COLOUR_DIM), np.float32)
    for row, crop in zip(rows, crops, strict=True):
        top, bottom, left, right = content(crop, fill)
        dy, dx = int((bottom - top) * MARGIN), int((right - left) * MARGIN)
        middle = crop[top + dy : bottom - dy, left + dx : right - dx].reshape(-1, 3)
        code = (middle >> 6).astype(np.int64) @ np.array([BINS * BINS, BINS, 1])
        count = np.bincount(code, minlength=COLOUR_DIM)
        row[:] = np.sqrt(count / count.sum())
    return rows
