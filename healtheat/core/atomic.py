"""The one way files and folders are written: whole or not at all, whatever ends the process.

What is being written lies beside its target under a random name, `.healtheat-<token>.tmp`, created
exclusively, so that nothing which is there already is opened or followed. Its writer holds a lock on it that
ends with the process. `sweep` removes whatever has such a name and is locked by nobody: leftovers of killed
runs, never the work of a run that still goes on. Where the system has no such locks (Windows, some network
disks), leftovers go when they are a day old.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from healtheat.core.conditions import naming
from healtheat.core.files import open_regular, refuse_holes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STALE_S = 86_400.0  # leftovers of this age go where locks cannot tell whether their writer lives

_TEMPORARY = re.compile(r"\.healtheat-[0-9a-f]{16}\.tmp")
_BLOCK_BYTES = 1 << 20
_NEW, _OLD, _READY = "new", "old", "ready"  # in a temporary folder; `ready` names the folder it replaces
_END = b"\0"  # behind a name that was written whole
_MAX_NAME_BYTES = 4096
_ATTEMPTS = 100
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of the file's bytes, read block by block. Raises OSError for one that is mostly holes."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        refuse_holes(file, path)
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def canonical_json(value: Any, *, indent: int | None = None) -> bytes:
    """UTF-8 JSON with sorted keys: equal values give equal bytes. Raises ValueError for NaN."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, allow_nan=False, indent=indent, separators=separators
    )
    return text.encode("utf-8")


def write_file(path: Path, data: bytes, *, swept: bool = False) -> None:
    """Put `data` at `path`. Readers see the old file or the new one; it is on the disk when this returns.

    Missing folders above it are made. Leftovers in its folder are swept first, unless the caller did that
    (`swept`; worth it for many files in one large folder).
    """
    with replacing_file(path, swept=swept) as temporary, temporary.open("wb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing_file(path: Path, *, swept: bool = False) -> Iterator[Path]:
    """A new, empty file beside `path` to write to; it takes the place of `path` when the block ends well.

    Nothing is left of it when the block fails. For `swept` see `write_file`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not swept:
        sweep(path.parent)
    with naming(path), _created(path.parent, _touch) as temporary, naming(path, temporary):
        try:
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new, empty folder to fill; it takes the place of `path` when the block ends well.

    What is at `path` then is deleted once the new folder stands there, so look at it again at the end of the
    block if it took long. Two renames are needed for that: a process that is killed between them leaves both
    folders whole, and the next `sweep` finishes its work. Nothing is left of the new folder when the block
    fails. Leftovers beside `path` are swept first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with naming(path), _created(path.parent, Path.mkdir) as work, naming(path, work):
        try:
            new = work / _NEW
            new.mkdir()
            yield new
            for inside in new.rglob("*"):
                if not inside.is_symlink():
                    (sync_folder if inside.is_dir() else sync_file)(inside)
            sync_folder(new)
            if os.path.lexists(path):
                (work / _READY).write_bytes(os.fsencode(path.name) + _END)
                sync_file(work / _READY)
                sync_folder(work)
                path.replace(work / _OLD)
                sync_folder(path.parent)
            new.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                _finish(work, (_OLD, _NEW))
            raise
        finally:
            with contextlib.suppress(OSError):  # what cannot be looked at is kept for the next sweep
                _discard(work)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`. What a living one works on stays; no error is raised."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - text is all that is needed of a large folder
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _sweep(folder / name)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that is being written, or was left by a killed run."""
    return _TEMPORARY.fullmatch(name) is not None


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with naming(path), path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until renames in `path` are on the disk. Windows cannot open folders and needs no such step."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _created(folder: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """A path in `folder` that was not there, made by `create` and locked until the block ends."""
    for _ in range(_ATTEMPTS):
        path = folder / f".healtheat-{secrets.token_hex(8)}.tmp"
        try:
            create(path)
            handle = _locked(path)
        except (FileExistsError, _SweptAway):
            continue
        try:
            yield path
        finally:
            if handle is not None:
                os.close(handle)
        return
    raise FileExistsError(errno.EEXIST, "no free temporary name", str(folder))


def _touch(path: Path) -> None:
    path.open("xb").close()


class _SweptAway(Exception):
    """Another process removed the path between its creation and its lock."""


def _locked(path: Path) -> int | None:
    """A handle that holds the lock on the path just created; None where the system has no such locks."""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, _OPEN)
    except FileNotFoundError:
        raise _SweptAway from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # waits for a sweep that found the path before its lock
        if not os.path.samestat(os.fstat(handle), path.lstat()):
            raise FileNotFoundError
    except FileNotFoundError:
        os.close(handle)
        raise _SweptAway from None
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(path: Path) -> None:
    if path.is_symlink():  # not ours
        path.unlink()
        return
    with _abandoned(path) as abandoned:
        if not abandoned:
            return
        if path.is_dir():
            _finish(path, (_NEW, _OLD))
            _discard(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether nobody writes to this temporary path; the lock is held while the block runs."""
    if fcntl is None:
        yield _is_stale(path)
        return
    handle = os.open(path, _OPEN)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            yield _is_stale(path)
            return
        yield True
    finally:
        os.close(handle)


def _is_stale(path: Path) -> bool:
    newest = max(inside.lstat().st_mtime for inside in (path, *path.rglob("*")))
    return time.time() - newest > STALE_S


def _finish(work: Path, choices: Sequence[str]) -> None:
    """Where a killed or failed run moved the old folder away and put no other there: put one of these."""
    target = _target(work)
    if target is None or os.path.lexists(target) or not os.path.lexists(work / _OLD):
        return
    for name in choices:
        if os.path.lexists(work / name):
            (work / name).replace(target)
            sync_folder(target.parent)
            return


def _discard(work: Path) -> None:
    """Delete a temporary folder, unless it holds what must still be put into its place."""
    target = _target(work)
    if target is None or os.path.lexists(target):
        shutil.rmtree(work, ignore_errors=True)


def _target(work: Path) -> Path | None:
    """The folder that is being replaced; None if it was not moved away."""
    try:
        with open_regular(work / _READY) as file:
            data = file.read(_MAX_NAME_BYTES + 1)
    except FileNotFoundError:
        return None
    name = os.fsdecode(data.removesuffix(_END))
    plain = data.endswith(_END) and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}
    return work.parent / name if plain else None
