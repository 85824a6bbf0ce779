"""Vectors by crop key: from the index's shards, and from the chunks of a build that was not finished.

A chunk is written whole or not at all, and a damaged one is only a miss, so a killed build goes on from its
last chunk. Nothing here is loaded before it is asked for.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from healtheat.core.atomic import write_file
from healtheat.core.files import open_regular
from healtheat.crops import CROP_MEASURES
from healtheat.index.keys import KEY_BYTES

CACHE_FOLDER = ".cache"
CHUNK_CROPS = 512  # a killed build loses less than this many

# magic; dimension, crops, images, bytes of one crop's measures; fingerprint; BLAKE2b of all that follows
_HEAD = struct.Struct("<8sIIII16s32s")
_MAGIC = b"hhcache1"
_MAX_CHUNK_BYTES = 2 << 30
_KEY = np.dtype((np.void, KEY_BYTES))
_MEASURES = CROP_MEASURES.newbyteorder("<")
_IMAGE = np.dtype([("key", _KEY), ("width_px", "<u4"), ("height_px", "<u4"), ("dhash", "<u8")])


class ImageFacts(NamedTuple):
    """What is known of an image without decoding it again."""

    width_px: int
    height_px: int
    dhash: int


class Rows(Protocol):
    """(n, d) vectors on disk. No file stays open between two calls: there may be thousands of them."""

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) the vectors at these places."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """n crops on disk: `keys` (n) of 16 bytes, `measures` (n,) CROP_MEASURES, `vectors` (n, d)."""

    keys: Sequence[bytes]
    measures: NDArray[Any]
    vectors: Rows


@dataclass(frozen=True, slots=True)
class ChunkRows:
    """The vectors of one chunk: (crops, dim) little-endian float32 at `offset` of the file."""

    path: Path
    offset: int
    crops: int
    dim: int

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) the vectors at these places."""
        mapped = np.memmap(self.path, "<f4", "r", offset=self.offset, shape=(self.crops, self.dim))
        return np.array(mapped[places], np.float32)


class VectorPool:
    """All vectors that need not be computed again, and those computed by this build."""

    def __init__(self, folder: Path, *, fingerprint: str, dim: int, chunk_crops: int | None = None) -> None:
        self._folder = folder
        self._fingerprint = bytes.fromhex(fingerprint)
        self._dim = dim
        self._chunk_crops = chunk_crops or CHUNK_CROPS
        self._blocks: list[Block] = []
        self._where: dict[bytes, tuple[int, int]] = {}
        self._images: dict[bytes, ImageFacts] = {}
        self._new: dict[bytes, tuple[NDArray[np.float32], Any]] = {}
        self._new_images: dict[bytes, ImageFacts] = {}
        self._next = 0
        self._read_chunks()

    def __contains__(self, key: bytes) -> bool:
        return key in self._where or key in self._new

    def image(self, key: bytes) -> ImageFacts | None:
        """What is known of the image with this `image_key`."""
        return self._images.get(key) or self._new_images.get(key)

    def measures(self, key: bytes) -> Any:
        """The CROP_MEASURES record of one crop."""
        if key in self._new:
            return self._new[key][1]
        block, row = self._where[key]
        return self._blocks[block].measures[row]

    def add_block(self, block: Block) -> None:
        """Make the crops of another place on disk known."""
        number = len(self._blocks)
        self._blocks.append(block)
        for row, key in enumerate(block.keys):
            self._where.setdefault(bytes(key), (number, row))

    def add_images(self, keys: Sequence[bytes], facts: Sequence[ImageFacts]) -> None:
        """Make images known that are already on disk elsewhere."""
        self._images.update(zip(keys, facts, strict=True))

    def add_image(self, key: bytes, facts: ImageFacts) -> None:
        """Remember an image that was decoded just now."""
        if key not in self._images:
            self._new_images[key] = facts

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32], measures: NDArray[Any]) -> None:
        """Remember crops that were embedded just now; every so many of them go to disk."""
        if vectors.shape != (len(keys), self._dim) or len(measures) != len(keys):
            raise ValueError(f"expected vectors ({len(keys)}, {self._dim}), found {vectors.shape}")
        for key, vector, record in zip(keys, vectors, measures, strict=True):
            self._new[key] = (vector.copy(), record)
        if len(self._new) >= self._chunk_crops:
            self.flush()

    def flush(self) -> None:
        """Write what is only in memory."""
        if not self._new and not self._new_images:
            return
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{self._next:06d}.chunk"
        self._next += 1
        write_file(path, self._pack())
        self._images.update(self._new_images)
        self._new_images = {}
        self._new = {}
        block = self._unpack(path)
        if block is None:
            raise OSError(f"{path}: what was written cannot be read back; check the disk")
        self.add_block(block)

    def gather(self, keys: Sequence[bytes]) -> NDArray[np.float32]:
        """(n, d) vectors in the order of `keys`, all of them flushed. Raises KeyError for an unknown key."""
        out = np.empty((len(keys), self._dim), np.float32)
        places = np.array([self._where[key] for key in keys], np.int64).reshape(-1, 2)
        for number in np.unique(places[:, 0]):
            mine = places[:, 0] == number
            out[mine] = self._blocks[number].vectors.at(places[mine, 1])
        return out

    def close(self) -> None:
        """Let go of the files, so that they can be deleted or replaced on every system."""
        self._blocks.clear()
        self._where.clear()

    def _pack(self) -> bytes:
        keys = np.array([np.void(key) for key in self._new], _KEY)
        measures = np.array([record for _, record in self._new.values()], CROP_MEASURES).astype(_MEASURES)
        images = np.array([(np.void(key), *facts) for key, facts in self._new_images.items()], _IMAGE)
        vectors = np.array([vector for vector, _ in self._new.values()], "<f4").reshape(-1, self._dim)
        body = keys.tobytes() + measures.tobytes() + images.tobytes() + vectors.tobytes()
        digest = hashlib.blake2b(body, digest_size=32).digest()
        sizes = (self._dim, len(keys), len(images), _MEASURES.itemsize)
        return _HEAD.pack(_MAGIC, *sizes, self._fingerprint, digest) + body

    def _read_chunks(self) -> None:
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.chunk")):
            # Numbers are never used twice, so a chunk of another encoder is not overwritten half-way.
            if path.stem.isdecimal():
                self._next = max(self._next, int(path.stem) + 1)
            block = self._unpack(path)
            if block is not None:
                self.add_block(block)

    def _unpack(self, path: Path) -> Block | None:
        """The chunk's crops; its images are noted on the way. None if damaged or of another encoder."""
        try:
            file = open_regular(path, within=self._folder)
        except OSError:
            return None
        with file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, dim, crops, images, itemsize, fingerprint, digest = _HEAD.unpack(head)
            expected = _HEAD.size + crops * (KEY_BYTES + itemsize + 4 * dim) + images * _IMAGE.itemsize
            if (magic, dim, itemsize) != (_MAGIC, self._dim, _MEASURES.itemsize) or size != expected:
                return None
            if fingerprint != self._fingerprint or size > _MAX_CHUNK_BYTES:
                return None
            hashed = hashlib.blake2b(digest_size=32)
            while part := file.read(1 << 20):
                hashed.update(part)
            if hashed.digest() != digest:
                return None
            file.seek(_HEAD.size)
            keys = np.frombuffer(file.read(crops * KEY_BYTES), _KEY)
            measures = np.frombuffer(file.read(crops * itemsize), _MEASURES).astype(CROP_MEASURES)
            facts_of = np.frombuffer(file.read(images * _IMAGE.itemsize), _IMAGE)
            offset = file.tell()
        for row in facts_of:
            facts = ImageFacts(int(row["width_px"]), int(row["height_px"]), int(row["dhash"]))
            self._images[row["key"].tobytes()] = facts
        if not crops:
            return Block([], measures, ChunkRows(path, offset, 0, dim))
        return Block([key.tobytes() for key in keys], measures, ChunkRows(path, offset, crops, dim))
