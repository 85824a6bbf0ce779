"""From a measure to a probability without a single checked label.

Either a model already gives every box a probability, and a curve only makes it rise with the measure; or what
the measure is on errors is known by simulation (a box put on background), and a first idea says which boxes
of this data are not to be taken for right ones (Platt 1999 for the logistic curve; Elkan, Noto: Learning
classifiers from only positive and unlabeled data, KDD 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]
_LEAST, _MOST = 0.002, 0.5  # share of errors
_STEEPEST = 50.0


def logistic_curve(values: Floats, target: Floats, weight: Floats) -> tuple[float, float]:
    """Slope >= 0 and intercept of a weighted logistic regression on one value, with a mild ridge."""
    total = weight.sum()

    def loss(ab: Floats) -> tuple[float, Floats]:
        z = ab[0] * values + ab[1]
        value = float((weight * (np.logaddexp(0, z) - target * z)).sum() / total)
        error = weight * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - target) / total
        ridge = 1e-4 * ab * np.array([1.0, 0.0])
        return value + float(ab @ ridge) / 2, np.array([error @ values, error.sum()]) + ridge

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, _STEEPEST), (-200, 200)]
    )
    return float(found.x[0]), float(found.x[1])


def smooth_probability(measure: Floats, p: Floats) -> Floats:
    """(n,) the probabilities `p` as a strictly rising function of `measure`; both (n,) and finite.

    Steps (isotonic regression) say how high, a fiftieth of a logistic curve keeps the order within a step.
    """
    n = len(measure)
    if not n:
        return np.zeros(0)
    x = _standard(measure, measure)
    steps = IsotonicRegression(out_of_bounds="clip").fit(x, p).predict(x)  # it merges values close by
    slope, intercept = logistic_curve(np.r_[x, x], np.r_[np.zeros(n), np.ones(n)], np.r_[1 - p, p] + 1e-9)
    return np.asarray(0.98 * steps + 0.02 * _curve(x, slope, intercept))


def error_probability(measure: Floats, simulated: Floats, start: Floats) -> Floats:
    """(n,) probability that each box is an error, strictly rising with `measure` (n,).

    `simulated` (m,) is the measure on made errors, `start` (n,) a first idea of the result; all finite,
    m >= 1. Only the share of errors and what right boxes look like is taken from `start`.
    """
    n, m = len(measure), len(simulated)
    if not n:
        return np.zeros(0)
    x, s = _standard(measure, np.r_[measure, simulated]), _standard(simulated, np.r_[measure, simulated])
    share = float(np.clip(start.mean(), _LEAST, _MOST))
    weight = np.r_[1 - start, np.full(m, share * n / m)]
    slope, intercept = logistic_curve(np.r_[x, s], np.r_[np.zeros(n), np.ones(m)], weight)
    return _curve(x, slope, intercept)


def _standard(values: Floats, of: Floats) -> Floats:
    return np.asarray((values - np.median(of)) / max(float(np.std(of)), 1e-9))


def _curve(x: Floats, slope: float, intercept: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(slope * x + intercept, -500, 500))))
