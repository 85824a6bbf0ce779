"""Is it a copy? Pairs that look alike are compared by pixels, against copies and non-copies of this set.

What a copy scores is seen on planted ones: crops of this set re-encoded, resized, in other light, drawn
again. What two pictures of like things score is seen on neighbours that are none, and on the candidates
themselves. Where copies and others score alike, as on drawn symbols, pixels cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.evidence.pixels import Greys, Pixels, likeness
from healtheat.signals.samples import Pool, Samples

FEWEST = 10  # planted copies, and pairs that are none, from which anything is learned
LEARNED = 80  # of each, at most
FARTHER = 4  # neighbours nearer than that may be copies
APART = 0.95  # chance that a copy scores above a pair that is none, below which pixels cannot tell
ROUNDS = 30
LEAST_SPREAD = 0.2  # of Fisher's z: copies are made in more ways than are planted
PRIOR_PAIRS = 2.0  # what the others are worth beside candidates

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
WHOLE = (0.5, 0.5, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Views:
    """k pieces of images: rows of the images of a pool's samples, and boxes (k, 4) as shares."""

    image_row: Ids
    xywhn: Floats

    @classmethod
    def boxes(cls, samples: Samples, rows: Ids) -> Views:
        """The boxes in these rows."""
        return cls(samples.image_row[rows], samples.boxes.xywhn[rows])

    @classmethod
    def images(cls, rows: Ids) -> Views:
        """Whole images."""
        return cls(rows, np.tile(WHOLE, (len(rows), 1)))


@dataclass(frozen=True, slots=True)
class Verified:
    """`chance` (k,) that each pair is a copy, NaN where an image is gone; `why`, where none is judged."""

    chance: Floats
    likeness: Floats
    why: str | None = None

    @property
    def gone(self) -> int:
        """Pairs of which an image could not be read."""
        return int(np.isnan(self.likeness).sum()) if self.why is None else 0


class Cutter:
    """Grey squares of a pool's images, read from where its boxes came from."""

    def __init__(self, queries: Samples, store: Samples) -> None:
        self._stored = len(store.images)
        both = (store,) if queries is store else (store, queries)
        self._from: list[tuple[Pixels, Ids]] = [
            (samples.pixels, samples.images.image_id) for samples in both if samples.pixels is not None
        ]
        self.ready = len(self._from) == len(both)

    def cut(self, views: Views, *, copies: bool = False) -> list[Greys | None]:
        """The squares in the order of `views`, or what a copy of the image would show; None where gone."""
        out: list[Greys | None] = [None] * len(views.image_row)
        for row in np.unique(views.image_row):
            mine = np.flatnonzero(views.image_row == row)
            pixels, ids = self._from[int(row >= self._stored)]
            image_id = int(ids[row - self._stored * (row >= self._stored)])
            read = pixels.copies if copies else pixels.crops
            found = read(image_id, views.xywhn[mine])
            for at, grey in zip(mine.tolist(), () if found is None else found, strict=False):
                out[at] = grey
        return out

    def compare(self, a: Views, b: Views, *, turns: NDArray[np.bool_] | None = None) -> Floats:
        """(k,) likeness of each pair, NaN where an image is gone."""
        return _likenesses(self.cut(a), self.cut(b), turns)

    def planted(self, views: Views) -> Floats:
        """(k,) likeness of each piece and its copy."""
        return _likenesses(self.cut(views), self.cut(views, copies=True), None)


def _likenesses(a: list[Greys | None], b: list[Greys | None], turns: NDArray[np.bool_] | None) -> Floats:
    turned = np.zeros(len(a), bool) if turns is None else turns
    return np.array(
        [
            np.nan if one is None or other is None else likeness(one, other, turns=bool(turn))
            for one, other, turn in zip(a, b, turned, strict=True)
        ],
        np.float64,
    )


def verify(found: Floats, copies: Floats, others: Floats, teaches: NDArray[np.bool_]) -> Verified:
    """Chances for the likeness `found` (k,) of pairs, from that of planted `copies` and of `others`.

    NaN is left out. How many copies to expect is learned from the pairs that `teaches` (k,) marks.
    """
    copies, others = (values[~np.isnan(values)] for values in (copies, others))
    nothing = np.full(len(found), np.nan)
    if min(len(copies), len(others)) < FEWEST:
        return Verified(nothing, found, "too few pictures that are no copies to learn from")
    above = float((copies[:, None] > others).mean() + 0.5 * (copies[:, None] == others).mean())
    if above < APART:
        return Verified(
            nothing, found, f"a planted copy is likelier than others in {above:.0%} of cases only"
        )
    z_copies, z_others, z = (_spread(values) for values in (copies, others, found))
    known = ~np.isnan(z)
    chance = nothing.copy()
    chance[known] = _mixture(z[known], z_copies, z_others, teaches[known])
    return Verified(chance, found)


def _mixture(z: Floats, copies: Floats, others: Floats, teaches: NDArray[np.bool_]) -> Floats:
    """(k,) chance of a copy, rising with z, by expectation-maximisation.

    Copies are normal as the planted ones. Pairs that are none are normal as `others`, or as the candidates
    that turn out to be none, whichever is likelier: candidates are chosen for being alike.
    """
    centre, usual = float(np.median(copies)), float(np.median(others))
    copy = _density(np.minimum(z, centre), centre, max(_wide(copies, -1), LEAST_SPREAD))
    other = (usual, max(_wide(others, 1), LEAST_SPREAD))
    chance = np.where(z > (centre + usual) / 2, 0.9, 0.1)
    for _ in range(ROUNDS):
        none = (1 - chance) * teaches
        total = none.sum() + PRIOR_PAIRS
        mean = (none @ z + PRIOR_PAIRS * other[0]) / total
        spread = np.sqrt((none @ (z - mean) ** 2 + PRIOR_PAIRS * other[1] ** 2) / total)
        share = float(np.clip((chance[teaches].sum() + 0.5) / (teaches.sum() + 1), 1e-3, 0.5))
        high = np.maximum(z, mean)  # what is less alike than usual is no copy either
        unlike = np.maximum(_density(high, mean, float(spread)), _density(np.maximum(z, usual), *other))
        chance = share * copy / (share * copy + (1 - share) * unlike + 1e-300)
    return np.asarray(chance)


def _density(z: Floats, mean: float, spread: float) -> Floats:
    return np.asarray(np.exp(-(((z - mean) / spread) ** 2) / 2) / spread)


def _wide(values: Floats, side: int) -> float:
    """Standard deviation by the 5 % most extreme values of one side (1 above, -1 below the median)."""
    return float(np.quantile(side * (values - np.median(values)), 0.95)) / 1.645


def _spread(correlation: Floats) -> Floats:
    """Fisher's z, in which correlations near 1 are as far apart as others."""
    return np.asarray(np.arctanh(np.clip(correlation, -0.9999, 0.9999)))


def other_crops(pool: Pool) -> tuple[Ids, Ids]:
    """(rows, rows) of boxes that teach and of one of another source that looks like each and is no copy."""
    hashes = pool.samples.measures["dhash"].astype(np.uint64)
    rows = _some(np.flatnonzero(pool.teaches))
    a, b = [], []
    for row in rows.tolist():
        near = pool.neighbours.other[row]
        near = near[near >= 0][FARTHER:]
        if len(near):
            a.append(row)
            b.append(int(near[np.bitwise_count(hashes[near] ^ hashes[row]).argmin()]))
    return np.array(a, np.int64), np.array(b, np.int64)


def other_images(samples: Samples, stored: int) -> tuple[Ids, Ids]:
    """(rows, rows) of the first `stored` images and of another source's that hashes alike and is no copy."""
    hashes, key = samples.image_dhash[:stored], samples.images.group_key[:stored]
    a, b = [], []
    for row in _some(np.arange(stored)).tolist():
        bits = np.bitwise_count(hashes ^ hashes[row]).astype(np.int64)
        bits[key == key[row]] = 65
        near = np.argsort(bits, kind="stable")[FARTHER : FARTHER + 1]
        if len(near) and bits[near[0]] <= 64:
            a.append(row)
            b.append(int(near[0]))
    return np.array(a, np.int64), np.array(b, np.int64)


def _some(rows: Ids) -> Ids:
    picked = np.random.default_rng(0).permutation(len(rows))[:LEARNED]
    return np.sort(rows[picked])
