"""What the verdicts say of a queue: precision so far, errors likely left, and whether to go on.

Precision: the share of drop, relabel, added and moved among these and ok; `unsure`, and a finding that a
verdict on another one of its box closed, say nothing either way. Its 90 % interval is Jeffreys' (Brown, Cai,
DasGupta 2001). It is the precision of what was looked at, which is the top of the queue, not of the queue.

Errors left: findings are cut into bins by score. In each bin the share of errors has a Beta posterior: the
verdicts in it, and a prior worth `PRIOR_WEIGHT` verdicts at the bin's mean score, times how many errors the
judged ones held for each that their scores promised (scores are meant as probabilities, and may all be too
high). That factor is drawn as well, from the posterior of the share of errors among all judged. Draws from
the posteriors are made to rise with the score (isotonic regression of each draw: Lin and Dunson 2014), and
the undecided findings of a bin are errors by a binomial draw. Where a bin has no verdicts, the answer leans
on the score and on the bins beside it.

Stop: findings are looked at from the top. Once the last `WINDOW` decided ones, of those above which all
are decided, hold so few errors that the upper bound of their share (one-sided 95 %, Jeffreys) is below
`STOP_BELOW`, the next ones are not expected to hold more, for their scores are lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from healtheat.core.verdicts import CONFIRMS

ERRORS = CONFIRMS
WINDOW = 50
STOP_BELOW = 0.10
PRIOR_WEIGHT = 2.0
BINS = 10
DRAWS = 400
FEWEST_WINDOW = 10  # judged findings before anything is said about going on
FEWEST = 5  # verdicts before anything is said about what is left


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of one queue. Intervals are (low, high); `left` is None before `FEWEST` verdicts."""

    total: int  # places
    ok: int
    drop: int
    relabel: int
    added: int
    moved: int
    unsure: int
    closed: int  # nothing was said of them, but another finding of their box was decided
    precision: tuple[float, float, float] | None  # share, low, high
    left: tuple[float, float, float] | None  # expected errors among the undecided, 5 % and 95 % quantile
    window: int  # decided findings the stop rule looked at
    window_high: float | None  # upper bound of the share of errors in them
    stop: bool

    @property
    def decided(self) -> int:
        """Places with any verdict, or closed by one."""
        return self.ok + self.unsure + self.closed + self.errors

    @property
    def errors(self) -> int:
        """Places where a person said what is wrong."""
        return self.drop + self.relabel + self.added + self.moved

    @property
    def open(self) -> int:
        """Places without a verdict."""
        return self.total - self.decided


def queue_stats(scores: NDArray[np.float64], verdicts: Sequence[str | None], *, seed: int = 0) -> QueueStats:
    """Of one queue's places, highest score first: `scores` (n,) in [0, 1], each one's verdict, "closed" or
    None.
    """
    named = ("ok", *ERRORS, "unsure", "closed")
    counts = {name: sum(v == name for v in verdicts) for name in named}
    errors = sum(counts[name] for name in ERRORS)
    judged = errors + counts["ok"]
    precision = None
    if judged:
        precision = (errors / judged, _quantile(errors, judged, 0.05), _quantile(errors, judged, 0.95))
    window = _window(verdicts)
    high = _quantile(sum(window), len(window), 0.95) if window else None
    return QueueStats(
        total=len(scores),
        **counts,
        precision=precision,
        left=_left(scores, verdicts, seed) if judged >= FEWEST else None,
        window=len(window),
        window_high=high,
        stop=high is not None and high < STOP_BELOW,
    )


def _quantile(hits: int, trials: int, level: float) -> float:
    """Of Jeffreys' posterior; 0 and 1 where nothing hit or missed, as the interval is defined."""
    if hits == 0 and level < 0.5:
        return 0.0
    if hits == trials and level > 0.5:
        return 1.0
    return float(beta.ppf(level, hits + 0.5, trials - hits + 0.5))


def _window(verdicts: Sequence[str | None]) -> list[bool]:
    """Is it an error? Of the last `WINDOW` judged findings before the first undecided one."""
    prefix: list[bool] = []
    for verdict in verdicts:
        if verdict is None:
            break
        if verdict in ("ok", *ERRORS):
            prefix.append(verdict in ERRORS)
    return prefix[-WINDOW:]


def _left(
    scores: NDArray[np.float64], verdicts: Sequence[str | None], seed: int
) -> tuple[float, float, float]:
    judged = np.array([v in ("ok", *ERRORS) for v in verdicts])
    wrong = np.array([v in ERRORS for v in verdicts])
    undecided = np.array([v is None for v in verdicts])
    bins = np.array_split(np.arange(len(scores)), min(BINS, len(scores)))
    n = np.array([judged[b].sum() for b in bins], np.float64)
    k = np.array([wrong[b].sum() for b in bins], np.float64)
    todo = np.array([undecided[b].sum() for b in bins])
    prior = np.clip([scores[b].mean() for b in bins], 0.01, 0.99)
    random = np.random.default_rng(seed)
    share = np.clip(scores[judged].mean(), 0.01, 0.99)  # of errors among the judged, as the scores have it
    found = k.sum() + PRIOR_WEIGHT * share, (n - k).sum() + PRIOR_WEIGHT * (1 - share)
    too_high = random.beta(*found, size=(DRAWS, 1)) / share
    prior = np.clip(prior * too_high, 0.01, 0.99)
    draws = random.beta(k + PRIOR_WEIGHT * prior, n - k + PRIOR_WEIGHT * (1 - prior))
    rising = np.clip(falling_fit(draws, n + PRIOR_WEIGHT), 0, 1)
    left = random.binomial(todo, rising).sum(axis=1)
    low, high = np.quantile(left, [0.05, 0.95])
    return float((rising * todo).sum(axis=1).mean()), float(low), float(high)


def falling_fit(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(d, n) least-squares fits of the rows of `values` that never rise from left to right.

    By the min-max formula (Barlow and others 1972): the fit at i is the least, over starts a <= i, of the
    greatest, over ends b >= i, weighted mean of a..b. Meant for few columns and many rows.
    """
    n = values.shape[1]
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values * weights, axis=1)], axis=1)
    weight = np.concatenate([[0.0], np.cumsum(weights)])
    a, b = np.triu_indices(n)
    mean = np.full((len(values), n, n), -np.inf)
    mean[:, a, b] = (total[:, b + 1] - total[:, a]) / (weight[b + 1] - weight[a])
    greatest = np.maximum.accumulate(mean[:, :, ::-1], axis=2)[:, :, ::-1]  # over ends at or behind i
    greatest[:, ~np.triu(np.ones((n, n), bool))] = np.inf
    return np.asarray(greatest.min(axis=1))
