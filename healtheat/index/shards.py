"""Vectors on disk: one FAISS file per class, an IndexFlatIP under an IndexIDMap2 whose ids are box ids.

FAISS writes, reads and searches them. It trusts the lengths that a file claims and would allocate or crash on
a hostile one, so every length is checked against the file's size here before FAISS sees the file. A shard is
mapped, not loaded, and holds no file open, so that thousands of classes are no matter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.core.conditions import NOT_THERE, naming
from healtheat.core.errors import BadIndex
from healtheat.core.files import open_regular

# What FAISS writes first: four letters; dimension, rows, two unused, is_trained, metric (0 = inner product).
_HEAD = struct.Struct("<4siqqqBi")
_LENGTH = struct.Struct("<Q")
_OUTER, _INNER = b"IxM2", b"IxFI"
_UNUSED = 1 << 20
_CHECKED_ROWS = 4096
_LENGTH_OFF = 0.01  # of a unit vector in single precision, and of encoders that compute with 16 bits
_VECTORS_AT = 2 * _HEAD.size + _LENGTH.size


@dataclass(frozen=True)
class Shard:
    """One class's vectors, mapped from disk: `index` is the `faiss.IndexIDMap2`, ready to search."""

    index: Any

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """(n,) box ids, ascending."""
        return np.array(faiss.vector_to_array(self.index.id_map), np.int64)

    def at(self, places: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """(m, d) the vectors at these places, copied out of the file."""
        flat: Any = faiss.downcast_index(self.index.index)
        if not len(self):
            return np.empty((0, int(flat.d)), np.float32)[places]
        mapped = faiss.rev_swig_ptr(flat.get_xb(), len(self) * int(flat.d)).reshape(len(self), -1)
        return np.array(mapped[places], np.float32)

    def unsound(self) -> str:
        """Why its vectors are no unit vectors, "" where they are; reads them all, block by block."""
        for start in range(0, len(self), _CHECKED_ROWS):
            if wrong := not_unit(self.at(slice(start, start + _CHECKED_ROWS))):
                return wrong
        return ""

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) vectors of these ids. Raises KeyError for an id that is not here."""
        where = np.searchsorted(self.ids, ids)
        if len(ids) and (not len(self) or np.any(self.ids[np.minimum(where, len(self) - 1)] != ids)):
            raise KeyError(f"no vector for some of the ids {ids[:5].tolist()}…")
        return self.at(where)


def not_unit(vectors: NDArray[np.float32]) -> str:
    """Why some of these (m, d) vectors are no unit vectors, "" where all are."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("md,md->m", vectors, vectors))
    wrong = ~(np.abs(length - 1) <= _LENGTH_OFF)
    return f"expected vectors of length 1, found {length[wrong][0]:g}" if wrong.any() else ""


def write_shard(path: Path, ids: NDArray[np.int64], vectors: Iterable[NDArray[np.float32]], dim: int) -> None:
    """Write a shard: `ids` (n,) ascending, `vectors` in blocks of (k, dim) that add up to n rows."""
    shard = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    for block in vectors:
        if block.ndim != 2 or block.shape[1] != dim:
            raise ValueError(f"expected vectors (k, {dim}), found {block.shape}")
        at = int(shard.ntotal)
        if at + len(block) > len(ids):
            raise ValueError(f"expected {len(ids)} vectors, found {at + len(block)}")
        shard.add_with_ids(
            np.ascontiguousarray(block, np.float32), np.ascontiguousarray(ids[at : at + len(block)], np.int64)
        )
    if shard.ntotal != len(ids):
        raise ValueError(f"expected {len(ids)} vectors, found {shard.ntotal}")
    with naming(path), path.open("wb") as file:
        # Not by its name: FAISS does not tell where the last bytes find no room on the disk.
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(shard, writer)


def shard_bytes(rows: int, dim: int) -> int:
    """The size of the file of `rows` vectors of `dim` numbers."""
    return _VECTORS_AT + 4 * rows * dim + _LENGTH.size + 8 * rows


def check_shard(path: Path, *, rows: int, dim: int) -> None:
    """Raises BadIndex unless the file is a shard of exactly `rows` vectors of `dim` numbers."""
    try:
        size = path.stat().st_size
        with open_regular(path) as file:
            head = file.read(_VECTORS_AT)
            expected = shard_bytes(rows, dim)
            if size != expected:
                raise BadIndex(
                    f"{path}: expected {expected} bytes, found {size}; the file is damaged; build again"
                )
            file.seek(_VECTORS_AT + 4 * rows * dim)
            tail = file.read(_LENGTH.size)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
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
    try:
        shard = Shard(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))
    except RuntimeError as error:  # FAISS could not map it
        reason = str(error).splitlines()[0][:200]
        raise BadIndex(f"{path}: cannot be mapped ({reason}); build the index again") from None
    if rows and (np.any(np.diff(shard.ids) <= 0) or shard.ids[0] < 0):
        raise BadIndex(f"{path}: expected ascending box ids, found others; build the index again")
    return shard
