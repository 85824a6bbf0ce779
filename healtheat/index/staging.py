"""How a build becomes the index: staged beside it, then moved over it in a way that survives a kill.

`.staging/` holds the new files. Once all are on the disk, `READY` is written with the hash of the new
manifest. From then on the build is done and only has to be moved: file by file, the manifest last. Whoever
comes next, a reader or a builder, finishes a move that was interrupted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from healtheat.core.atomic import is_temporary, sha256_file, sweep, sync_file, sync_folder, write_file
from healtheat.core.errors import Argument, BadIndex, IndexBusy, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.paths import check_name
from healtheat.core.text import shown
from healtheat.index.cache import CACHE_FOLDER
from healtheat.index.lock import LOCK_NAME, VERDICT_LOCK_NAME, builder_lock
from healtheat.index.manifest import (
    CATALOG_NAME,
    MANIFEST_NAME,
    MODEL_NAME,
    VECTORS_FOLDER,
    FileEntry,
    Manifest,
)
from healtheat.index.verdicts.log import HEAD_NAME, LOG_NAME, TORN_NAME

STAGING_FOLDER = ".staging"
READY_NAME = "READY"

_OWN_FILES = {
    MANIFEST_NAME,
    CATALOG_NAME,
    MODEL_NAME,
    LOG_NAME,
    HEAD_NAME,
    TORN_NAME,
    LOCK_NAME,
    VERDICT_LOCK_NAME,
}
_OWN_FOLDERS = {VECTORS_FOLDER, STAGING_FOLDER, CACHE_FOLDER}
# What file managers and sync programs leave in any folder.
_IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini", ".gitignore", ".gitkeep"}


def foreign_entries(index_path: Path) -> list[str]:
    """Names in the folder that no build of ours put there. Raises InputError if it is no folder."""
    if not index_path.is_dir():
        raise InputError(f"{index_path} is not a folder; give another ", Argument("index"))
    odd = []
    for entry in sorted(index_path.iterdir()):
        plain = not entry.is_symlink()
        own = entry.name.removesuffix(".tmp") in _OWN_FILES or is_temporary(entry.name)
        if entry.name in _IGNORED or (plain and own and entry.is_file()):
            continue
        if not (plain and entry.name in _OWN_FOLDERS and entry.is_dir()):
            odd.append(entry.name)
    return odd


def why_foreign(entry: Path) -> str:
    """Why an entry of `foreign_entries` is one, and what to do about it."""
    if entry.name not in _OWN_FILES | _OWN_FOLDERS:
        return "not part of the index; remove it"
    what = "folder" if entry.name in _OWN_FOLDERS else "file"
    found = "a link" if entry.is_symlink() else f"no {what}"
    made_anew = entry.name in (LOCK_NAME, VERDICT_LOCK_NAME, STAGING_FOLDER, CACHE_FOLDER)
    fix = "remove it" if made_anew else f"put the {what} itself here"
    return f"a part of the index, but {found}, and an index holds plain files and folders only; {fix}"


def first_index(folders: Iterable[Path]) -> Path | None:
    """The first of the folders that is an index, damaged or still being built too."""
    for folder in folders:
        manifest, log = (folder / MANIFEST_NAME).is_file(), (folder / LOG_NAME).is_file()
        parts = (CATALOG_NAME, VECTORS_FOLDER, STAGING_FOLDER)
        if (log and (manifest or (folder / HEAD_NAME).is_file())) or (
            manifest and any((folder / name).exists() for name in parts)
        ):
            return folder
    return None


def _check_place(index_path: Path) -> None:
    """Raises InputError for a folder inside an index, which would be foreign to that one and break it."""
    try:
        parents = index_path.resolve().parents
    except (OSError, RuntimeError):  # a link to itself: what opens it says so
        return
    if (found := first_index(parents)) is not None:
        raise InputError(
            f"{index_path}: lies in the index {found}, which holds nothing else; write elsewhere"
        )


@contextmanager
def building(index_path: Path) -> Iterator[Path]:
    """Hold the index for a build and yield a fresh staging folder; what is not committed is thrown away.

    A build that fails takes its folder along; of one that was killed, the next build sweeps it.

    Raises InputError for a folder that holds something else or lies in an index, IndexBusy while another
    process builds.
    """
    check_name(index_path)
    _check_place(index_path)
    if not index_path.exists() and not index_path.is_symlink():
        index_path.mkdir(parents=True)
    odd = foreign_entries(index_path)
    if odd:
        if odd[0] in _OWN_FILES | _OWN_FOLDERS:
            raise InputError(f"{index_path / odd[0]}: {why_foreign(index_path / odd[0])}")
        raise InputError(
            f"{index_path} holds {shown(odd[0])!r}, which is no part of an index; give an empty or new folder"
        )
    with builder_lock(index_path):
        sweep(index_path)
        for name in (MANIFEST_NAME, HEAD_NAME):
            # A killed process of format version 1 left these.
            (index_path / f"{name}.tmp").unlink(missing_ok=True)
        roll_forward(index_path)
        staging = index_path / STAGING_FOLDER
        shutil.rmtree(staging, ignore_errors=True)
        (staging / VECTORS_FOLDER).mkdir(parents=True)
        try:
            yield staging
        finally:
            if not is_ready(index_path):  # a build that is ready only has to be moved, by whoever comes next
                shutil.rmtree(staging, ignore_errors=True)


def file_entry(path: Path) -> FileEntry:
    """Hash and size of one staged file, which is synced first."""
    sync_file(path)
    return FileEntry(sha256=sha256_file(path), size=path.stat().st_size)


def commit(index_path: Path, manifest: Manifest) -> None:
    """Make the staged files the index. Files of the manifest that are not staged stay as they are."""
    staging = index_path / STAGING_FOLDER
    write_file(staging / MANIFEST_NAME, manifest.to_bytes())
    sync_folder(staging / VECTORS_FOLDER)
    sync_folder(staging)
    write_file(staging / READY_NAME, sha256_file(staging / MANIFEST_NAME).encode())
    roll_forward(index_path)


def is_ready(index_path: Path) -> bool:
    """Whether a finished build waits to be moved into its place."""
    return (index_path / STAGING_FOLDER / READY_NAME).is_file()


def roll_forward(index_path: Path) -> bool:
    """Finish the move of a build that is ready. Call with the builder lock held. False if there is none."""
    staging, final = index_path / STAGING_FOLDER, index_path / MANIFEST_NAME
    if not is_ready(index_path):
        return False
    for folder in (staging, staging / VECTORS_FOLDER, index_path / VECTORS_FOLDER):
        if folder.is_symlink():
            raise BadIndex(f"{folder} is a link; expected a plain folder; remove it")
    wanted = _ready_hash(staging)
    staged = staging / MANIFEST_NAME
    if staged.exists():
        _check_hash(staged, wanted)
        manifest = Manifest.read(staged, older=True)
        (index_path / VECTORS_FOLDER).mkdir(exist_ok=True)
        for name in manifest.files:
            if (staging / name).exists():
                _move(staging / name, index_path / name)
        sync_folder(index_path / VECTORS_FOLDER)
        sync_folder(index_path)
        _move(staged, final)
        sync_folder(index_path)
    _check_hash(final, wanted)
    manifest = Manifest.read(final, older=True)
    for old in (index_path / VECTORS_FOLDER).glob("*.faiss"):
        if f"{VECTORS_FOLDER}/{old.name}" not in manifest.files:
            old.unlink()  # a class that has no box any more
    if MODEL_NAME not in manifest.files:
        (index_path / MODEL_NAME).unlink(missing_ok=True)  # learned of other boxes
    (staging / READY_NAME).unlink()
    shutil.rmtree(staging, ignore_errors=True)
    return True


def roll_forward_when_free(index_path: Path, *, wait_s: float = 10.0) -> None:
    """The same for a reader: waits for a builder that is moving its files right now."""
    deadline_s = time.monotonic() + wait_s
    while is_ready(index_path):
        try:
            with builder_lock(index_path):
                roll_forward(index_path)
        except IndexBusy:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)  # the builder may be done, and at its next build, before we get the lock


def _ready_hash(staging: Path) -> str:
    try:
        return read_small(staging / READY_NAME, 100, within=staging).data.decode("ascii", "replace")
    except Unreadable as error:
        raise BadIndex(f"{staging / READY_NAME}: {error}; delete the folder and build again") from None


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except PermissionError as error:  # Windows: a file that a reader holds open cannot be replaced
        raise IndexBusy(
            f"{target} is open in another program ({error.strerror}); close it (a review page?) and run the "
            "same command again, which finishes at once"
        ) from None


def _check_hash(path: Path, wanted: str) -> None:
    found = sha256_file(path) if path.is_file() else "no file"
    if found != wanted:
        raise BadIndex(
            f"{path}: expected SHA-256 {wanted[:16]}…, found {found[:16]}…; the folder "
            f"{STAGING_FOLDER} was changed; delete it and build again"
        )
