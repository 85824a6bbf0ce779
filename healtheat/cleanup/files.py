"""Files of a cleanup in place: known by their hash, put whole, kept in quarantine, caches found."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from healtheat.core.atomic import replacing_file, sha256_file, sweep, sync_folder
from healtheat.core.errors import InputError
from healtheat.core.files import open_regular, read_whole

# A file system without rights of its own (vfat, some shares) refuses to set them; the bytes are what counts.
_NO_RIGHTS_HERE = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
_NUMPY = b"\x93NUMPY"  # what Ultralytics' label caches begin with


def hash_of(file: Path) -> str:
    """Hex SHA-256 of the file, "" where there is none."""
    try:
        return sha256_file(file)
    except FileNotFoundError:
        return ""


def put(file: Path, data: bytes, like: Path, *, times: bool = True) -> None:
    """Put `data` at `file`, whole or not at all, with the rights of `like`, and its times if `times`.

    The folder may be large, so it is not swept; the cleanup does that once (`sweep_folders`).
    """
    with replacing_file(file, swept=True) as staged:
        staged.write_bytes(data)
        try:
            (shutil.copystat if times else shutil.copymode)(like, staged)
        except OSError as error:
            if error.errno not in _NO_RIGHTS_HERE:
                raise


def sweep_folders(files: Iterable[Path]) -> None:
    """Remove what a killed cleanup left beside these files."""
    for folder in {file.parent for file in files}:
        sweep(folder)


def quarantine(file: Path, kept: Path, sha256: str) -> bytes:
    """Keep the content of `file` at `kept` and return it. Raises InputError if it is not `sha256`'s."""
    data = read_whole(file)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"{file}: changed while it was cleaned up; run the command again")
    if hash_of(kept) != sha256:
        put(kept, data, file)
    return data


def remove(file: Path) -> None:
    """Delete `file`, for good once this returns."""
    file.unlink(missing_ok=True)
    sync_folder(file.parent)


def caches(folders: Iterable[Path]) -> list[Path]:
    """Ultralytics' `*.cache` files in and beside these folders of labels.

    It writes `labels.cache` beside the folder `labels` and trusts it by paths and total size, so a cache
    outlives edits that keep the size. Files that merely have the extension are left alone.
    """
    found: set[Path] = set()
    for folder in {place for given in folders for place in (given, given.parent)}:
        if folder.is_dir():
            found.update(
                f for f in folder.glob("*.cache") if f.is_file() and not f.is_symlink() and _is_cache(f)
            )
    return sorted(found)


def _is_cache(file: Path) -> bool:
    with open_regular(file) as opened:
        return opened.read(len(_NUMPY)) == _NUMPY
