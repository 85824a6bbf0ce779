"""Which boxes that overlap lie on one object, judged by how boxes of this set overlap anyhow.

Pills on a tray never overlap; cells, coins and fanned notes do, rightly. The IoU of two right boxes falls off
exponentially, in each image at its own rate (drawn towards that of the set); two boxes on one object
agree well. The share of the latter is learned by expectation-maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.core.overlap import iou
from healtheat.signals.samples import Samples

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_PRIOR_IOU = 0.1  # of two right boxes that overlap, where a set shows none
_LEAST_IOU = 0.05  # usual one that is believed: boxes of the whole image overlap all others by little
_PRIOR_PAIRS = 5.0  # what that, and an image's set, are worth in pairs
_AGREEMENT = 5.0  # density 5 u⁴ of the IoU u of two boxes on one object: 0.83 in the mean
_ROUNDS = 50
_CONVENTION = 0.5  # share of a class's boxes with another class's box on them from which it is meant so


@dataclass(frozen=True, slots=True)
class Overlaps:
    """m pairs of boxes of one image that overlap: rows `a` < `b`, IoU, and the chance of one object."""

    a: Ids
    b: Ids
    iou: Floats
    chance: Floats


def doubled(samples: Samples, teaches: NDArray[np.bool_]) -> Overlaps:
    """Every overlapping pair of the samples; what is usual is learned from rows that `teaches` (n,) marks."""
    a, b, overlap = _pairs(samples)
    chance = np.zeros(len(a))
    same = samples.class_code[a] == samples.class_code[b]
    image = samples.image_row[a]
    for own in (same, ~same):
        chance[own] = one_object(overlap[own], image[own], teaches[a[own]] & teaches[b[own]])
    chance[_meant(samples, a, b, chance) & ~same] = 0.0
    return Overlaps(a, b, overlap, chance)


def one_object(overlap: Floats, image: Ids, known: NDArray[np.bool_]) -> Floats:
    """(m,) chance that two boxes with IoU `overlap` (m,) in (0, 1] are on one object.

    `image` (m,) says which pairs share an image; only pairs that are `known` (m,) teach.
    """
    agree = _AGREEMENT * overlap ** (_AGREEMENT - 1)
    chance = np.where(overlap > 0.7, 0.9, 0.01)
    for _ in range(_ROUNDS):
        right = (1 - chance) * known
        usual = max((right @ overlap + _PRIOR_PAIRS * _PRIOR_IOU) / (right.sum() + _PRIOR_PAIRS), _LEAST_IOU)
        usual_here = np.maximum(_of_image(overlap, 1 - chance, image, usual), _LEAST_IOU)
        share = float(np.clip((chance[known].sum() + 0.5) / (known.sum() + 1), 1e-4, 0.5))
        doubles = share * agree
        chance = doubles / (doubles + (1 - share) * np.exp(-overlap / usual_here) / usual_here)
    return np.asarray(chance)


def _of_image(overlap: Floats, right: Floats, image: Ids, usual: float) -> Floats:
    """(m,) mean IoU of the image's other right pairs, drawn towards the set's `usual`."""
    codes = np.unique(image, return_inverse=True)[1].reshape(-1)
    total = np.bincount(codes, right * overlap)[codes] - right * overlap
    count = np.bincount(codes, right)[codes] - right
    return np.asarray(np.maximum(total + _PRIOR_PAIRS * usual, 1e-6) / np.maximum(count + _PRIOR_PAIRS, 1e-6))


def _pairs(samples: Samples) -> tuple[Ids, Ids, Floats]:
    order = np.argsort(samples.image_row, kind="stable")
    cuts = np.flatnonzero(np.diff(samples.image_row[order])) + 1
    corners = samples.boxes.xyxyn
    parts: list[tuple[Ids, Ids, Floats]] = []
    for rows in np.split(order, cuts):
        if len(rows) > 1:
            overlap = np.triu(iou(corners[rows], corners[rows]), 1)
            i, j = np.nonzero(overlap)
            parts.append((rows[i], rows[j], overlap[i, j]))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    a, b, overlap = (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.minimum(a, b), np.maximum(a, b), np.minimum(overlap, 1.0)


def _meant(samples: Samples, a: Ids, b: Ids, chance: Floats) -> NDArray[np.bool_]:
    """(m,) whether boxes of these two classes lie on each other as a rule: a part and its whole, say."""
    code, c = samples.class_code, len(samples.class_ids)
    low, high = np.minimum(code[a], code[b]), np.maximum(code[a], code[b])
    doubles = np.bincount(low * c + high, chance, minlength=c * c)
    rarer = np.minimum(samples.class_count[low], samples.class_count[high])
    return np.asarray((rarer > 2) & (doubles[low * c + high] > _CONVENTION * rarer))
