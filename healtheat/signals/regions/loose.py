"""Which labelled boxes are loose? Those that fit their object as boxes do that were made loose on purpose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from healtheat.core.overlap import iou_of_pairs

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LOOSE_FROM, LOOSE_TO = 0.5, 0.8  # IoU of a box that was made loose with the labelled one
_SHIFT, _SCALE = 0.25, 0.37  # how far it is moved, in sides and in log sides
_TRIES = 20
_CLIP, _HARD = 0.001, 0.999
_PRIOR = 50.0  # boxes that the whole of the data counts for in a class
_LEAST, _MOST = 1e-4, 0.5  # share of loose boxes
_FAR = 30.0  # largest log odds that are told apart


def loosened(xyxyn: Floats, rng: np.random.Generator) -> Floats:
    """(b, 4) each box shifted and scaled at random to an IoU of LOOSE_FROM to LOOSE_TO, inside the image.

    NaN where no try came to that.
    """
    out = np.full(xyxyn.shape, np.nan)
    for _ in range(_TRIES):
        left = np.flatnonzero(np.isnan(out[:, 0]))
        if not len(left):
            break
        side = xyxyn[left, 2:] - xyxyn[left, :2]
        centre = (xyxyn[left, 2:] + xyxyn[left, :2]) / 2 + rng.uniform(-_SHIFT, _SHIFT, side.shape) * side
        side = side * np.exp(rng.uniform(-_SCALE, _SCALE, side.shape))
        new = np.clip(np.concatenate([centre - side / 2, centre + side / 2], axis=1), 0, 1)
        fit = iou_of_pairs(new, xyxyn[left])
        good = (fit >= LOOSE_FROM) & (fit <= LOOSE_TO)
        out[left[good]] = new[good]
    return out


@dataclass(frozen=True, slots=True)
class Looseness:
    """`chance` (b,) that a box is loose, its `usual` (b,) fit, and the `share` of loose ones."""

    chance: Floats
    usual: Floats
    share: float


def looseness(fit: Floats, code: Codes, planted: Floats, planted_code: Codes) -> Looseness:
    """How likely labelled boxes are loose, by their `fit` (b,), the IoU with where their objects seem to end.

    `planted` (p,) are the fits of boxes that were made loose on purpose, `code` (b,) and `planted_code` (p,)
    classes: they differ in what is usual. The density of well placed boxes by that of loose ones is taken as
    log-linear in logit(fit), and a share of the labelled boxes as loose: maximum likelihood, with a weak
    prior (Beta(1, 10)) on the share. So the share is read off where boxes fit worst: if nearly as many
    labelled as planted ones are there, by their numbers, labels are loose. The chance never falls as a box
    fits worse.
    """
    y = logit(np.clip(fit, _CLIP, _HARD))
    middle = float(np.median(y))
    offset = np.zeros(int(max(code.max(), planted_code.max(initial=0))) + 1)
    for one in np.unique(code):
        mine = y[code == one]
        offset[one] = (np.median(mine) - middle) * len(mine) / (len(mine) + _PRIOR)
    x = y - offset[code] - middle
    planted_x = logit(np.clip(planted, _CLIP, _HARD)) - offset[planted_code] - middle

    def density(w: Floats, x: Floats) -> Floats:
        """Of labelled boxes by that of planted ones."""
        good = np.exp(np.clip(w[1] + w[2] * x, -_FAR, _FAR))
        return np.asarray((1 - w[0]) * good + w[0])

    def loss(w: Floats) -> float:
        more = len(x) / len(planted_x)
        value = np.log1p(1 / (density(w, x) * more)).sum()
        value += np.log1p(density(w, planted_x) * more).sum()
        return float(value + w[2] ** 2 / 200 - 9 * np.log1p(-w[0]))

    start = np.array([0.05, 0.0, 1.0])
    bounds = [(_LEAST, _MOST), (-20, 20), (0, 20)]
    w = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    chance = np.clip(w[0] / density(w, x), 0, 1)
    return Looseness(chance, np.asarray(expit(middle + offset[code])), float(w[0]))
