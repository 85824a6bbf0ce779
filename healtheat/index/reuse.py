"""What an index that is already there spares the next build."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.text import counted
from healtheat.crops import CROP_MEASURES
from healtheat.index import older
from healtheat.index.cache import Block, ImageFacts, VectorPool
from healtheat.index.catalog import Catalog
from healtheat.index.keys import image_key
from healtheat.index.manifest import (
    BACKGROUND,
    CATALOG_NAME,
    FORMAT_VERSION,
    MANIFEST_NAME,
    Manifest,
    OtherVersion,
    shard_name,
)
from healtheat.index.shards import Shard, not_unit, open_shard
from healtheat.index.verify import damage, unlisted


@dataclass(frozen=True)
class ShardRows:
    """The vectors of one shard, mapped when the first of them are taken; no file stays open."""

    path: Path
    rows: int
    dim: int

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d) the vectors at these places."""
        found = self._shard.at(places)
        if wrong := not_unit(found):
            raise BadIndex(f"{self.path}: {wrong}; remove the index, or build into another folder")
        return found

    @cached_property
    def _shard(self) -> Shard:
        return open_shard(self.path, rows=self.rows, dim=self.dim)


@dataclass(frozen=True, slots=True)
class OldIndex:
    """An undamaged index whose vectors the next build can take over."""

    path: Path
    manifest: Manifest
    catalog: Catalog

    @classmethod
    def at(cls, path: Path, manifest: Manifest) -> Self:
        """The index at `path`, which is undamaged and of a version that is read."""
        return cls(path, manifest, Catalog(path / CATALOG_NAME, version=manifest.format_version))

    def close(self) -> None:
        """Let go of its catalog."""
        self.catalog.close()


def check_no_batches(path: Path) -> None:
    """Raises InputError where the index at `path` took in batches, which a build over it would leave out."""
    try:
        count = len(Manifest.read(path / MANIFEST_NAME, older=True).batch_files)
    except BadIndex:
        return  # none there, or nothing that could be kept
    if count:
        raise InputError(
            f"{path} holds {counted(count, 'batch', 'batches')} that a build would leave out; take them out "
            "first (`healtheat remove`), or add ",
            Argument("drop_batches", True),
        )


def old_index(path: Path) -> tuple[OldIndex | None, str]:
    """The index at `path`, None if there is none to take vectors from; and what is to be said of it, or "".

    An index of an older version is taken too. Raises OtherVersion for one that is not known, which must not
    be built over.
    """
    if not (path / MANIFEST_NAME).exists():
        return None, ""
    note = ""
    try:
        manifest = Manifest.read(path / MANIFEST_NAME, older=True)
        if manifest.format_version != FORMAT_VERSION:
            note = (
                f"{path} was in format version {manifest.format_version} and is in version {FORMAT_VERSION} "
                "now; its verdicts were kept"
            )
        wrong = [*unlisted(path, manifest), *damage(path, manifest)]
        if wrong:
            return None, "; ".join(filter(None, (note, wrong[0])))
        tables = None if manifest.format_version == FORMAT_VERSION else older.TABLES
        return OldIndex(path, manifest, Catalog(path / CATALOG_NAME, tables)), note
    except OtherVersion:
        raise
    except BadIndex as error:
        return None, "; ".join(filter(None, (note, str(error))))


def add_old_vectors(pool: VectorPool, old: OldIndex, fingerprint: str) -> None:
    """Make its vectors known to `pool`, unless another encoder or crop policy made them."""
    manifest = old.manifest
    if manifest.fingerprint != fingerprint:
        return
    measures = CROP_MEASURES.names or ()
    for class_id, rows in manifest.class_rows().items():
        columns = ", ".join(("crop_key", *measures))
        table = old.catalog.sql(f"SELECT {columns} FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id])
        records = np.empty(len(table), CROP_MEASURES)
        for name in measures:
            records[name] = table[name].to_numpy()
        vectors = ShardRows(old.path / shard_name(class_id), rows, manifest.dim)
        pool.add_block(Block(_keys(table["crop_key"].to_pylist()), records, vectors))
    tiles = _keys(old.catalog.sql("SELECT crop_key FROM background ORDER BY tile_id")["crop_key"].to_pylist())
    vectors = ShardRows(old.path / shard_name(BACKGROUND), len(tiles), manifest.dim)
    pool.add_block(Block(tiles, np.zeros(len(tiles), CROP_MEASURES), vectors))
    images = old.catalog.sql(
        "SELECT sha256, width_px, height_px, dhash FROM images WHERE status <> 'unreadable'"
    ).to_pydict()
    keys = [image_key(sha256, fingerprint) for sha256 in images["sha256"]]
    facts = zip(images["width_px"], images["height_px"], images["dhash"], strict=True)
    pool.add_images(keys, [ImageFacts(*fact) for fact in facts])


def _keys(texts: list[str]) -> list[bytes]:
    try:
        return [bytes.fromhex(text) for text in texts]
    except (ValueError, TypeError):
        raise BadIndex(f"{CATALOG_NAME}: a crop_key is no number; build the index again") from None
