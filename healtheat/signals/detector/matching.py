"""Labelled boxes of one image beside predictions on it: which is which, one to one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from healtheat.core.overlap import iou, overlaps

Floats = NDArray[np.float64]

LEAST_IOU = 0.1  # below it two boxes are of different things, unless one lies in the other
LEAST_INSIDE = 0.5  # share of the smaller box inside the larger
SAME_IOU = 0.7  # two predictions of one thing: what detectors take in non-maximum suppression


@dataclass(frozen=True, slots=True)
class Match:
    """n labelled boxes and m predictions of one image.

    `of` (n,) is the prediction matched to a box, -1 if none; `iou` (n,) with it, NaN if none. `best` (n,) is
    the highest confidence of a prediction that touches the box, 0 if none. `touched` (m,) are predictions
    that touch a box. `kept` (m,) are predictions that no stronger one repeats; `sure` (m,) is the confidence,
    times its share of the sum with the strongest prediction of another class in the same place.
    """

    of: NDArray[np.int64]
    iou: Floats
    best: Floats
    touched: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    sure: Floats


def overlap(a: Floats, b: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """IoU (n, m) of boxes `a` (n, 4) and `b` (m, 4), xyxy, and whether they touch.

    They touch if IoU is at least 0.1, or half of the smaller box lies in the larger one (a box around the
    whole image holds the pill all the same).
    """
    shared, inside = overlaps(a, b)
    return shared, np.asarray((shared >= LEAST_IOU) | (inside >= LEAST_INSIDE))


def strongest(
    xyxy: Floats, class_id: NDArray[np.int64], confidence: Floats
) -> tuple[NDArray[np.bool_], Floats]:
    """`kept` and `sure` of Match for m predictions: non-maximum suppression over all classes together.

    Detectors suppress within a class, so that one pill may come out as two classes.
    """
    m = len(xyxy)
    kept, sure = np.zeros(m, bool), confidence.astype(np.float64)
    free = np.ones(m, bool)
    shared = iou(xyxy, xyxy)
    for i in np.lexsort((np.arange(m), -confidence)):
        if not free[i]:
            continue
        kept[i] = True
        same = free & (shared[i] >= SAME_IOU)
        rivals = confidence[same & (class_id != class_id[i])]
        if len(rivals):
            sure[i] *= confidence[i] / (confidence[i] + rivals.max())
        free &= ~same
        free[i] = False
    return kept, sure


def match(
    boxes: Floats, predictions: Floats, class_id: NDArray[np.int64], confidence: NDArray[np.floating]
) -> Match:
    """Labelled `boxes` (n, 4) and `predictions` (m, 4), xyxy, with the predictions' classes and confidences.

    One to one among those that touch, so that the sum of IoU is largest (Kuhn's assignment).
    """
    n, strength = len(boxes), confidence.astype(np.float64)
    shared, touch = overlap(boxes, predictions)
    kept, sure = strongest(predictions, class_id, strength)
    of, measured = np.full(n, -1, np.int64), np.full(n, np.nan)
    value = np.where(touch & kept[None, :], np.maximum(shared, 1e-9), 0.0)
    for row, column in zip(*linear_sum_assignment(value, maximize=True), strict=True):
        if value[row, column] > 0:
            of[row], measured[row] = column, shared[row, column]
    best = np.where(touch, strength[None, :], 0.0).max(axis=1, initial=0.0)
    return Match(of, measured, np.asarray(best), np.asarray(touch.any(axis=0)), kept, sure)
