"""Out-of-sample class evidence: every box is judged by models that saw no box of its source.

Three views of one question, "which class does this crop look like?": a multinomial logistic regression, a
shrunk linear discriminant analysis (covariance drawn towards a sphere), and the votes
of the nearest crops. They fail differently; `stack.py` weighs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from healtheat.index.search import Neighbours
from healtheat.signals.evidence.components import COMPONENTS, principal, whitened
from healtheat.signals.evidence.stack import fit_weights, log_softmax
from healtheat.signals.samples import Pool

FOLDS = 5
FLOOR = 1e-6  # probability below which a model is not believed
_LOGISTIC_VALUES = 20_000_000  # boxes × classes above which the logistic regression takes too long

Floats = NDArray[np.float64]


def folds(
    group: NDArray[np.int32], count: int = FOLDS, teaches: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """(n,) fold of each row; a group is never split, folds have about equal sizes; deterministic.

    Rows that teach nothing are the fold `count`: they are judged by a model of all that teach.
    """
    if teaches is not None and not teaches.all():
        out = np.full(len(group), count, np.int64)
        out[teaches] = folds(group[teaches], count)
        return out
    codes, size = np.unique(group, return_counts=True)
    load = np.zeros(count)
    fold = np.zeros(len(codes), np.int64)
    for at in np.argsort(-size, kind="stable"):
        fold[at] = int(load.argmin())
        load[fold[at]] += size[at]
    return fold[np.searchsorted(codes, group)]


class Model(Protocol):
    """A fitted model of the classes."""

    def log_p(self, data: Floats) -> Floats:
        """(n, c) log probabilities of the rows of `data` (n, k)."""
        ...


@dataclass(frozen=True, slots=True)
class Logistic:
    """A multinomial logistic regression: `coef` (m, k) and `intercept` (m,) of the classes `present` (m,)."""

    coef: Floats
    intercept: Floats
    present: NDArray[np.int64]
    c: int

    @classmethod
    def fit(cls, data: Floats, code: NDArray[np.int64], c: int) -> Logistic:
        """From rows (n, k) and their classes `code` (n,) of 0 to c - 1; n >= 1."""
        present = np.unique(code)
        if len(present) < 2:
            return cls(np.zeros((1, data.shape[1])), np.zeros(1), present, c)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop is good enough here
            model = LogisticRegression(C=10.0, max_iter=200).fit(data, code)
        coef, intercept = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
        if len(present) == 2:  # one row of logits of the second class against the first
            coef, intercept = np.stack([np.zeros_like(coef[0]), coef[0]]), np.r_[0.0, intercept]
        return cls(coef, intercept, present, c)

    def log_p(self, data: Floats) -> Floats:
        """See Model. Classes that were not there when it was fitted get the floor."""
        out = np.full((len(data), self.c), np.log(FLOOR))
        p = np.exp(log_softmax(data @ self.coef.T + self.intercept))
        out[:, self.present] = np.log(np.maximum(p, FLOOR))
        return out


@dataclass(frozen=True, slots=True)
class Discriminant:
    """A shrunk linear discriminant analysis: `means` (c, k), `half` (k, k) of the precision, `count` (c,)."""

    means: Floats
    half: Floats
    count: Floats

    @classmethod
    def fit(cls, data: Floats, code: NDArray[np.int64], c: int, shrink: float = 0.3) -> Discriminant:
        """From rows (n, k) and their classes `code` (n,) of 0 to c - 1; n >= 1."""
        d = data.shape[1]
        count = np.bincount(code, minlength=c).astype(np.float64)
        total = np.zeros((c, d))
        np.add.at(total, code, data)
        means = (total + data.mean(axis=0)) / (count + 1)[:, None]  # one box's weight of prior
        rest = data - means[code]
        cov = rest.T @ rest / len(rest)
        level = max(float(np.trace(cov)) / d, 1e-6)
        cov = (1 - shrink) * cov + shrink * level * np.eye(d)
        return cls(means, np.linalg.cholesky(np.linalg.inv(cov)), count)

    def distance(self, data: Floats) -> Floats:
        """(n, c) squared Mahalanobis distances of the rows of `data` (n, k) to the means."""
        x, m = data @ self.half, self.means @ self.half
        return np.asarray((x**2).sum(axis=1)[:, None] - 2 * x @ m.T + (m**2).sum(axis=1)[None, :])

    def log_p(self, data: Floats) -> Floats:
        """See Model."""
        count = self.count
        logit = -0.5 * self.distance(data) * (count / (count + 1)) + np.log(np.maximum(count, 0.5))
        return np.asarray(np.log(np.maximum(np.exp(log_softmax(logit)), FLOOR)))


def out_of_sample(
    kind: type[Logistic] | type[Discriminant],
    data: Floats,
    code: NDArray[np.int64],
    fold: NDArray[np.int64],
    c: int,
) -> Floats:
    """(n, c) log probabilities of rows (n, k) by models that saw no row of their `fold` (n,)."""
    out = np.full((len(data), c), np.log(FLOOR))
    for f in range(FOLDS + 1):
        test, train = fold == f, (fold != f) & (fold < FOLDS)
        if test.any() and train.any():
            out[test] = kind.fit(data[train], code[train], c).log_p(data[test])
    return out


def votes(
    neighbours: Neighbours,
    belief: Floats,
    k: int = 20,
    teaches: NDArray[np.bool_] | None = None,
    scale: float | None = None,
) -> Floats:
    """(n, c) log shares of the k nearest crops of other sources, nearer ones counting more.

    `belief` (n, c) says which classes each box may have: doubtful labels vote less. How fast a vote fades is
    `scale`, or what `vote_scale` learns from the rows that `teaches` (n,) marks, all by default.
    """
    rows, similarity = neighbours.other[:, :k], neighbours.other_similarity[:, :k]
    known = rows >= 0
    scale = vote_scale(neighbours, k, teaches) if scale is None else scale
    weight = np.exp((similarity - similarity[:, :1]) / scale) * known
    total = np.zeros((len(rows), belief.shape[1]))
    for place in range(rows.shape[1]):
        total += weight[:, place, None] * belief[rows[:, place]]
    share = total / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.log(share + 0.02))


def vote_scale(neighbours: Neighbours, k: int = 20, teaches: NDArray[np.bool_] | None = None) -> float:
    """Half the usual fall of the cosine over the k nearest: how fast a vote fades."""
    rows, similarity = neighbours.other[:, :k], neighbours.other_similarity[:, :k]
    known = rows >= 0
    fall = similarity.max(axis=1) - np.where(known, similarity, 1).min(axis=1)
    learned = fall[known.any(axis=1) if teaches is None else known.any(axis=1) & teaches]
    return max(0.5 * float(np.median(learned)) if len(learned) else 0.0, 1e-4)


def one_hot(code: NDArray[np.int64], c: int) -> Floats:
    """(n, c) ones at the given classes."""
    out = np.zeros((len(code), c))
    out[np.arange(len(code)), code] = 1
    return out


def can_model(pool: Pool) -> bool:
    """Whether there is anything to compare: two classes and two sources that teach."""
    s, teaches = pool.samples, pool.teaches
    return len(np.unique(s.class_code[teaches])) > 1 and len(np.unique(s.group[teaches])) > 1


def visual_evidence(pool: Pool) -> list[Floats]:
    """(n, c) log probabilities of models that see the crop alone; [] where nothing can be compared."""
    if not can_model(pool):
        return []
    s, teaches = pool.samples, pool.teaches
    rotated, variances = principal(s.vectors, COMPONENTS, teaches)
    fold, c = folds(s.group, teaches=teaches), len(s.class_ids)
    parts = [out_of_sample(Discriminant, whitened(rotated, variances), s.class_code, fold, c)]
    if len(s) * c <= _LOGISTIC_VALUES:  # not whitened: the ridge holds back axes of little variance
        parts.append(out_of_sample(Logistic, rotated, s.class_code, fold, c))
    return parts


def class_log_probabilities(pool: Pool, visual: Sequence[Floats] | None = None) -> Floats:
    """(n, c) natural logarithms, columns as in the samples' `class_ids`, out of sample by source group.

    From the crops alone, without the image's context: what the encoder itself can tell apart. `visual` is
    `visual_evidence(pool)` where that is known already.
    """
    s = pool.samples
    n, c = len(s), len(s.class_ids)
    parts = visual_evidence(pool) if visual is None else list(visual)
    if not parts:
        return np.full((n, c), -np.log(max(c, 1)))
    belief = one_hot(s.class_code, c)
    parts.append(votes(pool.neighbours, belief, teaches=pool.teaches))
    return fit_weights(parts, s.class_code, teaches=pool.teaches).log_p
