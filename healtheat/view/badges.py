"""Where the number of each box goes on an image: beside the box, inside the image, on few other boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HEIGHT = 3.4  # of a badge, in hundredths of the image's longer side, as the largest style sheet draws it
WIDTH = 0.62  # of a digit, in heights
GAP = 0.4


def badges(
    xyxy: NDArray[np.float64], labels: Sequence[str], size: tuple[int, int]
) -> list[tuple[float, float]]:
    """(left, bottom) of each label's text, in pixels of an image of `size` (width, height).

    Tried in this order: above the box, below it, right and left of its top, in its upper left corner. The
    first place inside the image that lies on the fewest boxes and labels is taken. `xyxy` is (n, 4).
    """
    unit = max(size) / 100
    height, gap = HEIGHT * unit, GAP * unit
    taken = np.empty((0, 4))
    out = []
    for row, (x0, y0, x1, y1) in enumerate(xyxy.tolist()):
        width = len(labels[row]) * WIDTH * height
        tried = np.array(
            [
                (x0, y0 - gap),
                (x0, y1 + gap + height),
                (x1 + gap, y0 + height),
                (x0 - gap - width, y0 + height),
                (x0 + gap, y0 + gap + height),
            ]
        )
        tried = np.clip(tried, (0, height), (max(size[0] - width, 0), max(size[1], height)))
        places = np.column_stack([tried[:, 0], tried[:, 1] - height, tried[:, 0] + width, tried[:, 1]])
        on = [int(_meets(place, xyxy).sum() + 2 * _meets(place, taken).sum()) for place in places]
        best = int(np.argmin(on))
        taken = np.vstack([taken, places[best]])
        out.append((float(tried[best, 0]), float(tried[best, 1])))
    return out


def _meets(place: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of `others` (n, 4) share some area with `place` (4,)."""
    met = (np.minimum(place[2:], others[:, 2:]) > np.maximum(place[:2], others[:, :2])).all(axis=1)
    return np.asarray(met)
