"""Is this folder exactly what the build wrote?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from healtheat.core.atomic import sha256_file
from healtheat.core.errors import BadIndex
from healtheat.index.manifest import BACKGROUND, VECTORS_FOLDER, FileEntry, Manifest, shard_name
from healtheat.index.shards import open_shard
from healtheat.index.staging import foreign_entries

if TYPE_CHECKING:
    from healtheat.index.store import Index


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What is wrong with the index in the folder `index`: one line each in `damage`, () if nothing is."""

    index: Path
    damage: tuple[str, ...]


def damage(path: Path, manifest: Manifest) -> list[str]:
    """Files of the manifest that are missing or changed, one line each."""
    return [
        f"{path / name}: {what}; build the index again"
        for name, entry in sorted(manifest.files.items())
        if (what := _difference(path / name, entry))
    ]


def changed_files(root: Path, files: Mapping[str, FileEntry]) -> list[str]:
    """Names of the files (relative to `root`) that are gone or have other bytes than noted."""
    return [name for name, entry in sorted(files.items()) if _difference(root / name, entry)]


def every_problem(index: Index) -> list[str]:
    """One line for every changed, missing or extra file, and for rows and vectors that disagree."""
    path = index.path
    try:
        manifest = Manifest.read(path / "manifest.json")
    except BadIndex as error:
        return [str(error)]
    found = damage(path, manifest)
    found += [f"{path / name}: not part of the index; remove it" for name in foreign_entries(path)]
    for file in sorted((path / VECTORS_FOLDER).rglob("*")):
        if file.relative_to(path).as_posix() not in manifest.files:
            found.append(f"{file}: not part of the index; remove it")
    try:
        index.refresh_verdicts()
    except BadIndex as error:
        found.append(str(error))
    if index.torn_verdict:
        found.append(f"{path / 'verdicts.jsonl'}: an unfinished last line, which the next verdict sets aside")
    if manifest != index.manifest:
        return [*found, f"{path}: built again since it was opened; open it again"]
    return found or _disagreements(index)


def _difference(path: Path, entry: FileEntry) -> str | None:
    try:
        if not path.is_file() or path.is_symlink():
            return "expected a file, found none"
        size = path.stat().st_size
        if size != entry.size:
            return f"expected {entry.size} bytes, found {size}"
        sha256 = sha256_file(path)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return None if sha256 == entry.sha256 else f"expected SHA-256 {entry.sha256[:16]}…, found {sha256[:16]}…"


def _disagreements(index: Index) -> list[str]:
    found = []
    manifest = index.manifest
    for table, rows in manifest.counts.model_dump().items():
        if table == "flagged":
            continue
        counted = index.sql(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py()
        if counted != rows:
            found.append(f"{index.path}: table {table}: expected {rows} rows, found {counted}")
    for class_id, rows in manifest.class_rows().items():
        name = shard_name(class_id)
        ids = open_shard(index.path / name, rows=rows, dim=manifest.dim).ids
        wanted = index.sql("SELECT box_id FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id])
        if not np.array_equal(ids, wanted["box_id"].to_numpy()):
            found.append(f"{index.path / name}: its ids are not the boxes of class {class_id}")
    background = open_shard(
        index.path / shard_name(BACKGROUND), rows=manifest.counts.background, dim=manifest.dim
    )
    if not np.array_equal(background.ids, np.arange(manifest.counts.background)):
        found.append(f"{index.path / shard_name(BACKGROUND)}: its ids are not the tiles of the catalog")
    return found
