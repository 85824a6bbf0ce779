"""How good a ranking is, and how sure that is: average precision, precision at a budget, bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True, slots=True)
class Ranking:
    """One planting's answer: `score` (n,) with NaN where nothing judged, `truth` (n,), source group (n,)."""

    score: Floats
    truth: NDArray[np.bool_]
    group: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not self.score.shape == self.truth.shape == self.group.shape:
            raise ValueError(
                f"score {self.score.shape}, truth {self.truth.shape} and group {self.group.shape} differ"
            )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the interval of LEVEL around it."""

    value: float
    low: float
    high: float


def curve(ranking: Ranking, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Weight of all rows and of the true ones down to each distinct score, best first; NaN goes last."""
    weight = np.ones(len(ranking.score)) if weight is None else weight
    score = np.nan_to_num(ranking.score, nan=-1.0)
    order = np.argsort(-score, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(score[order])), len(order) - 1] if len(order) else np.zeros(0, int)
    return np.cumsum(weight[order])[ends], np.cumsum(weight[order] * ranking.truth[order])[ends]


def average_precision(ranking: Ranking, weight: Floats | None = None) -> float:
    """Sum of precision × gain in recall over distinct scores, ties taken together; NaN without a true row."""
    total, true = curve(ranking, weight)
    if not len(true) or true[-1] <= 0:
        return float("nan")
    gain = np.diff(true, prepend=0.0)
    kept = total > 0
    return float((gain[kept] * true[kept] / total[kept]).sum() / true[-1])


def precision_at(ranking: Ranking, budget: float, weight: Floats | None = None) -> float:
    """Expected share of true rows among the first `budget`, rows of equal score in random order."""
    total, true = curve(ranking, weight)
    if not len(total) or budget <= 0:
        return float("nan")
    budget = min(budget, float(total[-1]))
    found = np.interp(budget, np.r_[0.0, total], np.r_[0.0, true])
    return float(found / budget)


def _true(ranking: Ranking, weight: Floats | None = None) -> float:
    return float(ranking.truth.sum() if weight is None else weight @ ranking.truth)


def estimate(
    rankings: Sequence[Ranking], budget: float | None = None, *, seed: int = 0, rounds: int = 300
) -> tuple[Estimate, Estimate]:
    """Average precision and precision at the budget, means over plantings, with percentile intervals.

    Without a `budget`, it is the number of true rows, in each bootstrap sample its own.

    Each bootstrap round draws plantings, and in each of them sources, with replacement: boxes of one source
    are not independent. (Davison & Hinkley 1997, section 3.8.)
    """
    rng = np.random.default_rng(seed)
    drawn: list[tuple[float, float]] = []
    counts = [len(np.unique(r.group)) for r in rankings]
    place = [np.unique(r.group, return_inverse=True)[1] for r in rankings]
    for _ in range(rounds):
        ap, at = [], []
        for i in rng.integers(len(rankings), size=len(rankings)):
            times = rng.multinomial(counts[i], np.full(counts[i], 1 / counts[i])).astype(np.float64)
            weight = times[place[i]]
            ap.append(average_precision(rankings[i], weight))
            at.append(precision_at(rankings[i], budget or _true(rankings[i], weight), weight))
        drawn.append((float(np.mean(ap)), float(np.mean(at))))
    values = (
        float(np.mean([average_precision(r) for r in rankings])),
        float(np.mean([precision_at(r, budget or _true(r)) for r in rankings])),
    )
    tail = 100 * (1 - LEVEL) / 2
    answers = []
    for value, column in zip(values, np.array(drawn, np.float64).T, strict=True):
        known = column[np.isfinite(column)]
        low, high = np.percentile(known, [tail, 100 - tail]) if len(known) else (np.nan, np.nan)
        answers.append(Estimate(value, float(low), float(high)))
    return answers[0], answers[1]
