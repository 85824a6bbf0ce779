"""What an index that is already there spares the next build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import BadIndex
from healtheat.crops import CROP_MEASURES
from healtheat.index.cache import Block, ImageFacts, VectorPool
from healtheat.index.keys import image_key
from healtheat.index.manifest import BACKGROUND, MANIFEST_NAME, Manifest, OtherVersion, shard_name
from healtheat.index.shards import open_shard
from healtheat.index.store import Index
from healtheat.index.verify import damage


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The vectors of one shard, which is mapped only while some of them are taken."""

    path: Path
    rows: int
    dim: int

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) the vectors at these places."""
        return open_shard(self.path, rows=self.rows, dim=self.dim).at(places)


def old_index(path: Path) -> tuple[Index | None, str]:
    """The index at `path` for reading, or None and, if it is damaged, what is wrong with it.

    Raises BadIndex for an index of another format version, which must not be built over.
    """
    if not (path / MANIFEST_NAME).exists():
        return None, ""
    try:
        manifest = Manifest.read(path / MANIFEST_NAME)
        wrong = damage(path, manifest)
        return (None, wrong[0]) if wrong else (Index(path, manifest), "")
    except OtherVersion:
        raise
    except BadIndex as error:
        return None, str(error)


def add_old_vectors(pool: VectorPool, index: Index, fingerprint: str) -> None:
    """Make the index's vectors known to `pool`, unless another encoder or crop policy made them."""
    manifest = index.manifest
    if manifest.fingerprint != fingerprint:
        return
    measures = CROP_MEASURES.names or ()
    for class_id, rows in manifest.class_rows().items():
        columns = ", ".join(("crop_key", *measures))
        table = index.sql(f"SELECT {columns} FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id])
        records = np.empty(len(table), CROP_MEASURES)
        for name in measures:
            records[name] = table[name].to_numpy()
        vectors = ShardRows(index.path / shard_name(class_id), rows, manifest.dim)
        pool.add_block(Block(_keys(table["crop_key"].to_pylist()), records, vectors))
    tiles = _keys(index.sql("SELECT crop_key FROM background ORDER BY tile_id")["crop_key"].to_pylist())
    vectors = ShardRows(index.path / shard_name(BACKGROUND), len(tiles), manifest.dim)
    pool.add_block(Block(tiles, np.zeros(len(tiles), CROP_MEASURES), vectors))
    photos = index.sql(
        "SELECT sha256, width_px, height_px, dhash FROM images WHERE status <> 'unreadable'"
    ).to_pydict()
    keys = [image_key(sha256, fingerprint) for sha256 in photos["sha256"]]
    facts = zip(photos["width_px"], photos["height_px"], photos["dhash"], strict=True)
    pool.add_images(keys, [ImageFacts(*fact) for fact in facts])


def _keys(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]
