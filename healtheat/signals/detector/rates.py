"""How far a detector may contradict the labels on this data: agreement rates, and what is beyond them.

No label is known to be right. But a detector's own mistakes become rare where it is confident, and wrong
labels do not: the disagreement that stays at the highest confidences is theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import t as student

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_CLIP = 0.001  # confidences are kept this far from 0 and 1
_LEAST, _MOST = 0.002, 0.5  # share of errors
_HARD = 0.999  # IoU above it is taken for it
_FREEDOM = 4.0  # tails of the usual IoU: detectors are off by far now and then
_PRIOR = 5.0  # boxes that the whole of the data counts for in a class


@dataclass(frozen=True, slots=True)
class Plateau:
    """Result of `plateau`: `right` (n,) chance that the prediction is right, `share` of wrong labels."""

    right: Floats
    share: float
    slope: float
    intercept: float

    def wrong(self, agree: NDArray[np.bool_], differ: float) -> Floats:
        """(n,) chance that the label is wrong, given whether the two agree.

        `differ` is the chance that label and prediction differ where both are wrong.
        """
        e, right = self.share, self.right
        apart = e * (right + (1 - right) * differ)
        apart = apart / np.maximum(apart + (1 - e) * (1 - right), 1e-12)
        alike = e * (1 - right) * (1 - differ)
        alike = alike / np.maximum(alike + (1 - e) * right, 1e-12)
        return np.asarray(np.where(agree, alike, apart))

    def usual(self, confidence: Floats) -> Floats:
        """(n,) chance that a prediction of that confidence is right, whatever its class."""
        return np.asarray(expit(self.intercept + self.slope * _logit(confidence)))

    def overlooked(self) -> Floats:
        """(n,) chance of an object without a label, where no label agrees that there is one."""
        seen = self.share * self.right
        return np.asarray(seen / np.maximum(seen + 1 - self.right, 1e-12))


def plateau(agree: NDArray[np.bool_], confidence: Floats, *groups: Codes) -> Plateau:
    """Agreement (n,) as a function of `confidence` (n,), with an offset for each code of each of `groups`.

    P(agree) = (1 - share) × logistic(intercept + slope × logit(confidence) + offsets): maximum likelihood
    with a standard normal prior on every offset, and a weak one (Beta(1.5, 10)) on `share`, which a detector
    of constant confidence leaves open.
    """
    x = _logit(confidence)
    y = agree.astype(np.float64)
    sizes = [int(g.max(initial=-1)) + 1 for g in groups]
    starts = 3 + np.cumsum([0, *sizes])

    def split(p: Floats) -> tuple[Floats, Floats]:
        z = p[1] + p[2] * x
        for g, start in zip(groups, starts, strict=False):
            z = z + p[start + g]
        s = np.clip(expit(z), 1e-9, 1 - 1e-9)
        return s, np.clip((1 - p[0]) * s, 1e-9, 1 - 1e-9)

    def loss(p: Floats) -> tuple[float, Floats]:
        s, r = split(p)
        offsets = p[3:]
        value = -(y * np.log(r) + (1 - y) * np.log1p(-r)).sum() + (offsets @ offsets) / 2
        value += (p[2] - 1) ** 2 / 8 + (p[1] - 1) ** 2 / 18 - 0.5 * np.log(p[0]) - 9 * np.log1p(-p[0])
        by_r = (1 - y) / (1 - r) - y / r
        by_z = by_r * (1 - p[0]) * s * (1 - s)
        gradient = np.empty_like(p)
        gradient[0] = -(by_r * s).sum() - 0.5 / p[0] + 9 / (1 - p[0])
        gradient[1] = by_z.sum() + (p[1] - 1) / 9
        gradient[2] = (by_z * x).sum() + (p[2] - 1) / 4
        for g, start, size in zip(groups, starts, sizes, strict=False):
            gradient[start : start + size] = np.bincount(g, by_z, size) + p[start : start + size]
        return float(value), gradient

    start = np.zeros(int(starts[-1]))
    start[:3] = 0.05, 1.0, 1.0
    bounds = [(_LEAST, _MOST), (-20, 20), (0, 10), *[(-5, 5)] * (len(start) - 3)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Plateau(split(found)[0], float(found[0]), float(found[2]), float(found[1]))


@dataclass(frozen=True, slots=True)
class Placing:
    """Result of `placing`: `wrong` (n,) chance of a badly placed box, `usual` (n,) IoU of such boxes."""

    wrong: Floats
    usual: Floats
    share: float


def placing(iou: Floats, confidence: Floats, class_code: Codes, rounds: int = 30) -> Placing:
    """Which boxes overlap the prediction less than is usual for their class and confidence.

    logit(IoU) of well placed boxes follows Student's t (4 degrees) around a line in logit(confidence), with
    an offset per class that is drawn towards none; IoU of badly placed ones is anything. Expectation
    maximisation finds line, spread and share. The chance never falls as a box gets further below what is
    usual for it.
    """
    q = np.clip(iou, _CLIP, _HARD)
    y = logit(q)
    x = _logit(confidence)
    classes = int(class_code.max(initial=-1)) + 1
    share, bad = 0.05, np.zeros(len(y))
    centre, scale = (
        np.full(len(y), float(np.median(y))),
        max(float(np.median(np.abs(y - np.median(y)))), 0.05),
    )
    for _ in range(rounds):
        z = (y - centre) / scale
        weight = (1 - bad) * (_FREEDOM + 1) / (_FREEDOM + z**2)
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = float((weight * (x - mean_x) ** 2).sum()) + 1.0  # as if one more box said: no slope
        slope = max(float((weight * (x - mean_x) * (y - mean_y)).sum()) / spread, 0.0)
        line = mean_y + slope * (x - mean_x)
        total = np.bincount(class_code, weight, classes)
        offset = np.bincount(class_code, weight * (y - line), classes) / (total + _PRIOR)
        centre = line + offset[class_code]
        scale = max(float(np.sqrt((weight * (y - centre) ** 2).sum() / max((1 - bad).sum(), 1))), 0.05)
        z = np.minimum((y - centre) / scale, 0)
        usual = (1 - share) * student.pdf(z, _FREEDOM) / scale
        anything = share * q * (1 - q)  # uniform in IoU, as a density of logit(IoU)
        bad = anything / (anything + usual)
        share = float(np.clip(bad.mean(), _LEAST, _MOST))
    order = np.argsort(-z, kind="stable")  # from the usual ones to those far below
    rising = np.empty(len(z))
    rising[order] = np.maximum.accumulate(bad[order]) if len(z) else bad
    return Placing(rising, np.asarray(expit(centre)), share)


def unfound(best: Floats, class_code: Codes, least: float) -> tuple[Floats, Floats]:
    """Chance (n,) that a box no prediction touches holds nothing, and the share found (n,) of its class.

    `best` (n,) is the highest confidence of a prediction on the box, 0 if none; only those of at least
    `least` (above 0) count. The detector's own misses are estimated from those it nearly missed: as many
    real boxes are taken to lie below `least` as in the band as wide above it (and a standard error more),
    and, in a class that goes unfound more often than by chance, that excess too.
    """
    n = len(best)
    if not n:
        return np.zeros(0), np.zeros(0)
    missed = best < least
    narrow = ~missed & (best < 2 * least)
    size = np.bincount(class_code).astype(np.float64)
    near, gone = np.bincount(class_code, narrow), np.bincount(class_code, missed)
    usual_near, usual_gone = _usual(near, size), _usual(gone, size)
    miss = (near + 1) / (size + 1 / usual_near)  # as if one more near miss had come at the usual rate
    gone_class = (gone + _PRIOR * usual_gone) / (size + _PRIOR)
    by_chance = 2 * np.sqrt(usual_gone * (1 - usual_gone) / (size + _PRIOR))
    miss = np.clip(np.maximum(miss, gone_class - usual_gone - by_chance), 1e-4, 1)
    share = float(np.clip(missed.mean(), _LEAST, _MOST))
    for _ in range(50):
        empty = share / (share + (1 - share) * miss)
        share = float(np.clip((empty[class_code] * missed).mean(), _LEAST, _MOST))
    return np.asarray(empty[class_code]), np.asarray(1 - gone_class[class_code])


def _usual(count: NDArray[Any], size: Floats) -> float:
    """The rate of the classes together, one standard error up; classes that stand out do not count."""
    kept = np.ones(len(size), bool)
    for _ in range(5):
        rate = count[kept].sum() / size[kept].sum()
        inside = count <= rate * size + 3 * np.sqrt(rate * size) + 1
        if not inside.any() or (inside == kept).all():
            break
        kept = inside
    events = float(count[kept].sum())
    return min((events + math.sqrt(events) + 1) / (float(size[kept].sum()) + 2), 1.0)


def _logit(confidence: Floats) -> Floats:
    return np.asarray(logit(np.clip(confidence, _CLIP, 1 - _CLIP)))
