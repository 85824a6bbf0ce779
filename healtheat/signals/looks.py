"""Does the box have the colour and the shape of its class? Coarse zero-shot answers, and never a class.

The encoder is asked in words (English and Korean at once) what colour and what shape each crop has, and a
class is what its other boxes, from other sources, are said to be: it may well have two colours, front and
back. It knows far less than the label signal, but needs only two other boxes, and where it is sure it is
right: see docs/scores.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.stack import log_softmax
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]


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


class Looks(Signal):
    """Issue mislabel. Raw: the mismatch of colour or shape, 0 to 1. No suggestion: words name no product.

    `colour` and `family` say from which mismatch on the score grows, to `top` at a mismatch of 1.
    """

    name = "looks"
    issues = ("mislabel",)

    def __init__(
        self, *, fewest: int = 2, colour: float = 0.4, family: float = 0.7, top: float = 0.9
    ) -> None:
        self.fewest = fewest  # boxes of the class on other sources
        self.colour = colour
        self.family = family
        self.top = top  # another pill by its looks may still be an odd image

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        floor = {"colour": self.colour, "family": self.family}
        asked = {q: store.texts[q] for q in floor if len(store.texts.get(q, ())) > 1}
        if not len(queries) or not len(store) or not asked:
            return []
        pool = Pool.of(queries, store)
        samples, n = pool.samples, len(pool.samples)
        score, raw = np.full(n, -1.0), np.zeros(n)  # the first question beats -1
        reason, evidence = [""] * n, [dict[str, Any]() for _ in range(n)]
        others = np.zeros(n, np.int64)
        for question, words in asked.items():
            p = answers(samples.vectors, words)
            usual, others = class_answers(p, samples.class_code, samples.group, teaches=pool.teaches)
            found = mismatch(p, usual)
            value = self.top * np.clip((found - floor[question]) / (1 - floor[question]), 0, 1)
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
            )
        ]
