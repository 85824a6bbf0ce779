"""Is this folder exactly what the build wrote?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from healtheat.core.atomic import sha256_file
from healtheat.core.conditions import OF_THE_PROCESS
from healtheat.core.errors import BadIndex
from healtheat.index.manifest import (
    BACKGROUND,
    CATALOG_NAME,
    MODEL_NAME,
    VECTORS_FOLDER,
    FileEntry,
    Manifest,
    shard_name,
)
from healtheat.index.shards import open_shard, shard_bytes
from healtheat.index.staging import foreign_entries, why_foreign

MAX_CATALOG_BYTES = 64 << 30  # far above a hundred million boxes


class Reader(Protocol):
    """What answers a SELECT over the catalog."""

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows."""
        ...


class LogReader(Protocol):
    """What reads the verdict log."""

    @property
    def torn(self) -> bool:
        """Whether the log ends in a line that was never finished."""
        ...

    def refresh(self) -> None:
        """Read what was appended. Raises BadIndex for a damaged log."""
        ...


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What is wrong with the index in the folder `index`: one line each in `damage`, () if nothing is."""

    index: Path
    damage: tuple[str, ...]


def damage(path: Path, manifest: Manifest) -> list[str]:
    """Files of the manifest that are missing or changed, one line each; what `vet` learned may be missing."""
    found = []
    for name, entry in sorted(manifest.files.items()):
        if name == MODEL_NAME and not (path / name).exists():
            continue  # `vet` makes it anew
        if what := _claims_too_much(name, entry, manifest) or _difference(path / name, entry):
            fix = "remove it, and vet makes it anew" if name == MODEL_NAME else "build the index again"
            found.append(f"{path / name}: {what}; {fix}")
    return found


def unlisted(path: Path, manifest: Manifest) -> list[str]:
    """What lies in the folder and is no part of the index, one line each.

    The hashes say nothing of it, and a log of changes beside the catalog would replace what is in there.
    """
    found = [f"{path / name}: {why_foreign(path / name)}" for name in foreign_entries(path)]
    odd = []
    if MODEL_NAME not in manifest.files and (path / MODEL_NAME).exists():
        odd.append(path / MODEL_NAME)
    files = sorted((path / VECTORS_FOLDER).rglob("*"))
    odd += [file for file in files if file.relative_to(path).as_posix() not in manifest.files]
    return found + [f"{file}: not part of the index; remove it" for file in odd]


def changed_files(root: Path, files: Mapping[str, FileEntry]) -> list[str]:
    """Names of the files (relative to `root`) that are gone or have other bytes than noted."""
    return [name for name, entry in sorted(files.items()) if _difference(root / name, entry)]


def every_problem(path: Path, opened: Manifest, catalog: Reader, log: LogReader) -> list[str]:
    """One line for every changed, missing or extra file, and for rows and vectors that disagree.

    `opened` is the manifest that the index at `path` was opened with.
    """
    try:
        manifest = Manifest.read(path / "manifest.json")
    except BadIndex as error:
        return [str(error)]
    found = damage(path, manifest)
    found += unlisted(path, manifest)
    try:
        log.refresh()
    except BadIndex as error:
        found.append(str(error))
    if log.torn:
        found.append(f"{path / 'verdicts.jsonl'}: an unfinished last line, which the next verdict sets aside")
    if manifest != opened:
        return [*found, f"{path}: built again since it was opened; open it again"]
    return found or _disagreements(path, manifest, catalog)


def _claims_too_much(name: str, entry: FileEntry, manifest: Manifest) -> str | None:
    """Said before the file is read to its end: a size that no build of these rows gives."""
    if name == CATALOG_NAME:
        most = MAX_CATALOG_BYTES
        return f"expected at most {most} bytes, found {entry.size}" if entry.size > most else None
    if name == MODEL_NAME:
        return None
    rows = manifest.counts.background
    if name != shard_name(BACKGROUND):
        rows = manifest.shards[name.removeprefix(f"{VECTORS_FOLDER}/").removesuffix(".faiss")]
    expected = shard_bytes(rows, manifest.dim)
    return f"expected {expected} bytes, found {entry.size}" if entry.size != expected else None


def _difference(path: Path, entry: FileEntry) -> str | None:
    try:
        if path.is_symlink():
            return "expected a plain file, found a link"
        if not path.is_file():
            return f"expected a file, found {'none' if not path.exists() else 'something else'}"
        size = path.stat().st_size
        if size != entry.size:
            return f"expected {entry.size} bytes, found {size}"
        sha256 = sha256_file(path)
    except OSError as error:
        if error.errno in OF_THE_PROCESS:
            raise
        return f"cannot be read ({error.strerror or error})"
    return None if sha256 == entry.sha256 else f"expected SHA-256 {entry.sha256[:16]}…, found {sha256[:16]}…"


def _disagreements(path: Path, manifest: Manifest, catalog: Reader) -> list[str]:
    found = []
    for table, rows in manifest.counts.model_dump().items():
        if table == "flagged":
            continue
        counted = catalog.sql(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py()
        if counted != rows:
            found.append(f"{path}: table {table}: expected {rows} rows, found {counted}")
    for class_id, rows in manifest.class_rows().items():
        name = shard_name(class_id)
        ids = open_shard(path / name, rows=rows, dim=manifest.dim).ids
        wanted = catalog.sql("SELECT box_id FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id])
        if not np.array_equal(ids, wanted["box_id"].to_numpy()):
            found.append(f"{path / name}: its ids are not the boxes of class {class_id}")
    background = open_shard(path / shard_name(BACKGROUND), rows=manifest.counts.background, dim=manifest.dim)
    if not np.array_equal(background.ids, np.arange(manifest.counts.background)):
        found.append(f"{path / shard_name(BACKGROUND)}: its ids are not the tiles of the catalog")
    return found
