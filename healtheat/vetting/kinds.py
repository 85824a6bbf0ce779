"""What a new box may be: right, or wrong in one of five ways that can be made of trusted boxes.

A multinomial logistic regression over the features says how likely each way makes a box. It is fitted on
trusted boxes and on errors made of them; how many boxes of a batch are of which kind is not learned here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from healtheat.signals.evidence.stack import log_softmax

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

KINDS = ("right", "class", "alike", "moved", "background", "unknown")
RIGHT, CLASS, ALIKE, MOVED, BACKGROUND, UNKNOWN = range(len(KINDS))
USUAL = np.array([0.9, 0.02, 0.03, 0.02, 0.015, 0.015])  # shares expected of a batch nothing is known of


@dataclass(frozen=True, slots=True)
class KindModel:
    """`mean`, `scale` (f,) of the features; `coef` (k, f), `intercept` (k,) of the kinds `present` (k,)."""

    mean: Floats
    scale: Floats
    coef: Floats
    intercept: Floats
    present: Ids

    @classmethod
    def fit(cls, features: Floats, kind: Ids) -> KindModel:
        """From `features` (n, f) of boxes of known `kind` (n,), at least two kinds of them."""
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
        present, count = np.unique(kind, return_counts=True)
        share = np.where(present == RIGHT, 0.5, 0.5 * USUAL[present] / USUAL[1:].sum())
        weight = np.zeros(len(KINDS))
        weight[present] = share * len(kind) / count
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop is good enough here
            model = LogisticRegression(C=1.0, max_iter=1000)
            model.fit((features - mean) / scale, kind, sample_weight=weight[kind])
        coef, intercept = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
        if len(present) == 2:
            coef, intercept = np.stack([np.zeros_like(coef[0]), coef[0]]), np.r_[0.0, intercept]
        return cls(mean, scale, coef, intercept - np.log(share), present)

    def log_likelihood(self, features: Floats) -> Floats:
        """(n, 6) how likely each kind makes the features (n, f), up to one factor a row; -inf for kinds that
        were not there to learn from.
        """
        out = np.full((len(features), len(KINDS)), -np.inf)
        logit = (features - self.mean) / self.scale @ self.coef.T + self.intercept
        out[:, self.present] = log_softmax(logit)
        return out
