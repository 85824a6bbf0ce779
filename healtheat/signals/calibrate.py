"""From a measure to a probability, without a single checked label.

What the measure would be on errors is known by simulation (a label exchanged, a box put on background);
what it is on this data is a mixture of few errors and many right boxes. A logistic curve between the two
parts of the mixture, found by expectation-maximisation, gives each box its probability (Platt 1999 for
the curve; Elkan, Noto: Learning classifiers from only positive and unlabeled data, KDD 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
ROUNDS = 5
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


def error_probability(measure: Floats, simulated: Floats, start: Floats) -> Floats:
    """(n,) probability that each box is an error, strictly rising with `measure` (n,).

    `simulated` (m,) is the measure on made errors, `start` (n,) a first idea of the result; all finite,
    m >= 1. The first idea decides which part of the mixture is which where errors and right boxes lie apart.
    """
    n, m = len(measure), len(simulated)
    if not n:
        return np.zeros(0)
    centre, scale = float(np.median(measure)), max(float(np.std(np.r_[measure, simulated])), 1e-9)
    x, s = (measure - centre) / scale, (simulated - centre) / scale
    values, target = np.r_[x, s], np.r_[np.zeros(n), np.ones(m)]
    p = start
    for _ in range(ROUNDS):
        share = float(np.clip(p.mean(), _LEAST, _MOST))
        weight = np.r_[1 - p, np.full(m, share * n / m)]
        slope, intercept = logistic_curve(values, target, weight)
        p = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -500, 500)))
    return np.asarray(p)
