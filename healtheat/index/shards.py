"""Vectors on disk: one FAISS file a class, an IndexFlatIP under an IndexIDMap2 whose ids are box ids.

FAISS trusts the lengths a file claims and would allocate or crash on a hostile one, so every length
is checked against the file's size here before FAISS or numpy sees it. Files are also written here,
streaming, so that a shard never has to fit into memory; they equal FAISS's own byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import BadIndex

# As FAISS writes it: four letters; dimension, rows, two unused, is_trained, metric (0 = inner product).
_HEAD = struct.Struct("<4siqqqBi")
_LENGTH = struct.Struct("<Q")
_OUTER, _INNER = b"IxM2", b"IxFI"
_UNUSED = 1 << 20
_VECTORS_AT = 2 * _HEAD.size + _LENGTH.size


@dataclass(frozen=True, slots=True)
class Shard:
    """One class's vectors: `ids` (n,) int64 ascending, `vectors` (n, d) float32, read from disk on access."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) vectors of these ids. Raises KeyError for an id that is not here."""
        where = np.searchsorted(self.ids, ids)
        if len(ids) and (not len(self.ids) or np.any(self.ids[np.minimum(where, len(self.ids) - 1)] != ids)):
            raise KeyError(f"no vector for some of the ids {ids[:5].tolist()}…")
        return np.ascontiguousarray(self.vectors[where])


def write_shard(
    file: BinaryIO, ids: NDArray[np.int64], vectors: Iterable[NDArray[np.float32]], dim: int
) -> None:
    """Write a shard: `ids` (n,) ascending, `vectors` in blocks of (k, dim) that add up to n rows."""
    n = len(ids)
    for letters in (_OUTER, _INNER):
        file.write(_HEAD.pack(letters, dim, n, _UNUSED, _UNUSED, 1, 0))
    file.write(_LENGTH.pack(n * dim))
    written = 0
    for block in vectors:
        if block.ndim != 2 or block.shape[1] != dim:
            raise ValueError(f"expected vectors (k, {dim}), found {block.shape}")
        file.write(np.ascontiguousarray(block, "<f4").tobytes())
        written += len(block)
    if written != n:
        raise ValueError(f"expected {n} vectors, found {written}")
    file.write(_LENGTH.pack(n))
    file.write(np.ascontiguousarray(ids, "<i8").tobytes())


def check_shard(path: Path, *, rows: int, dim: int) -> None:
    """Raises BadIndex unless the file is a shard of exactly `rows` vectors of `dim` numbers."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_VECTORS_AT)
            expected = _VECTORS_AT + 4 * rows * dim + _LENGTH.size + 8 * rows
            if size != expected:
                raise BadIndex(
                    f"{path}: expected {expected} bytes, found {size}; the file is damaged; build again"
                )
            file.seek(_VECTORS_AT + 4 * rows * dim)
            tail = file.read(_LENGTH.size)
    except OSError as error:
        raise BadIndex(f"{path}: {error.strerror or error}; build the index again") from None
    wanted = b"".join(_HEAD.pack(letters, dim, rows, _UNUSED, _UNUSED, 1, 0) for letters in (_OUTER, _INNER))
    if head != wanted + _LENGTH.pack(rows * dim) or tail != _LENGTH.pack(rows):
        raise BadIndex(
            f"{path}: expected the header of a flat inner-product index of {rows} × {dim}, found another; "
            "the file is damaged; build again"
        )


def open_shard(path: Path, *, rows: int, dim: int) -> Shard:
    """The shard's content, mapped rather than loaded. Raises BadIndex for any other file."""
    check_shard(path, rows=rows, dim=dim)
    if rows == 0:
        return Shard(np.empty(0, np.int64), np.empty((0, dim), np.float32))
    vectors = np.memmap(path, "<f4", "r", offset=_VECTORS_AT, shape=(rows, dim))
    ids = np.fromfile(path, "<i8", rows, offset=_VECTORS_AT + 4 * rows * dim + _LENGTH.size)
    if np.any(np.diff(ids) <= 0) or ids[0] < 0:
        raise BadIndex(f"{path}: expected ascending box ids, found others; build the index again")
    return Shard(ids.astype(np.int64, copy=False), vectors)


def load_faiss(path: Path, *, rows: int, dim: int) -> Any:
    """The shard as a `faiss.IndexIDMap2`, ready to search. Raises BadIndex for any other file."""
    check_shard(path, rows=rows, dim=dim)
    return faiss.read_index(str(path))
