"""One neighbour search with the largest k; every signal shares its result.

Two lists a box: the most similar boxes from *other* sources (they may vouch for a label), and the most
similar boxes from anywhere (duplicates are found there). A box is never its own neighbour: self-hits
are dropped by row, not by similarity. Up to `EXACT_ROWS` boxes the search is exact; above, the queries of all
boxes are sent to their own and their nearest class shards, one matrix product a shard.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

EXACT_ROWS = 30_000
PROBES = 8  # class shards searched a box, beside its own
_BLOCK_VALUES = 8_000_000  # similarities held at once: 32 MB


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Row numbers (not box ids) and cosine similarities, best first; both are -1 where there is none."""

    other: NDArray[np.int64]  # (n, k) from other sources
    other_similarity: NDArray[np.float32]  # (n, k)
    near: NDArray[np.int64]  # (n, k_near) from anywhere
    near_similarity: NDArray[np.float32]  # (n, k_near)


def search(
    vectors: NDArray[np.float32],
    group: NDArray[np.int32],
    class_code: NDArray[np.int64],
    *,
    k: int = 30,
    k_near: int = 8,
    exact_rows: int = EXACT_ROWS,
    probes: int = PROBES,
) -> Neighbours:
    """The neighbours of every row of `vectors` ((n, d), unit rows), exact up to `exact_rows` rows."""
    n = len(vectors)
    best = Neighbours(
        other=np.full((n, k), -1, np.int64),
        other_similarity=np.full((n, k), -1, np.float32),
        near=np.full((n, k_near), -1, np.int64),
        near_similarity=np.full((n, k_near), -1, np.float32),
    )
    if n == 0:
        return best
    vectors = np.ascontiguousarray(vectors, np.float32)
    if n <= exact_rows:
        _scan(vectors, group, np.arange(n), np.arange(n), best)
        return best
    codes = np.unique(class_code)
    shards = [np.flatnonzero(class_code == code) for code in codes]
    centres = np.stack([vectors[rows].mean(axis=0) for rows in shards])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    probe = _probes(vectors, centres, min(probes, len(codes)))
    probe[:, -1] = np.where(
        (probe == np.searchsorted(codes, class_code)[:, None]).any(axis=1),
        probe[:, -1],
        np.searchsorted(codes, class_code),
    )
    for shard, rows in enumerate(shards):
        queries = np.flatnonzero((probe == shard).any(axis=1))
        if len(queries):
            _scan(vectors, group, queries, rows, best)
    return best


def _probes(vectors: NDArray[np.float32], centres: NDArray[np.float32], probes: int) -> NDArray[np.int64]:
    """(n, probes) the shards whose centres are nearest."""
    index = faiss.IndexFlatIP(centres.shape[1])
    index.add(np.ascontiguousarray(centres))
    return np.asarray(index.search(vectors, probes)[1], np.int64)


def _scan(
    vectors: NDArray[np.float32],
    group: NDArray[np.int32],
    queries: NDArray[np.int64],
    rows: NDArray[np.int64],
    best: Neighbours,
) -> None:
    """Merge into `best[queries]` what is found among `rows`."""
    step = max(1, _BLOCK_VALUES // max(1, len(rows)))
    store = vectors[rows]
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        similarity = vectors[block] @ store.T
        similarity[block[:, None] == rows[None, :]] = -2  # never its own neighbour
        _merge(similarity, rows, block, best.near, best.near_similarity)
        similarity[group[block][:, None] == group[rows][None, :]] = -2
        _merge(similarity, rows, block, best.other, best.other_similarity)


def _merge(
    similarity: NDArray[np.float32],
    rows: NDArray[np.int64],
    block: NDArray[np.int64],
    out_rows: NDArray[np.int64],
    out_similarity: NDArray[np.float32],
) -> None:
    """Keep the best of what is known of `block` and the new `similarity`; ties go to the lower row."""
    k = out_rows.shape[1]
    take = min(k, similarity.shape[1])
    if take < similarity.shape[1]:
        columns = np.argpartition(-similarity, take - 1, axis=1)[:, :take]
    else:
        columns = np.broadcast_to(np.arange(take), (len(block), take))
    found = np.take_along_axis(similarity, columns, axis=1)
    found_rows = np.where(found < -1.5, -1, rows[columns])
    found = np.where(found_rows < 0, -1, found)
    all_rows = np.concatenate([out_rows[block], found_rows], axis=1)
    every = np.concatenate([out_similarity[block], found], axis=1)
    last = np.where(all_rows < 0, np.iinfo(np.int64).max, all_rows)  # empty places go last among equals
    order = np.lexsort((last, -every), axis=1)[:, :k]
    out_rows[block] = np.take_along_axis(all_rows, order, axis=1)
    out_similarity[block] = np.take_along_axis(every, order, axis=1)
