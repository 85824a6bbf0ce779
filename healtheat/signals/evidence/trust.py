"""Can this encoder tell the classes of this data apart? Per class and per pair of classes, with uncertainty.

The measure is out-of-sample agreement: does a model that never saw a source put its boxes into the class they
are labelled with? Copies of one image tell the same story several times, so every source counts once per
class, whatever number of boxes it has. Wrong labels lower the agreement as well; a few do not matter here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from healtheat.core.issues import Silence
from healtheat.signals.evidence.classmodel import class_log_probabilities
from healtheat.signals.samples import Pool, Samples

APART = 0.85  # pairwise agreement from which two classes count as told apart; a coin has 0.5
SURE = 0.9  # agreement that a model expects of itself from which its doubts are no reason to keep quiet
FEWEST_SOURCES = 3  # of a class; below, nothing is said
LEVEL = 0.9  # of the intervals
VERDICTS = {"apart": "told apart", "mixed": "mixed up", "unsure": "cannot be said", "few": "too few sources"}

Floats = NDArray[np.float64]


def jeffreys(hits: Floats, trials: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Equal-tailed Jeffreys intervals of a proportion (Brown, Cai, DasGupta 2001), counts may be fractions.

    The ends are 0 where nothing hit and 1 where nothing missed.
    """
    hits, trials = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits + 0.5, trials - hits + 0.5)
    high = beta.ppf(1 - tail, hits + 0.5, trials - hits + 0.5)
    return np.where(hits <= 0, 0.0, low), np.where(hits >= trials, 1.0, high)


def mean_interval(
    hits_a: Floats, trials_a: Floats, hits_b: Floats, trials_b: Floats, level: float = LEVEL
) -> tuple[Floats, Floats, Floats]:
    """Posterior mean and interval of the mean of two proportions, each with Jeffreys' prior.

    Their mean is matched by one Beta of equal mean and variance: the ends are off by 0.06 at most.
    """
    means, variances = [], []
    for hits, trials in ((hits_a, trials_a), (hits_b, trials_b)):
        a, b = hits + 0.5, trials - hits + 0.5
        means.append(a / (a + b))
        variances.append(a * b / ((a + b) ** 2 * (a + b + 1)))
    mean, variance = (means[0] + means[1]) / 2, (variances[0] + variances[1]) / 4
    weight = mean * (1 - mean) / variance - 1
    tail = (1 - level) / 2
    low = beta.ppf(tail, mean * weight, (1 - mean) * weight)
    high = beta.ppf(1 - tail, mean * weight, (1 - mean) * weight)
    return mean, low, high


@dataclass(frozen=True, slots=True)
class ClassTrust:
    """How often boxes of `class_id` are put into their class; `mixed_with`: classes it is mixed up with."""

    class_id: int
    boxes: int
    sources: int
    agreement: float
    low: float
    high: float
    verdict: str  # apart, mixed, unsure, few
    mixed_with: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairTrust:
    """How often a box of one of two classes looks more like its own of the two."""

    class_a: int
    class_b: int
    agreement: float
    low: float
    high: float
    a_as_b: float  # share of class_a's sources that look more like class_b
    b_as_a: float
    verdict: str  # apart, mixed, unsure, few


@dataclass(frozen=True)
class Trust:
    """Arrays over the c classes of `class_ids` ((c,) or (c, c)); the verdicts of a pair are symmetric.

    `wins[i, j]`: of `sources[i]` sources of class i, how many look more like i than like j.
    """

    class_ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    sources: NDArray[np.int64]
    hits: Floats
    wins: Floats
    apart: float = APART

    @cached_property
    def pair_interval(self) -> tuple[Floats, Floats, Floats]:
        """(c, c) agreement, low, high of every pair; the diagonal means nothing."""
        g = self.sources[:, None].astype(np.float64) + np.zeros_like(self.wins)
        return mean_interval(self.wins, g, self.wins.T, g.T)

    @cached_property
    def pair_verdict(self) -> NDArray[np.object_]:
        """(c, c) str: apart, mixed, unsure or few."""
        _, low, high = self.pair_interval
        few = (self.sources < FEWEST_SOURCES)[:, None] | (self.sources < FEWEST_SOURCES)[None, :]
        verdict = np.full(low.shape, "unsure", object)
        verdict[low >= self.apart] = "apart"
        verdict[high < self.apart] = "mixed"
        verdict[few] = "few"
        np.fill_diagonal(verdict, "")
        return verdict

    @cached_property
    def classes(self) -> tuple[ClassTrust, ...]:
        """One row per class, in the order of `class_ids`."""
        low, high = jeffreys(self.hits, self.sources.astype(np.float64))
        rows = []
        for i, class_id in enumerate(self.class_ids.tolist()):
            mixed = self.class_ids[self.pair_verdict[i] == "mixed"]
            others = np.delete(self.pair_verdict[i], i)
            verdict = (
                "few"
                if self.sources[i] < FEWEST_SOURCES
                else "mixed"
                if len(mixed)
                else "apart"
                if (others[others != "few"] == "apart").all()
                else "unsure"
            )
            rows.append(
                ClassTrust(
                    class_id,
                    int(self.boxes[i]),
                    int(self.sources[i]),
                    float(self.hits[i] / max(self.sources[i], 1)),
                    float(low[i]),
                    float(high[i]),
                    verdict,
                    tuple(mixed.tolist()),
                )
            )
        return tuple(rows)

    def pairs(self, verdicts: Sequence[str] = ("mixed", "unsure")) -> Iterator[PairTrust]:
        """Pairs with one of these verdicts, the least told apart first."""
        mean, low, high = self.pair_interval
        i, j = np.nonzero(np.triu(np.isin(self.pair_verdict, list(verdicts)), 1))
        for at in np.argsort(mean[i, j], kind="stable"):
            a, b = int(i[at]), int(j[at])
            yield PairTrust(
                int(self.class_ids[a]),
                int(self.class_ids[b]),
                float(mean[a, b]),
                float(low[a, b]),
                float(high[a, b]),
                float(1 - self.wins[a, b] / max(self.sources[a], 1)),
                float(1 - self.wins[b, a] / max(self.sources[b], 1)),
                str(self.pair_verdict[a, b]),
            )

    def look_alikes(self, *, likely: bool = False) -> list[tuple[int, ...]]:
        """The look-alike map: groups of class ids joined by pairs that are mixed up, largest first.

        With `likely` also by pairs of which it cannot be said, but whose agreement is below the limit.
        """
        from scipy.sparse.csgraph import connected_components

        mixed = self.pair_verdict == "mixed"
        if likely:
            mixed |= (self.pair_verdict == "unsure") & (self.pair_interval[0] < self.apart)
        _, label = connected_components(mixed, directed=False)
        groups = [tuple(self.class_ids[label == k].tolist()) for k in range(int(label.max(initial=-1)) + 1)]
        return sorted((g for g in groups if len(g) > 1), key=lambda g: (-len(g), g))

    def can_tell(self, class_code: NDArray[np.int64], other_code: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each pair of positions in `class_ids` is not known to be mixed up."""
        return np.asarray(self.pair_verdict[class_code, other_code] != "mixed")


@dataclass(frozen=True, slots=True)
class TrustReport:
    """The figures of `Trust` as rows: classes, the pairs that are not told apart, the groups they make.

    `pairs`: mixed up or undecided, the least told apart first. `look_alikes`: groups of class ids joined by
    pairs that are mixed up; `likely_look_alikes` also by pairs that are undecided but below the limit.
    `names`: class id → name. `silences`: questions that signals did not ask of this set.
    """

    classes: tuple[ClassTrust, ...]
    pairs: tuple[PairTrust, ...]
    look_alikes: tuple[tuple[int, ...], ...]
    likely_look_alikes: tuple[tuple[int, ...], ...]
    names: Mapping[int, str]
    silences: tuple[Silence, ...] = ()

    @classmethod
    def of(cls, measured: Trust, names: Mapping[int, str], silences: Sequence[Silence] = ()) -> TrustReport:
        """The rows of `measured`."""
        return cls(
            classes=measured.classes,
            pairs=tuple(measured.pairs()),
            look_alikes=tuple(measured.look_alikes()),
            likely_look_alikes=tuple(measured.look_alikes(likely=True)),
            names=dict(names),
            silences=tuple(silences),
        )


def expected_agreement(
    p: Floats, code: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]
) -> Floats:
    """(m,) how often the model itself expects to be right about boxes of the classes `one` or `other` (m,).

    `p` (n, c), `code` (n,) the labels. Where labels disagree with a model that is sure either way, the labels
    are wrong; where it mixes two classes up, it is unsure. NaN for classes without a box.
    """
    pairs, where = np.unique(np.stack([one, other], axis=1), axis=0, return_inverse=True)
    found = np.full(len(pairs), np.nan)
    for at, (a, b) in enumerate(pairs.tolist()):
        rows = (code == a) | (code == b)
        if rows.any():
            two = p[rows][:, [a, b]] + 1e-12
            found[at] = (two.max(axis=1) / two.sum(axis=1)).mean()
    return np.asarray(found[where.reshape(-1)])


def trust(
    samples: Samples,
    log_p: Floats | None = None,
    *,
    apart: float = APART,
    teaches: NDArray[np.bool_] | None = None,
) -> Trust:
    """Trust of every class and pair from out-of-sample log probabilities (n, c), else the label model's.

    Only boxes that `teaches` (n,) marks are counted, all by default.
    """
    log_p = class_log_probabilities(Pool.of(samples, samples)) if log_p is None else log_p
    c = len(samples.class_ids)
    code, group = samples.class_code, samples.group
    if teaches is not None:
        code, group, log_p = code[teaches], group[teaches], log_p[teaches]
    n = len(code)
    pair = code * (int(group.max(initial=0)) + 1) + group
    _, where, often = np.unique(pair, return_inverse=True, return_counts=True)
    weight = 1 / often[where] if n else np.zeros(0)  # a source counts once for a class
    wins, hits = np.zeros((c, c)), np.zeros(c)
    for k in range(c):
        rows = np.flatnonzero(code == k)
        p, own = log_p[rows], log_p[rows, k]
        beats = (own[:, None] > p) + 0.5 * (own[:, None] == p)  # a tie is half a win
        wins[k] = weight[rows] @ beats
        best = p == p.max(axis=1, keepdims=True)
        hits[k] = weight[rows] @ (best[:, k] / best.sum(axis=1))
    sources = np.rint(np.bincount(code, weight, minlength=c)).astype(np.int64)
    boxes = np.bincount(code, minlength=c).astype(np.int64)
    return Trust(samples.class_ids, boxes, sources, hits, wins, apart)
