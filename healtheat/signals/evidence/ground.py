"""Crops against tiles of background: one linear classifier."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ground:
    """A logistic regression: `coef` (k,) and `intercept` of the log odds that a row is background."""

    coef: Floats
    intercept: float

    @classmethod
    def fit(cls, data: Floats, is_tile: NDArray[np.int64]) -> Ground:
        """From whitened rows (n, k); `is_tile` (n,) marks the tiles with 1, and both kinds are needed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop is good enough here
            model = LogisticRegression(C=0.05, max_iter=100, class_weight="balanced").fit(data, is_tile)
        return cls(np.asarray(model.coef_[0], np.float64), float(model.intercept_[0]))

    def log_odds(self, data: Floats) -> Floats:
        """(n,) of the rows of `data` (n, k)."""
        return np.asarray(data @ self.coef + self.intercept)
