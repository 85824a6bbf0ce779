"""Does the box have the colour and the shape of its class? Coarse zero-shot answers, and never a class.

The encoder is asked in words (English and Korean at once) what colour and what shape each crop has, and a
class is what its other boxes, from other sources, are said to be: it may well have two colours, front and
back. It knows far less than the label signal, but needs only two other boxes. What a mismatch is worth is
learned from the set: labels are exchanged on purpose, and the boxes as they are tell how rare such a
mismatch is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.issues import Silence
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.calibrate import logistic_curve
from healtheat.signals.evidence.stack import log_softmax
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
_QUESTIONS = ("colour", "family")


def answers(vectors: NDArray[np.float32], words: Mapping[str, NDArray[np.float32]]) -> Floats:
    """(n, a) zero-shot chances of the answers `words`, in their order."""
    return np.asarray(np.exp(log_softmax(np.asarray(vectors @ np.stack(list(words.values())).T, np.float64))))


def class_answers(
    p: Floats,
    code: NDArray[np.int64],
    group: NDArray[np.int32],
    prior: float = 0.5,
    teaches: NDArray[np.bool_] | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """(n, a) mean answers of the other boxes of each box's class, and (n,) how many these are.

    Boxes of the box's own source do not count: a copy of an image repeats its error; nor do boxes that teach
    nothing (`teaches` (n,), all by default). `prior`: so many boxes is the mean answer of all classes worth.
    """
    c = int(code.max(initial=-1)) + 1
    counts = np.ones(len(p)) if teaches is None else teaches.astype(np.float64)
    total, count = np.zeros((c, p.shape[1])), np.bincount(code, counts, minlength=c)
    np.add.at(total, code, p * counts[:, None])
    key = code * (int(group.max(initial=0)) + 1) + group
    own, at = np.unique(key, return_inverse=True)
    there, many = np.zeros((len(own), p.shape[1])), np.bincount(at, counts, minlength=len(own))
    np.add.at(there, at, p * counts[:, None])
    others = count[code] - many[at]
    mean = (total[code] - there[at] + prior * p[counts > 0].mean(axis=0)) / (others[:, None] + prior)
    return mean, others.astype(np.int64)


def mismatch(p: Floats, usual: Floats) -> Floats:
    """(n,) 0 where a box's answers are as usual for its class, 1 where they have nothing in common."""
    agreement = (p * usual).sum(axis=1) / np.maximum((usual**2).sum(axis=1), 1e-9)
    return np.asarray(1 - np.clip(agreement, 0, 1))


def exchanged_mismatch(p: Floats, code: NDArray[np.int64], teaches: NDArray[np.bool_]) -> Floats:
    """(m,) the mismatch of each box that teaches, had it the label of another class, drawn at random."""
    c = int(code.max(initial=-1)) + 1
    total = np.zeros((c, p.shape[1]))
    np.add.at(total, code[teaches], p[teaches])
    count = np.bincount(code[teaches], minlength=c)
    there = np.flatnonzero(count)
    if len(there) < 2:
        return np.zeros(0)
    own = np.searchsorted(there, code[teaches])
    other = there[(own + np.random.default_rng(0).integers(1, len(there), len(own))) % len(there)]
    return mismatch(p[teaches], total[other] / count[other][:, None])


def most_errors(found: Floats, exchanged: Floats) -> float:
    """The largest share of exchanged labels that `found` (n,) can hold, `exchanged` (m,) being theirs.

    No tail of `found` may hold fewer than its errors do (Scott: A rate of convergence for mixture proportion
    estimation, AISTATS 2015); one box is added to each tail, so that an empty one is no proof.
    """
    limits = np.quantile(exchanged, np.linspace(0, 0.9, 40))
    above = 1 - np.searchsorted(np.sort(found), limits) / len(found) + 1 / len(found)
    planted = 1 - np.searchsorted(np.sort(exchanged), limits) / len(exchanged)
    return float(np.clip((above / planted).min(), 0, 1))


def chance_of_exchange(values: Floats, found: Floats, exchanged: Floats) -> Floats:
    """(k,) chance that a box with a mismatch of `values` has an exchanged label.

    `found` (n,) and `exchanged` (m,) as in `most_errors`. A logistic regression of the two gives their ratio.
    No chance is higher than the rule of succession allows for as many errors as the set holds.
    """
    n, m = len(found), len(exchanged)
    share = most_errors(found, exchanged)
    weight = np.r_[np.ones(n), np.full(m, share * n / m)]
    slope, intercept = logistic_curve(np.r_[found, exchanged], np.r_[np.zeros(n), np.ones(m)], weight)
    most = 1 - 1 / (share * n + 2)
    return np.asarray(np.minimum(np.exp(np.minimum(slope * values + intercept, 0)), most))


class Looks(Signal):
    """Issue mislabel. Raw: the mismatch of colour or shape, 0 to 1. No suggestion: words name no product.

    A question is not asked of a set where it would tell fewer than `least_power` of exchanged labels, or
    would have more than `most_wrong` of all labels exchanged.
    """

    name = "looks"
    issues = ("mislabel",)
    yields_to = "label"

    def __init__(self, *, fewest: int = 2, least_power: float = 0.25, most_wrong: float = 0.25) -> None:
        self.fewest = fewest  # boxes of the class on other sources
        self.least_power = least_power  # share of exchanged labels with a chance of at least one half
        self.most_wrong = most_wrong

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        asked = {q: store.texts[q] for q in _QUESTIONS if len(store.texts.get(q, ())) > 1}
        if not len(queries) or not len(store) or not asked:
            return []
        pool = Pool.of(queries, store)
        samples, n = pool.samples, len(pool.samples)
        score, raw = np.full(n, -1.0), np.zeros(n)  # the first question beats -1
        reason, evidence = [""] * n, [dict[str, Any]() for _ in range(n)]
        others = np.zeros(n, np.int64)
        silent = []
        for question, words in asked.items():
            p = answers(samples.vectors, words)
            usual, others = class_answers(p, samples.class_code, samples.group, teaches=pool.teaches)
            found = mismatch(p, usual)
            value = self._chance(found, p, pool, others)
            if value is None:
                silent.append(question)
                continue
            better = (value > score) | ((value == score) & (found > raw))
            names = list(words)
            commonest = np.argsort(-usual, axis=1)[:, :2]
            for row in pool.judged.tolist():
                is_now = names[int(p[row].argmax())]
                evidence[row] |= {question: is_now, f"{question}_mismatch": round(float(found[row]), 3)}
                if better[row]:
                    are = [names[a] for i, a in enumerate(commonest[row]) if not i or usual[row, a] >= 0.25]
                    name = samples.name(samples.boxes.class_id[row])
                    reason[row] = f"{question} {is_now}; {others[row]} other {name} are {' or '.join(are)}"
            score, raw = np.where(better, value, score), np.where(better, found, raw)
        silences = [
            Silence(
                self.name,
                "mislabel",
                f"{question} in words says too little about the classes of this set; other evidence for a "
                "wrong class still counts",
            )
            for question in silent
        ]
        if len(silent) == len(asked):
            return silences
        few = f"fewer than {self.fewest} boxes of its class on images of other sources"
        judged = pool.judged
        return [
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=raw[judged],
                score=score[judged],
                reason=[reason[row] for row in judged],
                abstain=[few if o < self.fewest else None for o in others[judged]],
                evidence=[evidence[row] for row in judged],
            ),
            *silences,
        ]

    def _chance(self, found: Floats, p: Floats, pool: Pool, others: NDArray[np.int64]) -> Floats | None:
        """(n,) chance of a wrong label by one question; None where it tells too little on this set."""
        teaches = pool.teaches & (others >= self.fewest)
        exchanged = exchanged_mismatch(p, pool.samples.class_code, teaches)
        if not len(exchanged):
            return None
        known = found[teaches]
        if most_errors(known, exchanged) > self.most_wrong:
            return None
        if (chance_of_exchange(exchanged, known, exchanged) >= 0.5).mean() < self.least_power:
            return None
        return chance_of_exchange(found, known, exchanged)
