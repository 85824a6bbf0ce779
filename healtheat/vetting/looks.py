"""What a crop looks like, whatever it is called: models of the trusted crops, and the nearest of them.

The models are those of the signals (evidence/classmodel.py, evidence/ground.py), fitted once. The nearest
crops are searched in the class shards, a few of every class, so that a class can be left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.index.search import ArrayStore, Neighbours, Store, search
from healtheat.signals.background import nearest
from healtheat.signals.evidence.classmodel import FLOOR, Discriminant, Logistic, votes
from healtheat.signals.evidence.components import COMPONENTS, Axes
from healtheat.signals.evidence.ground import Ground
from healtheat.signals.evidence.stack import log_softmax

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

NEAREST = 3  # crops of every class that are compared with
_VOTERS = 20  # of them, the most similar ones vote
_MOST_LOGISTIC = 20_000_000  # boxes × classes above which the logistic regression takes too long


@dataclass(frozen=True, slots=True)
class Eyes:
    """Models of c classes and of the background that were fitted on trusted crops.

    `logistic` is None where the set is too large for it or has one class, `ground` and `ground_axes` where
    there are too few tiles of background.
    """

    axes: Axes
    discriminant: Discriminant
    logistic: Logistic | None
    ground_axes: Axes | None
    ground: Ground | None

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        code: Ids,
        tiles: Vectors,
        c: int,
        fewest_tiles: int = 10,
    ) -> Eyes:
        """From unit `vectors` (n, d) of the classes `code` (n,) in 0 to c - 1, and tiles (m, d)."""
        axes = Axes.fit(vectors, COMPONENTS)
        parts = axes.project(vectors)
        discriminant = Discriminant.fit(axes.whitened(parts), code, c)
        small = c > 1 and len(code) * c <= _MOST_LOGISTIC
        logistic = Logistic.fit(parts, code, c) if small else None
        if len(tiles) < fewest_tiles:
            return cls(axes, discriminant, logistic, None, None)
        both = np.concatenate([vectors, tiles])
        ground_axes = Axes.fit(both, COMPONENTS)
        is_tile = np.r_[np.zeros(len(vectors), np.int64), np.ones(len(tiles), np.int64)]
        ground = Ground.fit(ground_axes.whitened(ground_axes.project(both)), is_tile)
        return cls(axes, discriminant, logistic, ground_axes, ground)

    def see(self, vectors: Vectors, near: Near, to_tiles: Floats) -> Sight:
        """What n crops look like; `near`, `to_tiles` (n,): how similar the nearest crops and tiles are."""
        parts = self.axes.project(vectors)
        white = self.axes.whitened(parts)
        n = len(vectors)
        ground = np.zeros(n)
        if self.ground is not None and self.ground_axes is not None:
            ground = self.ground.log_odds(self.ground_axes.whitened(self.ground_axes.project(vectors)))
        return Sight(
            discriminant=self.discriminant.log_p(white),
            logistic=np.zeros((n, 0)) if self.logistic is None else self.logistic.log_p(parts),
            distance=self.discriminant.distance(white),
            ground=ground,
            to_tiles=to_tiles,
            near=near,
        )


@dataclass(frozen=True, slots=True)
class Near:
    """The most similar trusted crops of every class, best first: ids and cosines (n, c, 3), -1 for none."""

    ids: Ids
    similarity: Vectors

    @classmethod
    def of(cls, vectors: Vectors, group: NDArray[np.int32], store: Store, class_ids: Ids) -> Near:
        """Of unit `vectors` (n, d); crops of a vector's own source `group` (n,) are no answer."""
        found = [search(vectors, store, k=NEAREST, classes=[c], group=group) for c in class_ids.tolist()]
        return cls(np.stack([f.ids for f in found], 1), np.stack([f.similarity for f in found], 1))

    def rows(self, at: Ids) -> Near:
        """Those of the rows `at`."""
        return Near(self.ids[at], self.similarity[at])

    def without(self, hidden: Ids) -> Near:
        """As if the class `hidden` (n,) of each row did not exist."""
        ids, similarity = self.ids.copy(), self.similarity.copy()
        at = np.arange(len(hidden))
        ids[at, hidden], similarity[at, hidden] = -1, -1
        return Near(ids, similarity)

    def to_class(self) -> Floats:
        """(n, c) mean cosine to the nearest crops of each class, -1 where it has none."""
        known = self.ids >= 0
        total = np.where(known, self.similarity, 0).sum(axis=2)
        return np.where(known.any(axis=2), total / np.maximum(known.sum(axis=2), 1), -1.0)

    def voters(self) -> Neighbours:
        """The most similar of all classes together; the "row" of a voter is its class."""
        n, c, k = self.ids.shape
        flat = self.similarity.reshape(n, c * k).astype(np.float64)
        order = np.argsort(-flat, axis=1, kind="stable")[:, :_VOTERS]
        rows = np.where(np.take_along_axis(self.ids.reshape(n, c * k), order, axis=1) >= 0, order // k, -1)
        cosine = np.take_along_axis(flat, order, axis=1).astype(np.float32)
        return Neighbours(rows, cosine, rows[:, :0], cosine[:, :0])


@dataclass(frozen=True, slots=True)
class Sight:
    """What n crops look like. `discriminant`, `logistic` (n, c) log probabilities (logistic may have no
    column), `distance` (n, c) squared Mahalanobis distances, `ground` (n,) log odds of background, `to_tiles`
    (n,) cosine to the nearest tiles.
    """

    discriminant: Floats
    logistic: Floats
    distance: Floats
    ground: Floats
    to_tiles: Floats
    near: Near

    def __len__(self) -> int:
        return len(self.ground)

    @classmethod
    def empty(cls, n: int, c: int, near: Near, *, logistic: bool) -> Sight:
        """Room for n crops; `put` fills it."""
        wide = np.zeros((n, c))
        log_p = np.zeros((n, c if logistic else 0))
        return cls(wide, log_p, wide.copy(), np.zeros(n), np.zeros(n), near)

    def put(self, rows: Ids, part: Sight) -> None:
        """Write what `part` says into `rows`."""
        for name in ("discriminant", "logistic", "distance", "ground", "to_tiles"):
            getattr(self, name)[rows] = getattr(part, name)

    def without(self, hidden: Ids) -> Sight:
        """As if the class `hidden` (n,) of each row did not exist."""
        at = np.arange(len(hidden))
        out = [self.discriminant.copy(), self.logistic.copy()]
        for log_p in out:
            if log_p.shape[1]:
                log_p[at, hidden] = -np.inf
                log_p[:] = np.log(np.maximum(np.exp(log_softmax(log_p)), FLOOR))
        near = self.near.without(hidden)
        return Sight(out[0], out[1], self.distance, self.ground, self.to_tiles, near)

    def votes(self, scale: float) -> Floats:
        """(n, c) log shares of the nearest crops; `scale` is how fast a vote fades."""
        c = self.near.ids.shape[1]
        return votes(self.near.voters(), np.eye(c), k=_VOTERS, scale=scale)

    def parts(self, scale: float) -> list[Floats]:
        """The pieces of evidence about the class, (n, c) each."""
        return [self.discriminant, *([self.logistic] if self.logistic.shape[1] else []), self.votes(scale)]


def cosine_to_tiles(vectors: Vectors, tiles: Vectors, *, own: bool = False) -> Floats:
    """(n,) mean cosine to the nearest tiles, 0 where there are none; `own`: the vectors are the tiles."""
    if len(tiles) <= own:
        return np.zeros(len(vectors))
    k = min(NEAREST, len(tiles) - own)
    return np.asarray(nearest(vectors, tiles, k, own=own).mean(axis=1), np.float64)


def among_themselves(vectors: Vectors, group: NDArray[np.int32], most: int) -> Floats:
    """(m,) mean cosine of unit `vectors` (m, d) to the nearest of them from other sources, -1 where none is.

    At most `most` of them are compared with, drawn at random: among more, the nearest are nearer.
    """
    m = len(vectors)
    rows = np.arange(m, dtype=np.int64)
    if m > most:
        rows = np.sort(np.random.default_rng(0).choice(m, most, replace=False))
    found = search(vectors, ArrayStore(vectors[rows], group[rows]), k=NEAREST, group=group)
    known = found.ids >= 0
    total = np.where(known, found.similarity, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), -1.0)
