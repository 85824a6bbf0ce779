"""Out-of-sample class evidence: every box is judged by models that saw no box of its source.

Three views of one question, "which class does this crop look like?": a multinomial logistic regression, a
shrunk linear discriminant analysis (covariance drawn towards a sphere), and the votes
of the nearest crops. They fail differently; `stack.py` weighs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

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


def logistic(data: Floats, code: NDArray[np.int64], fold: NDArray[np.int64], c: int) -> Floats:
    """(n, c) out-of-sample log probabilities of a multinomial logistic regression."""
    out = np.full((len(data), c), np.log(FLOOR))
    for f in range(FOLDS + 1):
        test, train = fold == f, (fold != f) & (fold < FOLDS)
        if not test.any() or not train.any():
            continue
        present = np.unique(code[train])
        if len(present) < 2:
            out[np.ix_(test, present)] = 0.0
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop is good enough here
            model = LogisticRegression(C=10.0, max_iter=200).fit(data[train], code[train])
        p = model.predict_proba(data[test])
        out[np.ix_(test, model.classes_)] = np.log(np.maximum(p, FLOOR))
    return out


def discriminant(
    data: Floats, code: NDArray[np.int64], fold: NDArray[np.int64], c: int, shrink: float = 0.3
) -> Floats:
    """(n, c) out-of-sample log probabilities of a shrunk linear discriminant analysis."""
    n, d = data.shape
    out = np.full((n, c), np.log(FLOOR))
    for f in range(FOLDS + 1):
        test, train = fold == f, (fold != f) & (fold < FOLDS)
        if not test.any() or not train.any():
            continue
        count = np.bincount(code[train], minlength=c).astype(np.float64)
        total = np.zeros((c, d))
        np.add.at(total, code[train], data[train])
        means = (total + data[train].mean(axis=0)) / (count + 1)[:, None]  # one box's weight of prior
        rest = data[train] - means[code[train]]
        cov = rest.T @ rest / len(rest)
        level = max(float(np.trace(cov)) / d, 1e-6)
        cov = (1 - shrink) * cov + shrink * level * np.eye(d)
        half = np.linalg.cholesky(np.linalg.inv(cov))
        x, m = data[test] @ half, means @ half
        distance = (x**2).sum(axis=1)[:, None] - 2 * x @ m.T + (m**2).sum(axis=1)[None, :]
        logit = -0.5 * distance * (count / (count + 1)) + np.log(np.maximum(count, 0.5))
        out[test] = np.log(np.maximum(np.exp(log_softmax(logit)), FLOOR))
    return out


def votes(
    neighbours: Neighbours, belief: Floats, k: int = 20, teaches: NDArray[np.bool_] | None = None
) -> Floats:
    """(n, c) log shares of the k nearest crops of other sources, nearer ones counting more.

    `belief` (n, c) says which classes each box may have: doubtful labels vote less. How fast a vote fades is
    learned from the rows that `teaches` (n,) marks, all by default.
    """
    rows, similarity = neighbours.other[:, :k], neighbours.other_similarity[:, :k]
    known = rows >= 0
    fall = similarity.max(axis=1) - np.where(known, similarity, 1).min(axis=1)
    learned = fall[known.any(axis=1) if teaches is None else known.any(axis=1) & teaches]
    scale = max(0.5 * float(np.median(learned)) if len(learned) else 0.0, 1e-4)
    weight = np.exp((similarity - similarity[:, :1]) / scale) * known
    total = np.zeros_like(belief)
    for place in range(rows.shape[1]):
        total += weight[:, place, None] * belief[rows[:, place]]
    share = total / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.log(share + 0.02))


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
    parts = [discriminant(whitened(rotated, variances), s.class_code, fold, c)]
    if len(s) * c <= _LOGISTIC_VALUES:  # not whitened: the ridge holds back axes of little variance
        parts.append(logistic(rotated, s.class_code, fold, c))
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
