"""Boxes of classes too small to judge: are they ordinary members of another class?

A class of one or two boxes has no look of its own to compare with. But the other classes have, and they show
both cases by themselves. Hide the label of a box: how near does it lie to the classes that are there, its own
among them? So a stray box looks. Hide its whole class: how near is the nearest other one? So a box of a
genuine small class looks. A logistic regression between the two gives the odds for each box of a small class;
how many of them are stray is found by expectation-maximisation. Even odds are given to nothing that more than
one in forty of the genuine examples look like: a rare class is worth more than a stray label.

Near is measured by the angle to the mean of a class, without the box's own source, where the scatter within
classes is a sphere (as in linear discriminant analysis, drawn a third towards one beforehand): the logarithm
of how many times the usual 1 - cosine of its own members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from healtheat.signals.evidence.classmodel import FOLDS, folds
from healtheat.signals.evidence.components import whiten

FEWEST_CLASSES = 5  # that can serve as examples
FEWEST_BOXES = 5  # of such a class, on at least two sources
_EXAMPLES, _LEAST, _ALL_EXAMPLES = 100, 8, 20_000  # boxes of a class, at most and at least; of all classes
_COMPONENTS = 128
_PARTS = 10  # that classes are hidden in
_SHRINK = 0.3
GENUINE = 0.025  # share of the examples of genuine small classes that may look stray at even odds
_EACH = 0.5  # pseudo-count of either case (Jeffreys), where there are few small classes to learn from

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Strays:
    """Of m boxes asked about: the chance that each is stray, the class code it would belong to, and how many
    times the usual distance of that class's boxes it lies away. `examples`: classes it was learned from.
    """

    chance: Floats
    code: Ints
    times: Floats
    examples: int


def strays(
    vectors: NDArray[np.float32],
    code: Ints,
    group: NDArray[np.int32],
    asked: Ints,
    teaches: NDArray[np.bool_],
) -> Strays | None:
    """Judge the rows `asked` (m,) of `vectors` (n, d); None where there are too few classes to learn from.

    `code`, `group` (n,) are class and source; only rows that `teaches` (n,) marks are examples, and no row
    that is asked about is one. How common strays are is learned from the rows asked about that teach, so that
    queries do not decide about each other.
    """
    example = teaches.copy()
    example[asked] = False
    classes = _examples(code[example], group[example])
    c = len(classes)
    if c < FEWEST_CLASSES or not len(asked):
        return None
    learns = teaches[asked]
    known = np.flatnonzero(example & np.isin(code, classes))
    known = _some_of_each(known, code, max(_LEAST, min(_EXAMPLES, _ALL_EXAMPLES // c)))
    m, both = len(known), np.concatenate([known, asked])
    own = np.searchsorted(classes, code[known])
    vectors, group, place = vectors[both], group[both], np.r_[own, np.full(len(asked), -1)]
    rows, asked = np.arange(m), np.arange(m, len(both))
    near = _Nearness(vectors, place, group, rows, c)
    away = near.away(rows)
    ordinary = away.argmin(axis=1) == own  # what looks like another class may be mislabelled itself
    if len(np.unique(own[ordinary])) < FEWEST_CLASSES:
        return None
    stray, genuine = _features(away), np.zeros((len(rows), 2))
    parts = min(c, _PARTS)
    for part in range(parts):  # the space itself must not know the hidden classes
        hidden = own % parts == part
        others = _Nearness(vectors, place, group, rows[~hidden], c)
        genuine[hidden] = _features(others.away(rows[hidden]))
    stray, genuine, own = stray[ordinary], genuine[ordinary], own[ordinary]
    weight = 1 / np.bincount(own, minlength=c)[own]
    x = np.concatenate([stray, genuine])
    scale = x.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0)
    is_stray = np.repeat([1, 0], len(own))
    model.fit(x / scale, is_stray, np.r_[weight, weight])
    found = near.away(asked)
    odds = model.decision_function(_features(found) / scale)
    limit = _quantile(model.decision_function(genuine / scale), weight, 1 - GENUINE)
    chance = _chance(odds - max(limit, 0.0), learns)
    return Strays(chance, classes[found.argmin(axis=1)], np.exp(found.min(axis=1)), c)


def _examples(code: Ints, group: NDArray[np.int32]) -> Ints:
    """The classes with enough boxes on more than one source."""
    pairs = np.unique(np.stack([code, group.astype(np.int64)], axis=1), axis=0)
    classes, boxes = np.unique(code, return_counts=True)
    sources = np.bincount(np.searchsorted(classes, pairs[:, 0]), minlength=len(classes))
    return np.asarray(classes[(boxes >= FEWEST_BOXES) & (sources > 1)], np.int64)


def _some_of_each(rows: Ints, place: Ints, most: int) -> Ints:
    """At most `most` of the rows of each class, evenly taken."""
    out = []
    for k in np.unique(place[rows]).tolist():
        mine = rows[place[rows] == k]
        out.append(mine[np.linspace(0, len(mine) - 1, min(most, len(mine))).astype(np.int64)])
    return np.concatenate(out)


def _features(away: Floats) -> Floats:
    """(m, 2) how far the nearest class is, and how much farther the second."""
    two = np.partition(away, 1, axis=1)[:, :2]
    return np.asarray(np.stack([two[:, 0], two[:, 1] - two[:, 0]], axis=1))


def _quantile(values: Floats, weight: Floats, level: float) -> float:
    """The least value below or at which `level` of the weight lies."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(int(np.searchsorted(share, level)), len(values) - 1)])


def _chance(odds: Floats, learns: NDArray[np.bool_], rounds: int = 50) -> Floats:
    """(m,) chance of each, given its log odds at even chances; `learns` (m,) tell the share of strays."""
    share = 0.5
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(-np.clip(odds + np.log(share / (1 - share)), -500, 500)))
        share = (chance[learns].sum() + _EACH) / (learns.sum() + 2 * _EACH)
    return np.asarray(chance)


class _Nearness:
    """Angles to the c example classes, without a box's own source."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        code: Ints,
        group: NDArray[np.int32],
        example: Ints,
        classes: int,
    ) -> None:
        self.code, self.group, self.example, self.c = code, group, example, classes
        teaches = np.zeros(len(vectors), bool)
        teaches[example] = True
        self.data = whiten(vectors, _COMPONENTS, teaches=teaches)
        self._fold = np.full(len(vectors), FOLDS, np.int64)
        self._fold[example] = folds(group[example])
        own = code[example]
        angles = self._log_angles(example)[np.arange(len(own)), own]
        self._usual = np.full(classes, -np.inf)  # a class without examples is infinitely far
        for k in np.unique(own).tolist():
            self._usual[k] = np.median(angles[own == k])

    def away(self, rows: Ints) -> Floats:
        """(m, c) logarithm of how many times the usual distance each class is away."""
        return np.asarray(self._log_angles(rows) - self._usual)

    def _log_angles(self, rows: Ints) -> Floats:
        out = np.zeros((len(rows), self.c))
        for fold in np.unique(self._fold[rows]).tolist():
            mine = np.flatnonzero(self._fold[rows] == fold)
            out[mine] = self._cosines(rows[mine], self._sphere(fold))
        return np.asarray(np.log(np.maximum(1 - out, 1e-4)))

    def _sphere(self, fold: int) -> Floats:
        """(d, d) what makes the scatter within classes a sphere, learned from the other folds."""
        train = self.example[self._fold[self.example] != fold]
        code, d = self.code[train], self.data.shape[1]
        total = np.zeros((self.c, d))
        np.add.at(total, code, self.data[train])
        count = np.bincount(code, minlength=self.c)
        rest = self.data[train] - (total / np.maximum(count, 1)[:, None])[code]
        cov = rest.T @ rest / max(len(rest) - self.c, 1)
        level = max(float(np.trace(cov)) / d, 1e-6)
        return np.asarray(
            np.linalg.cholesky(np.linalg.inv((1 - _SHRINK) * cov + _SHRINK * level * np.eye(d)))
        )

    def _cosines(self, rows: Ints, sphere: Floats) -> Floats:
        """(m, c) cosine of each row with the mean of each class's other sources; -1 where there is none."""
        x, y = _unit(self.data[rows] @ sphere), _unit(self.data[self.example] @ sphere)
        code, group = self.code[self.example], self.group[self.example]
        total, count = np.zeros((self.c, y.shape[1])), np.bincount(code, minlength=self.c)
        np.add.at(total, code, y)
        cosines = x @ _unit(total).T
        order = np.argsort(group, kind="stable")
        for source in np.unique(self.group[rows]).tolist():
            low, high = np.searchsorted(group[order], [source, source + 1])
            there = order[low:high]
            mine = np.flatnonzero(self.group[rows] == source)
            for k in np.unique(code[there]).tolist():
                same = there[code[there] == k]
                left = _unit((total[k] - y[same].sum(axis=0))[None, :])[0]
                cosines[mine, k] = x[mine] @ left if len(same) < count[k] else -1.0
        return np.asarray(cosines)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
