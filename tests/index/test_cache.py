"""The pool of known vectors: everything comes back bit for bit, damage is only a miss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from healtheat.crops import CROP_MEASURES
from healtheat.index.cache import Block, ChunkRows, ImageFacts, VectorPool

MARK = "ab" * 16


def _pool(folder: Path, mark: str = MARK, dim: int = 5) -> VectorPool:
    return VectorPool(folder, fingerprint=mark, dim=dim, chunk_crops=4)


def _key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _fill(pool: VectorPool, count: int, dim: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=(count, dim)).astype(np.float32)
    for number in range(count):
        measures = np.zeros(1, CROP_MEASURES)
        measures["dhash"] = 2**64 - 1 - number
        measures["sharpness"] = number / 7
        pool.add([_key(number)], vectors[number : number + 1], measures)
    pool.add_image(_key(900), ImageFacts(640, 480, 2**63 + 5))
    return vectors


def test_what_was_added_comes_back_in_any_order_also_from_the_disk(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "cache")
    vectors = _fill(pool, 11)
    pool.flush()
    for opened in (pool, _pool(tmp_path / "cache")):
        order = np.random.default_rng(0).permutation(11)
        assert np.array_equal(opened.gather([_key(int(n)) for n in order]), vectors[order])
        assert opened.measures(_key(4))["dhash"] == 2**64 - 5
        assert opened.measures(_key(4))["sharpness"] == np.float32(4 / 7)
        assert opened.image(_key(900)) == ImageFacts(640, 480, 2**63 + 5)
        assert _key(10) in opened and _key(11) not in opened
        assert opened.image(_key(901)) is None
        with pytest.raises(KeyError):
            opened.gather([_key(11)])
        opened.close()


def test_vectors_go_to_disk_in_chunks(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "cache")
    _fill(pool, 11)
    assert len(list((tmp_path / "cache").glob("*.chunk"))) == 2
    pool.flush()
    assert len(list((tmp_path / "cache").glob("*.chunk"))) == 3


def test_a_damaged_chunk_is_a_miss_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    pool = _pool(folder)
    _fill(pool, 11)
    pool.flush()
    pool.close()
    chunk = sorted(folder.glob("*.chunk"))[1]
    good = chunk.read_bytes()
    for position in range(0, len(good), 3):
        chunk.write_bytes(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
        opened = _pool(folder)
        assert [n for n in range(11) if _key(n) in opened] == [0, 1, 2, 3, 8, 9, 10], position
        opened.close()
    for size in (0, 10, len(good) - 1):
        chunk.write_bytes(good[:size])
        assert _key(4) not in _pool(folder)


def test_a_chunk_of_another_encoder_is_neither_used_nor_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    pool = _pool(folder)
    _fill(pool, 4)
    other = _pool(folder, "cd" * 16)
    assert _key(0) not in other
    _fill(other, 4)
    other.flush()
    assert _key(0) in _pool(folder)
    assert _key(0) in _pool(folder, "cd" * 16)
    assert _key(0) not in _pool(folder, dim=6)


def test_vectors_from_elsewhere_are_known_without_being_copied(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "cache")
    vectors = np.arange(10, dtype=np.float32).reshape(2, 5)
    (tmp_path / "vectors").write_bytes(vectors.tobytes())
    rows = ChunkRows(tmp_path / "vectors", 0, 2, 5)
    pool.add_block(Block([_key(1), _key(2)], np.zeros(2, CROP_MEASURES), rows))
    assert np.array_equal(pool.gather([_key(2), _key(1), _key(2)]), vectors[[1, 0, 1]])
    pool.flush()
    assert not (tmp_path / "cache").exists()
