"""Nearest vectors in class shards, by FAISS: of an opened index, or of arrays in memory.

`search` is the one function: unit vectors against the shards of a store, restricted to classes or not, rows
of one's own source left out by group. A set against itself (`neighbours`) is the special case in which every
row is left out of its own answer. Inner products of unit vectors are cosine similarities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.sources.groups import group_codes

if TYPE_CHECKING:
    from healtheat.index.store import Index

EXACT_ROWS = 30_000
PROBES = 8  # class shards searched for each row, its own among them
_ROUND = 8  # answers asked for are a multiple of it
_BLOCK_VALUES = 4_000_000  # answers of FAISS held at once: 48 MB of ids and similarities

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]


class Store(Protocol):
    """Vectors that can be searched, one shard per class."""

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        ...

    def class_ids(self) -> Ids:
        """(c,) the classes that have a shard, ascending."""
        ...

    def open(self, class_id: int) -> AbstractContextManager[Any]:
        """The shard of a class, a FAISS index whose ids are box ids. It is closed when the block ends."""
        ...

    def groups(self, ids: Ids) -> NDArray[np.int32]:
        """(m,) the group of each box: boxes on images of one source share it."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """The k nearest of each query, best first, equals by id; -1 where there is none."""

    ids: Ids  # (n, k)
    similarity: Vectors  # (n, k) cosine


class ArrayStore:
    """Rows in memory. Ids are row numbers; `shard` (n,) is the shard of each row, one for all by default."""

    def __init__(
        self,
        vectors: Vectors,
        group: NDArray[np.int32],
        shard: NDArray[np.int64] | None = None,
        *,
        rows: int | None = None,
    ) -> None:
        if vectors.ndim != 2 or group.shape != (len(vectors),):
            raise ValueError(f"expected vectors (n, d) and group (n,), found {vectors.shape}, {group.shape}")
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._group = np.asarray(group, np.int32)
        self._shard = np.zeros(len(vectors), np.int64) if shard is None else np.asarray(shard, np.int64)
        self._shard = self._shard[:rows]  # the rows behind them are known by group, but answer nothing

    @property
    def dim(self) -> int:
        return int(self._vectors.shape[1])

    def class_ids(self) -> Ids:
        return np.asarray(np.unique(self._shard), np.int64)

    @contextmanager
    def open(self, class_id: int) -> Iterator[Any]:
        rows = self._rows[class_id]
        shard = faiss.IndexIDMap(faiss.IndexFlatIP(self.dim))
        shard.add_with_ids(self._vectors[rows], rows)
        yield shard

    def groups(self, ids: Ids) -> NDArray[np.int32]:
        return self._group[ids]

    @cached_property
    def _rows(self) -> dict[int, Ids]:
        order = np.argsort(self._shard, kind="stable").astype(np.int64)
        found, starts = np.unique(self._shard[order], return_index=True)
        return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))

    def centres(self) -> Vectors:
        """(c, d) the mean direction of each shard, in the order of `class_ids`."""
        means = np.stack([self._vectors[self._rows[c]].mean(axis=0) for c in self.class_ids().tolist()])
        norm = np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(means / np.maximum(norm, 1e-12), np.float32)


class IndexStore:
    """The shards of an opened index: mapped from disk when they are needed, closed again after it."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @property
    def dim(self) -> int:
        return self._index.manifest.dim

    def class_ids(self) -> Ids:
        return np.array(list(self._index.manifest.class_rows()), np.int64)

    @contextmanager
    def open(self, class_id: int) -> Iterator[Any]:
        yield self._index.shard(class_id)

    def groups(self, ids: Ids) -> NDArray[np.int32]:
        box_id, group, _ = self._groups
        return group[np.searchsorted(box_id, ids)]

    def group_of_image(self, image_id: int) -> int:
        """The group of an image's source. Raises KeyError for an unknown image."""
        return self._groups[2][image_id]

    @cached_property
    def _groups(self) -> tuple[Ids, NDArray[np.int32], dict[int, int]]:
        images, boxes = self._index.images(), self._index.boxes()
        codes = group_codes(list(images.group_key), list(images.sha256))
        of_image = dict(zip(images.image_id.tolist(), codes.tolist(), strict=True))
        group = codes[np.searchsorted(images.image_id, boxes.image_id)]
        return boxes.box_id, np.asarray(group, np.int32), of_image


def search(
    queries: Vectors,
    store: Store,
    *,
    k: int,
    classes: Sequence[int] | None = None,
    group: NDArray[np.int32] | None = None,
    own_ids: Ids | None = None,
    asked: NDArray[np.int64] | None = None,
) -> Found:
    """The `k` most similar vectors of `store` for each of `queries` ((n, d), unit rows), exact.

    `classes`: only these shards. `group` (n,): no vector of that group is an answer. `own_ids` (n,): nor the
    vector of that id (-1: all may answer). `asked` (n, p): for each query the only shards to search.
    Raises ValueError for vectors of another dimension, KeyError for a class without a shard.
    """
    want = _Want.of(len(queries), k, group, own_ids)
    _scan(queries, store, [want], classes, asked)
    return want.best


@dataclass(frozen=True, slots=True)
class _Want:
    """One answer that a scan fills: what must be left out of it, and the best so far."""

    group: NDArray[np.int32] | None
    own_ids: Ids | None
    best: Found

    @classmethod
    def of(cls, n: int, k: int, group: NDArray[np.int32] | None, own_ids: Ids | None) -> _Want:
        return cls(group, own_ids, Found(np.full((n, k), -1, np.int64), np.full((n, k), -1, np.float32)))


def _scan(
    queries: Vectors,
    store: Store,
    wants: Sequence[_Want],
    classes: Sequence[int] | None = None,
    asked: NDArray[np.int64] | None = None,
) -> None:
    """Fill all `wants` in one pass over the shards."""
    n = len(queries)
    if n == 0 or not any(want.best.ids.shape[1] for want in wants):
        return
    if queries.ndim != 2 or queries.shape[1] != store.dim:
        raise ValueError(f"expected queries (n, {store.dim}), found {queries.shape}")
    queries = np.ascontiguousarray(queries, np.float32)
    for class_id in store.class_ids().tolist() if classes is None else dict.fromkeys(map(int, classes)):
        rows = np.arange(n) if asked is None else np.flatnonzero((asked == class_id).any(axis=1))
        if len(rows):
            with store.open(class_id) as shard:
                _take(shard, store, queries, rows, wants)


def _take(shard: Any, store: Store, queries: Vectors, rows: Ids, wants: Sequence[_Want]) -> None:
    """Merge the shard's answers for `rows`: so many more are asked for as may have to be left out."""
    size = int(shard.ntotal)
    needed = np.zeros(len(rows), np.int64)
    for want in wants:
        spare = np.full(len(rows), want.best.ids.shape[1] + (want.own_ids is not None), np.int64)
        if want.group is not None:
            groups, often = np.unique(store.groups(faiss.vector_to_array(shard.id_map)), return_counts=True)
            at = np.minimum(np.searchsorted(groups, want.group[rows]), max(len(groups) - 1, 0))
            spare += np.where(groups[at] == want.group[rows], often[at], 0)
        needed = np.maximum(needed, spare)
    # A few sizes only: FAISS is asked once for all queries that need about as many answers.
    needed = np.minimum(-(-needed // _ROUND) * _ROUND, size)
    for count in np.unique(needed).tolist():
        mine = rows[needed == count]
        step = max(1, _BLOCK_VALUES // max(count, 1))
        for start in range(0, len(mine), step):
            block = mine[start : start + step]
            similarity, ids = shard.search(queries[block], count)
            for want in wants:
                out = ids < 0
                if want.own_ids is not None:
                    out |= ids == want.own_ids[block][:, None]
                if want.group is not None:
                    known = store.groups(np.where(ids < 0, 0, ids).reshape(-1)).reshape(ids.shape)
                    out |= (known == want.group[block][:, None]) & (ids >= 0)
                _merge(np.where(out, -1, ids), np.where(out, -1, similarity), block, want.best)


def _merge(ids: Ids, similarity: Vectors, block: Ids, best: Found) -> None:
    """Keep the best of what is known of `block` and what was found; equals go to the lower id."""
    all_ids = np.concatenate([best.ids[block], ids], axis=1)
    every = np.concatenate([best.similarity[block], similarity], axis=1)
    last = np.where(all_ids < 0, np.iinfo(np.int64).max, all_ids)  # empty places go last among equals
    order = np.lexsort((last, -np.where(all_ids < 0, -2, every)), axis=1)[:, : best.ids.shape[1]]
    best.ids[block] = np.take_along_axis(all_ids, order, axis=1)
    best.similarity[block] = np.take_along_axis(every, order, axis=1)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Row numbers (not box ids) and cosine similarities, best first; both are -1 where there is none."""

    other: Ids  # (n, k) from other sources: they may vouch for a label
    other_similarity: Vectors  # (n, k)
    near: Ids  # (n, k_near) from anywhere: duplicates are found there
    near_similarity: Vectors  # (n, k_near)


def neighbours(
    vectors: Vectors,
    group: NDArray[np.int32],
    class_code: NDArray[np.int64],
    *,
    k: int = 30,
    k_near: int = 8,
    exact_rows: int = EXACT_ROWS,
    probes: int = PROBES,
    stored: int | None = None,
) -> Neighbours:
    """The neighbours of every row of `vectors` ((n, d), unit rows) among the others.

    A row is never its own neighbour: it is left out by its number, not by its similarity. With `stored`, rows
    from that number on only ask: `other` names none of them, `near` may. Exact up to `exact_rows` rows;
    above, a row is compared with its own class and its `probes` nearest classes alone.
    """
    n = len(vectors)
    asked: NDArray[np.int64] | None = None
    store = ArrayStore(vectors, group)
    if n > exact_rows:
        codes = np.unique(class_code)
        store = ArrayStore(vectors, group, class_code)
        asked = _nearest_shards(vectors, store, class_code, min(probes, len(codes)))
    own = np.arange(n, dtype=np.int64)
    other = _Want.of(n, k, group, own)
    near = _Want.of(n, k_near, None, own)
    if stored is None:
        _scan(vectors, store, [other, near], asked=asked)
    else:
        teachers = ArrayStore(vectors, group, None if asked is None else class_code, rows=stored)
        _scan(vectors, teachers, [other], asked=asked)
        _scan(vectors, store, [near], asked=asked)
    return Neighbours(other.best.ids, other.best.similarity, near.best.ids, near.best.similarity)


def _nearest_shards(
    vectors: Vectors, store: ArrayStore, class_code: NDArray[np.int64], probes: int
) -> NDArray[np.int64]:
    """(n, probes) the shards whose centres are nearest; the own one takes the last place if absent."""
    centres = faiss.IndexFlatIP(store.dim)
    centres.add(store.centres())
    nearest = store.class_ids()[centres.search(np.ascontiguousarray(vectors, np.float32), probes)[1]]
    there = (nearest == class_code[:, None]).any(axis=1)
    nearest[:, -1] = np.where(there, nearest[:, -1], class_code)
    return np.asarray(nearest, np.int64)
