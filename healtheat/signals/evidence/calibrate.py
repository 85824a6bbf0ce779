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


def smooth_probability(measure: Floats, p: Floats, teaches: NDArray[np.bool_] | None = None) -> Floats:
    """(n,) the probabilities `p` as a strictly rising function of `measure`; both (n,) and finite.

    Steps (isotonic regression) say how high, a fiftieth of a logistic curve keeps the order within a step.
    It is learned from the rows that `teaches` (n,) marks, all by default; zeros where there are none.
    """
    known = slice(None) if teaches is None or teaches.all() else teaches
    n = len(measure[known])
    if not n:
        return np.zeros(len(measure))
    x, q = _standard(measure, measure[known]), p[known]
    t = x[known]
    steps = IsotonicRegression(out_of_bounds="clip").fit(t, q).predict(x)  # it merges values close by
    slope, intercept = logistic_curve(np.r_[t, t], np.r_[np.zeros(n), np.ones(n)], np.r_[1 - q, q] + 1e-9)
    return np.asarray(0.98 * steps + 0.02 * _curve(x, slope, intercept))


def error_probability(
    measure: Floats, simulated: Floats, start: Floats, teaches: NDArray[np.bool_] | None = None
) -> Floats:
    """(n,) probability that each box is an error, strictly rising with `measure` (n,).

    `simulated` (m,) is the measure on made errors, `start` (n,) a first idea of the result; all finite,
    m >= 1. Only the share of errors and what right boxes look like is taken from `start`, of the rows that
    `teaches` (n,) marks, all by default; zeros where there are none.
    """
    known = slice(None) if teaches is None or teaches.all() else teaches
    n, m = len(measure[known]), len(simulated)
    if not n:
        return np.zeros(len(measure))
    together = np.r_[measure[known], simulated]
    x, s = _standard(measure, together), _standard(simulated, together)
    share = float(np.clip(start[known].mean(), _LEAST, _MOST))
    weight = np.r_[1 - start[known], np.full(m, share * n / m)]
    slope, intercept = logistic_curve(np.r_[x[known], s], np.r_[np.zeros(n), np.ones(m)], weight)
    return _curve(x, slope, intercept)


def _standard(values: Floats, of: Floats) -> Floats:
    return np.asarray((values - np.median(of)) / max(float(np.std(of)), 1e-9))


def _curve(x: Floats, slope: float, intercept: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(slope * x + intercept, -500, 500))))
