"""Weigh several pieces of class evidence into one probability: a conditional logit that expects wrong labels.

McFadden: Conditional logit analysis of qualitative choice behavior, 1974. One weight a piece of evidence,
shared by all classes, so that a handful of numbers is learned and a few hundred boxes are enough. The
likelihood mixes in a share of random labels: wrong labels must not teach it to distrust good evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
_ROWS = 20_000  # more boxes do not make five weights better
_PRIOR_WEIGHT = 0.3
_RIDGE = 0.01


def log_softmax(logit: Floats) -> Floats:
    """Row-wise, without overflow."""
    top = logit - logit.max(axis=1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(axis=1, keepdims=True)))


@dataclass(frozen=True, slots=True)
class Stacked:
    """`weights` (f,) and what they give: `log_p` (n, c)."""

    weights: Floats
    log_p: Floats


def fit_weights(
    parts: Sequence[Floats],
    code: NDArray[np.int64],
    wrong: float = 0.05,
    teaches: NDArray[np.bool_] | None = None,
) -> Stacked:
    """Weights >= 0 of `parts` ((n, c) each) that make the labels likely, `wrong` of which are random.

    Only the labels of rows that `teaches` (n,) marks count, all by default.
    """
    n, c = parts[0].shape
    data = np.stack([p - p.mean(axis=1, keepdims=True) for p in parts], axis=2)
    known = np.arange(n) if teaches is None else np.flatnonzero(teaches)
    m = len(known)
    rows = known if m <= _ROWS else known[np.random.default_rng(0).choice(m, _ROWS, replace=False)]
    x, y = data[rows], code[rows]
    at = np.arange(len(rows))
    prior = np.full(len(parts), _PRIOR_WEIGHT)

    def loss(weights: Floats) -> tuple[float, Floats]:
        p = np.exp(log_softmax(x @ weights))
        likely = (1 - wrong) * p[at, y] + wrong / c
        pull = (1 - wrong) * p[at, y] / likely
        gradient = x[at, y] - np.einsum("nc,ncf->nf", p, x)
        penalty = weights - prior
        value = -np.log(likely).mean() + _RIDGE / 2 * float(penalty @ penalty)
        return float(value), -(pull[:, None] * gradient).mean(axis=0) + _RIDGE * penalty

    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(parts))
    return Stacked(np.asarray(found.x), log_softmax(data @ found.x))
