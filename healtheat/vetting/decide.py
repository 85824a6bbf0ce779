"""Which boxes of a batch are accepted, so that at most the asked share of them is wrong.

How many boxes are of which kind is learned from the batch: expectation-maximisation of the shares under fixed
likelihoods (Saerens, Latinne, Decaestecker: Adjusting the outputs of a classifier to new a priori
probabilities, Neural Computation 2002). Then boxes are accepted from the best on, as long as the expected
share of wrong ones among them stays below the bound. How many wrong ones lie so low is known from errors made
of trusted boxes that no model saw: their conformal p-values, under "this box is wrong", go through the
step-up rule of Benjamini and Hochberg (1995) with the share of wrong boxes estimated (Storey 2002; for
conformal p-values Jin and Candès: Selection by prediction with conformal p-values, JMLR 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.vetting.kinds import RIGHT, USUAL

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_PRIOR_BOXES = 20.0  # boxes that the usual shares count for beside those of the batch
_ROUNDS = 300
_MOST_WRONG = 0.95
_Z = 1.645  # of the 90 % interval


@dataclass(frozen=True, slots=True)
class Known:
    """Boxes of known kind that no model saw: `log_likelihood` (n, 6) and `kind` (n,)."""

    log_likelihood: Floats
    kind: Ids


@dataclass(frozen=True, slots=True)
class Mixture:
    """`share` (6,) of each kind in a batch; `wrong` of them with its 90 % interval."""

    share: Floats
    wrong: float
    low: float
    high: float

    @classmethod
    def of(cls, log_likelihood: Floats) -> Mixture:
        """Of m boxes (m, 6)."""
        m = len(log_likelihood)
        share = USUAL.copy()
        if m:
            like = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
            for _ in range(_ROUNDS):
                belongs = like * share
                belongs /= belongs.sum(axis=1, keepdims=True)
                share = (belongs.sum(axis=0) + _PRIOR_BOXES * USUAL) / (m + _PRIOR_BOXES)
        wrong = 1 - float(share[RIGHT])
        error = _standard_error(log_likelihood, share, wrong)
        low, high = max(0.0, wrong - _Z * error), min(1.0, wrong + _Z * error)
        return cls(share, wrong, low, high)

    @property
    def weights(self) -> Floats:
        """(5,) the shares of the wrong kinds, each at least its usual part of the wrong boxes: what a batch
        does not show may be there all the same, and looks right. Their sum is `wrong` or more.
        """
        return np.asarray(np.maximum(self.share[1:], self.wrong * USUAL[1:] / USUAL[1:].sum()))

    def against(self, log_likelihood: Floats) -> Floats:
        """(n,) log of how much likelier a wrong kind makes each box than a right one does."""
        mix = self.weights / self.weights.sum()
        with np.errstate(divide="ignore"):
            wrong = np.logaddexp.reduce(log_likelihood[:, 1:] + np.log(mix), axis=1)
        return np.asarray(wrong - log_likelihood[:, RIGHT])

    def chance(self, log_likelihood: Floats) -> Floats:
        """(n,) that each box is wrong."""
        odds = self.against(log_likelihood) + np.log(self.wrong) - np.log1p(-self.wrong)
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))

    def likeliest(self, log_likelihood: Floats) -> Ids:
        """(n,) the likeliest of the wrong kinds."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 + (log_likelihood[:, 1:] + np.log(self.share[1:])).argmax(axis=1))


def _standard_error(log_likelihood: Floats, share: Floats, wrong: float) -> float:
    """Of the share of wrong boxes, by the information that the batch and the prior hold about it."""
    mix = share[1:] / wrong
    like = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True, initial=-700.0))
    bad, good = like[:, 1:] @ mix, like[:, RIGHT]
    slope = (bad - good) / np.maximum(wrong * bad + (1 - wrong) * good, 1e-300)
    prior = _PRIOR_BOXES / (wrong * (1 - wrong))
    return float(1 / np.sqrt((slope**2).sum() + prior))


def accepted(log_likelihood: Floats, mixture: Mixture, known: Known, max_wrong: float) -> NDArray[np.bool_]:
    """(m,) the boxes to accept so that at most `max_wrong` of them are expected to be wrong.

    The share of wrong boxes is taken at the upper end of its interval.
    """
    m = len(log_likelihood)
    score, of_known = mixture.against(log_likelihood), mixture.against(known.log_likelihood)
    as_low = np.zeros(m)  # share of boxes of the batch that are wrong and lie as low
    for kind, share in enumerate(mixture.weights, 1):
        made = np.sort(of_known[known.kind == kind])
        below = np.searchsorted(made, score, side="right")
        as_low += share * ((below + 1) / (len(made) + 1) if len(made) else 1.0)
    as_low *= min(mixture.high, _MOST_WRONG) / mixture.wrong
    order = np.argsort(score, kind="stable")
    expected = m * as_low[order] / np.arange(1, m + 1)
    out = np.zeros(m, bool)
    enough = np.flatnonzero(expected <= max_wrong)
    if len(enough):
        out[order[: enough[-1] + 1]] = True
    return out


def outlook(known: Known, max_wrong: float, seed: int = 0) -> float:
    """Share of the right boxes that would be accepted of a batch like the trusted boxes with usual errors.

    NaN where no right box is known.
    """
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(known.kind == RIGHT)]
    n = len(rows[0])
    if not n:
        return float("nan")
    for kind, share in enumerate(USUAL[1:], 1):
        there = np.flatnonzero(known.kind == kind)
        if len(there):
            rows.append(rng.choice(there, max(1, round(n * share / USUAL[RIGHT]))))
    batch = known.log_likelihood[np.concatenate(rows)]
    return float(accepted(batch, Mixture.of(batch), known, max_wrong)[:n].mean())


def typical(score: Floats, right: Floats) -> Floats:
    """(m,) conformal p-values under "this box is right": how many trusted boxes look as wrong or worse."""
    ordered = np.sort(right)
    above = len(ordered) - np.searchsorted(ordered, score, side="left")
    return np.asarray((above + 1) / (len(ordered) + 1))
