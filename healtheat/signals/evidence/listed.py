"""What an image's name lists against its boxes: one assignment of boxes to listed things, over all its boxes.

Every way to give each box one listed thing, or none, has a weight: what the crops look like, how likely their
labels are if the box is that thing, how often things have no box and boxes no thing. Summed over all ways
(exactly, by dynamic programming over how many of each class are taken) this is the chance that a box is
right, is another listed thing, or is one too many, and that a listed thing has no box. The rates, and how
often a name is that of another image, are learned from the set: names that fit no labels weigh nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, rows_of
from healtheat.core.overlap import iou
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_STATES = 4096  # ways to take some of what is listed; an image that has more is left to plain counting
SAME_PLACE = 0.5  # IoU from which two boxes lie on one thing
_PRIOR_COUNT, _PRIOR_RATE = 20.0, 0.05  # what is known of the rates before any image is seen
_BATCH = 4_000_000  # numbers held at a time


@dataclass(frozen=True, slots=True)
class Tray:
    """One image: the rows of its boxes, what its name lists (class id → how often), lines not readable.

    Things whose code has no class are listed as NO_CLASS: a box may be one, but none of them is missed.
    """

    image: int
    rows: Ints
    listed: Mapping[int, int]
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of boxes with a wrong label and of boxes too many, of listed things without a box."""

    wrong: float
    extra: float
    missing: float

    @classmethod
    def of(cls, trays: Sequence[Tray], class_id: Ints) -> Rates:
        """By counting, where a box too many and a missing one on one image are a wrong label."""
        boxes = things = wrong = extra = missing = 0
        for tray in trays:
            m, s = len(tray.rows), sum(tray.listed.values())
            held = sum((Counter(class_id[tray.rows].tolist()) & Counter(tray.listed)).values())
            boxes, things = boxes + m, things + s
            wrong += min(m, s) - held
            extra += max(0, m - s)
            missing += max(0, s - m - tray.broken - tray.listed.get(NO_CLASS, 0))
        return cls(_rate(wrong, boxes), _rate(extra, boxes), _rate(missing, things))


@dataclass(frozen=True, slots=True)
class Assigned:
    """For n boxes: what the assignment says; all is 0 and False where `known` is not set.

    `posterior` (n, c) is the chance of each class, label and name known; `wrong`, `extra` (n,) that the label
    is wrong, that the box is one too many; `suggestion` (n,) the most likely other class id, or NO_CLASS.
    `fits` (n,) whether the name lists the box's class as often as boxes have it. `missing`: (image row,
    class id, chance) a thing. `exchange`: how often two boxes of an image have exchanged their labels.
    """

    known: NDArray[np.bool_]
    posterior: Floats
    wrong: Floats
    extra: Floats
    suggestion: Ints
    fits: NDArray[np.bool_]
    missing: tuple[tuple[int, int, float], ...]
    images: NDArray[np.bool_]  # (p,) images that were assigned
    exchange: float


def assign(
    trays: Sequence[Tray],
    log_p: Floats,
    base: Floats,
    class_ids: Ints,
    code: Ints,
    images: int,
    exchange: float = _PRIOR_RATE,
) -> Assigned:
    """The assignment of all `trays`. `log_p` (n, c): the class by the crop alone; `base` (c,) class shares.

    `exchange` is the result's of an earlier round, where there is one.
    """
    n, c = log_p.shape
    problem = _Problem(
        log_p - np.log(base), base, base[code], class_ids[code],
        class_ids, {int(k): at for at, k in enumerate(class_ids)}, Rates.of(trays, class_ids[code]), exchange,
    )  # fmt: skip
    batches: defaultdict[tuple[int, tuple[int, ...], int, int], list[Tray]] = defaultdict(list)
    for tray in trays:
        counts = tuple(tray.listed[k] for k in sorted(tray.listed))
        if np.prod([count + 1.0 for count in counts]) <= MOST_STATES:
            batches[len(tray.rows), counts, tray.broken, tray.listed.get(NO_CLASS, 0)].append(tray)
    solved: list[_Solved] = []
    for (m, counts, broken, unnamed), group in batches.items():
        size = max(1, int(_BATCH / ((m + 1) * np.prod([count + 1 for count in counts]))))
        for start in range(0, len(group), size):
            solved.append(problem.solve(group[start : start + size], m, counts, (broken, unnamed)))
    trusted = _trusted_names(solved, np.exp(log_p[np.arange(n), code]), problem)
    return _collect(solved, trusted, problem, (n, c, images))


@dataclass(frozen=True, slots=True)
class _Problem:
    """What all images share. `ratio` (n, c) log of class by the crop over class share; `label` (n,) ids."""

    ratio: Floats
    base: Floats  # (c,)
    label_share: Floats  # (n,)
    label: Ints
    class_ids: Ints  # (c,)
    column: Mapping[int, int]
    rates: Rates
    exchange: float

    def solve(
        self, trays: Sequence[Tray], m: int, counts: tuple[int, ...], spare: tuple[int, int]
    ) -> _Solved:
        """Images of `m` boxes whose names list `counts` of their classes, in ascending order of class ids."""
        k, rates = len(counts), self.rates
        rows = np.array([tray.rows for tray in trays], np.int64).reshape(len(trays), m)
        classes = np.array([sorted(tray.listed) for tray in trays], np.int64).reshape(len(trays), k)
        at = np.array([self.column.get(int(c), -1) for c in classes.ravel()], np.int64).reshape(classes.shape)
        # A class that no box has looks like anything.
        looks = np.where(at[:, None, :] >= 0, self.ratio[rows[:, :, None], at[:, None, :]], 0.0)
        same = self.label[rows][:, :, None] == classes[:, None, :]
        # Two exchanged labels are one mistake: each costs half of it, in logarithms. A label whose own thing
        # is left without a box was not exchanged.
        listed = same.any(axis=2)
        alone = np.minimum(rates.wrong * self.base[at] / np.sqrt(self.exchange), 1)
        left = np.minimum(same.sum(axis=1), np.array(counts, np.int64)), alone
        wrong = np.where(listed, np.sqrt(self.exchange), rates.wrong * self.label_share[rows])
        log_w = looks + np.log(np.where(same, 1 - rates.wrong, wrong[:, :, None]))
        log_x = np.log(rates.extra * self.label_share[rows])
        top = np.maximum(log_w.max(axis=2, initial=-np.inf), log_x)
        weight, none = np.exp(log_w - top[:, :, None]), np.exp(log_x - top)
        box, extra, missing, total = _chances(weight, none, counts, spare, rates.missing, left)
        return _Solved(
            np.array([tray.image for tray in trays], np.int64), rows, classes, at, same, counts, spare,
            box, extra, missing, np.log(total) + top.sum(axis=1),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Solved:
    """B images of one shape, m boxes and k listed classes: chances, and the log weight of all ways."""

    image: Ints  # (B,)
    rows: Ints  # (B, m)
    classes: Ints  # (B, k)
    column: Ints  # (B, k) of the classes, -1 for one that no box has
    same: NDArray[np.bool_]  # (B, m, k) the box's label
    counts: tuple[int, ...]  # (k,) how often each class is listed
    spare: tuple[int, int]  # lines that could not be read, things without a class
    box: Floats  # (B, m, k)
    extra: Floats  # (B, m)
    missing: Floats  # (B, k, most) at least 1, 2, … of the class have no box
    log_weight: Floats  # (B,)


def _chances(
    weight: Floats,
    none: Floats,
    counts: tuple[int, ...],
    spare: tuple[int, int],
    lost: float,
    held: tuple[Ints, Floats],
) -> tuple[Floats, Floats, Floats, Floats]:
    """Sums over all ways to give m boxes one of k listed classes or none: forward and backward over boxes.

    `weight` (B, m, k), `none` (B, m); `counts` (k,) things of each class; each of those left without a box
    costs `lost`, but for as many as there are lines not readable and, of the first class, things without a
    class (`spare`). `held` ((B, k), (B, k)): how many of each class have a box with their label, and what it
    costs to leave one of those without. A state is how many of each class are taken.
    """
    batch, m, k = weight.shape
    shape = tuple(count + 1 for count in counts)
    states = int(np.prod(shape)) if k else 1
    taken = np.stack(np.unravel_index(np.arange(states), shape), axis=1) if k else np.zeros((1, 0), np.int64)
    step = [int(np.prod(shape[j + 1 :])) for j in range(k)]
    free = [np.flatnonzero(taken[:, j] < counts[j]) for j in range(k)]
    left = np.array(counts, np.int64) - taken
    named = left.sum(axis=1) - (left[:, 0] if spare[1] else 0)
    gone = np.maximum(named - spare[0], 0)
    before = np.zeros((m + 1, batch, states))
    before[0, :, 0] = 1
    for i in range(m):
        before[i + 1] = before[i] * none[:, i, None]
        for j in range(k):
            before[i + 1][:, free[j] + step[j]] += before[i][:, free[j]] * weight[:, i, j, None]
    after = np.tile(lost ** gone.astype(np.float64), (batch, 1))
    for j in range(k):
        after *= held[1][:, j, None] ** np.maximum(held[0][:, j, None] - taken[None, :, j], 0)
    ways = before[m] * after
    total = ways.sum(axis=1)
    share = gone / np.maximum(named, 1)
    missing = np.zeros((batch, k, max(counts, default=0)))
    for j in range(k):
        for often in range(counts[j]):
            missing[:, j, often] = (ways * (share * (left[:, j] > often))).sum(axis=1) / total
    box, extra = np.zeros((batch, m, k)), np.zeros((batch, m))
    for i in reversed(range(m)):
        extra[:, i] = (before[i] * after).sum(axis=1) * none[:, i] / total
        earlier = after * none[:, i, None]
        for j in range(k):
            onward = after[:, free[j] + step[j]] * weight[:, i, j, None]
            box[:, i, j] = (before[i][:, free[j]] * onward).sum(axis=1) / total
            earlier[:, free[j]] += onward
        after = earlier
    return box, extra, missing, total


def _trusted_names(solved: Sequence[_Solved], own: Floats, problem: _Problem) -> list[Floats]:
    """For each batch (B,) the chance that a name is of its image, against labels that come from anywhere.

    How many are not is found by expectation-maximisation. `own` (n,): the box's class by the crop alone.
    """
    if not solved:
        return []
    rates = problem.rates
    anywhere = np.log((1 - rates.wrong) * own + rates.wrong * problem.label_share)
    gains = []
    for part in solved:
        m, things = part.rows.shape[1], sum(part.counts)
        lost, extra = max(0, things - m - sum(part.spare)), max(0, m - things)
        same_count = lost * np.log(rates.missing) + extra * np.log(rates.extra)
        gains.append(part.log_weight - anywhere[part.rows].sum(axis=1) - same_count)
    gain, share = np.exp(-np.clip(np.concatenate(gains), -500, 500)), _PRIOR_RATE
    for _ in range(10):
        trust = 1 / (1 + share / (1 - share) * gain)
        share = min(_rate(float((1 - trust).sum()), len(trust)), 0.99)
    return np.split(trust, np.cumsum([len(part.image) for part in solved])[:-1])


def _collect(
    solved: Sequence[_Solved], trusted: Sequence[Floats], problem: _Problem, sizes: tuple[int, int, int]
) -> Assigned:
    n, c, images = sizes
    known, fits, settled = np.zeros(n, bool), np.zeros(n, bool), np.zeros(images, bool)
    posterior, wrong, extra = np.zeros((n, c)), np.zeros(n), np.zeros(n)
    suggestion = np.full(n, NO_CLASS, np.int64)
    missing: list[tuple[int, int, float]] = []
    exchanged = pairs = 0.0
    for part, trust in zip(solved, trusted, strict=True):
        rows, m = part.rows, part.rows.shape[1]
        p = part.box * trust[:, None, None]
        others = np.where(part.same, 0.0, p)
        settled[part.image], known[rows] = True, True
        extra[rows], wrong[rows] = part.extra * trust[:, None], others.sum(axis=2)
        full = part.same.sum(axis=1) <= np.array(part.counts, np.int64)  # (B, k) not more boxes than listed
        fits[rows] = (part.same & full[:, None, :]).any(axis=2)
        for k in range(len(part.counts)):
            there = part.column[:, k] >= 0
            posterior[rows[there], part.column[there, k, None]] = p[there, :, k]
        own = np.searchsorted(problem.class_ids, problem.label[rows])
        posterior[rows, own] += 1 - trust[:, None] + extra[rows]
        if part.counts and m:
            best = np.where(part.same, -1.0, p).argmax(axis=2)
            other = ~np.take_along_axis(part.same, best[:, :, None], axis=2)[:, :, 0]
            suggestion[rows] = np.where(other, np.take_along_axis(part.classes, best, axis=1), NO_CLASS)
        exchanged += float((wrong[rows] * fits[rows]).sum()) / 2
        pairs += len(rows) * m * (m - 1) / 2
        gone = part.missing * trust[:, None, None]
        gone[part.classes == NO_CLASS] = 0
        for i, k, often in np.argwhere(gone > problem.rates.missing).tolist():
            missing.append((int(part.image[i]), int(part.classes[i, k]), float(gone[i, k, often])))
    rate = _rate(exchanged, pairs)
    return Assigned(known, posterior, wrong, extra, suggestion, fits, tuple(sorted(missing)), settled, rate)


def _rate(count: float, of: float) -> float:
    return (count + _PRIOR_COUNT * _PRIOR_RATE) / (of + _PRIOR_COUNT)


def trays_of(samples: Samples) -> list[Tray]:
    """The images whose names were read; [] where no rule is known.

    Boxes that lie on another one are left out, one thing has one box: of two the one stays whose label the
    name lists, else the first. Both stay where the name lists all boxes of that class: things do overlap.
    """
    if samples.listing is None:
        return []
    what, images, class_id = samples.listing, samples.images, samples.boxes.class_id
    corner = samples.boxes.xyxyn
    trays = []
    for image, rows in enumerate(rows_of(samples.image_row, len(images))):
        listed = what.listed[image]
        if listed is None or images.status[image] == "unreadable":
            continue
        things = dict(listed)
        if what.unknown[image]:
            things[NO_CLASS] = len(what.unknown[image])
        order = sorted(rows.tolist(), key=lambda row: (class_id[row] not in listed, row))
        often = Counter(class_id[rows].tolist())
        kept: list[int] = []
        for row in order:
            own = int(class_id[row])
            if often[own] <= listed.get(own, 0) or not (iou(corner[[row]], corner[kept]) >= SAME_PLACE).any():
                kept.append(row)
        broken = len(broken_classes(samples.problems_of[images.path[image]]))
        trays.append(Tray(image, np.array(sorted(kept), np.int64), things, broken))
    return trays
