"""Shards: FAISS's own bytes, and no length of a stranger is believed."""

from __future__ import annotations

import struct
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healtheat.core.errors import BadIndex
from healtheat.index.shards import open_shard, write_shard


def _shard(path: Path, rows: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, dim)).astype(np.float32)
    ids = np.sort(random.choice(10 * rows + 1, rows, replace=False)).astype(np.int64)
    write_shard(path, ids, [vectors[:2], vectors[2:]], dim)
    return ids, vectors


@pytest.mark.parametrize(("rows", "dim"), [(0, 4), (1, 1), (2, 3), (57, 12)])
def test_a_shard_is_byte_for_byte_what_faiss_writes(tmp_path: Path, rows: int, dim: int) -> None:
    path = tmp_path / "한글 1.faiss"
    ids, vectors = _shard(path, rows, dim)
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    index.add_with_ids(vectors, ids)
    assert path.read_bytes() == faiss.serialize_index(index).tobytes()


def test_a_shard_is_read_back_and_searched(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    ids, vectors = _shard(path, 40, 8)
    shard = open_shard(path, rows=40, dim=8)
    order = np.random.default_rng(1).permutation(40)
    assert np.array_equal(shard.rows(ids[order]), vectors[order])
    assert shard.rows(ids[:0]).shape == (0, 8)
    with pytest.raises(KeyError):
        shard.rows(np.array([ids[-1] + 1]))
    index = shard.index
    similarity, found = index.search(vectors[:5], 3)
    best = vectors[:5] @ vectors.T
    assert np.array_equal(found[:, 0], ids[best.argmax(axis=1)])
    assert np.allclose(similarity[:, 0], best.max(axis=1))
    assert np.array_equal(index.reconstruct(int(ids[7])), vectors[7])


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count open files")
def test_thousands_of_shards_hold_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    ids, vectors = _shard(path, 9, 4)
    before = _open_files()
    held = [open_shard(path, rows=9, dim=4) for _ in range(300)]
    assert _open_files() <= before  # others may have been closed meanwhile
    assert np.array_equal(held[-1].rows(ids), vectors)


def test_an_empty_shard_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "background.faiss"
    _shard(path, 0, 6)
    shard = open_shard(path, rows=0, dim=6)
    assert shard.at(slice(None)).shape == (0, 6)
    assert len(shard) == 0
    assert shard.rows(np.empty(0, np.int64)).shape == (0, 6)


def test_every_changed_byte_of_the_lengths_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    _shard(path, 3, 2)
    good = path.read_bytes()
    lengths = [*range(82), *range(82 + 24, 82 + 24 + 8)]  # both heads, the vectors' length; the ids' length
    for position in lengths:
        for value in (good[position] ^ 1, good[position] ^ 0x80, 0xFF):
            if value != good[position]:
                path.write_bytes(good[:position] + bytes([value]) + good[position + 1 :])
                with pytest.raises(BadIndex):
                    open_shard(path, rows=3, dim=2)


def test_huge_claims_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    head = struct.pack("<4siqqqBi", b"IxM2", 1 << 30, 1 << 60, 1 << 20, 1 << 20, 1, 0)
    path.write_bytes(head + head.replace(b"IxM2", b"IxFI") + struct.pack("<Q", 1 << 62))
    with pytest.raises(BadIndex, match="bytes"):
        open_shard(path, rows=5, dim=4)
    with pytest.raises(BadIndex, match="bytes"):
        open_shard(path, rows=1 << 40, dim=4)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "1.faiss"
    path.write_bytes(data)
    with pytest.raises(BadIndex):
        open_shard(path, rows=3, dim=2)


def test_ids_that_do_not_ascend_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    write_shard(path, np.array([4, 2]), [np.ones((2, 3), np.float32)], 3)
    with pytest.raises(BadIndex, match="ascending"):
        open_shard(path, rows=2, dim=3)


def test_the_writer_checks_what_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    with pytest.raises(ValueError, match="expected 2 vectors, found 1"):
        write_shard(path, np.array([1, 2]), [np.ones((1, 3), np.float32)], 3)
    with pytest.raises(ValueError, match=r"\(k, 3\)"):
        write_shard(path, np.array([1]), [np.ones((1, 4), np.float32)], 3)
