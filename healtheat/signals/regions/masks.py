"""Boxes of a model that segments anything: it finds much, and says exactly where it ends, but not what it is.

Which of them show objects of the set is decided as for all other places (search.py). The masks also say
where labelled objects end; they are asked only if they agree with the labels better than the refiner does,
for most labels are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from healtheat.core.overlap import iou, iou_of_pairs

Floats = NDArray[np.float64]

_RANGE = 2.0  # times smaller or larger than the levels' objects a mask may be
_SAME = 0.5  # IoU with an object from which a mask is of it
_FEWEST = 30  # labelled boxes with a mask, from which on masks can be compared with the refiner


class MaskBoxes(Protocol):
    """A model that segments images."""

    def boxes(self, pixels: NDArray[np.uint8], smallest: float) -> Floats:
        """(m, 4) boxes around the masks on an RGB image (height, width, 3), as shares of it.

        `smallest`: the side of the smallest objects that matter, as a share of the image's.
        """
        ...


def of_size(boxes: Floats, sizes: Sequence[float]) -> NDArray[np.bool_]:
    """(m,) boxes (m, 4) about as large as objects with sides from sizes[0] to sizes[-1] (a Pyramid's)."""
    side = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    return np.asarray((side >= sizes[0] / _RANGE) & (side <= sizes[-1] * _RANGE))


def same(objects: Floats, masks: Floats) -> Floats:
    """(n, 4) of masks (m, 4) the one that overlaps each of the objects (n, 4) most; NaN where none does."""
    out = np.full((len(objects), 4), np.nan)
    if len(objects) and len(masks):
        shared = iou(objects, masks)
        best = shared.argmax(axis=1)
        near = shared[np.arange(len(objects)), best] >= _SAME
        out[near] = masks[best[near]]
    return out


def exact(labels: Floats, moved: Floats, masks: Floats) -> bool:
    """Whether masks (n, 4), NaN where there is none, tell where objects end better than `moved` (n, 4) does:
    whether they overlap the labels (n, 4) more, in the median of the boxes that have both.
    """
    there = ~np.isnan(masks[:, 0])
    if there.sum() < _FEWEST:
        return False
    theirs, ours = (np.median(iou_of_pairs(labels[there], boxes[there])) for boxes in (masks, moved))
    return bool(theirs > ours)
