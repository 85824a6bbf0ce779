"""Faults at the n-th call that reaches the disk, in this process and below one folder alone.

Wrapped are the calls that everything goes through: opening (for writing and for reading), `write` and `close`
of what was opened for writing, and in `os`: open, fsync, replace, rename, link, mkdir, unlink, rmdir, utime,
chmod; `fcntl.flock`; DuckDB's statements on a database in a file; pyarrow's Parquet writer. FAISS writes
through an opened file. The product knows nothing of this.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from healtheat.core.atomic import is_temporary

_MOVING = ("ENOSPC", "EIO", "EACCES")
FAULTS: Mapping[str, Sequence[str]] = {
    "open to write": ("ENOSPC", "EIO", "EMFILE", "EACCES"),
    "open to read": ("EIO", "EMFILE", "EACCES"),
    "os.open": ("EIO", "EMFILE", "EACCES"),
    "write": ("ENOSPC", "EIO"),
    "close": ("ENOSPC", "EIO"),
    "fsync": ("ENOSPC", "EIO"),
    "replace": _MOVING,
    "rename": _MOVING,
    "mkdir": _MOVING,
    "link": ("EIO", "EACCES", "ENOSYS"),
    "unlink": ("EIO", "EACCES"),
    "rmdir": ("EIO", "EACCES"),
    "utime": ("EIO", "EACCES"),
    "chmod": ("EIO", "EACCES"),
    "flock": ("EIO", "ENOSYS"),
    "database": ("ENOSPC", "EIO"),
    "parquet": ("ENOSPC", "EIO"),
}
LASTING = ("ENOSPC", "EIO")  # a disk that is full, or broken, stays so
_NEEDS_ROOM = {"open to write", "write", "close", "fsync", "mkdir", "database", "parquet"}
_BUFFER_BYTES = 8192
_WRITES = {kind for kind in FAULTS if kind != "open to read"}


@dataclass(frozen=True, slots=True)
class Fault:
    """`error` (a name of errno) at call `at`, counted from 0; with `lasts` at those behind it as well."""

    at: int
    error: str
    lasts: bool = False


class Calls:
    """Counts the calls below `folder` while the block runs, and makes one of them fail."""

    def __init__(self, folder: Path, fault: Fault | None = None) -> None:
        self._folder, self._fault = os.path.realpath(folder), fault
        self.kinds: list[str] = []  # of the calls, in their order
        self.synced: dict[str, int] = {}  # bytes of a file that cannot be lost any more
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Calls:
        for owner, name, made in self._wrapped():
            self._stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, made)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def failing(self, kind: str, path: object) -> bool:
        """Count a call; whether it is one that fails."""
        if not self._inside(path):
            return False
        with self._lock:
            number = len(self.kinds)
            self.kinds.append(kind)
        fault = self._fault
        if fault is None or number < fault.at:
            return False
        return number == fault.at or (
            fault.lasts and kind in (_NEEDS_ROOM if fault.error == "ENOSPC" else _WRITES)
        )

    def error(self, path: object = None) -> OSError:
        """The fault as the system reports it."""
        assert self._fault is not None
        number = getattr(errno, self._fault.error)
        return OSError(number, os.strerror(number), *([] if path is None else [os.fspath(path)]))  # type: ignore[call-overload]

    def _inside(self, path: object) -> bool:
        if isinstance(path, int):
            path = _path_of(path)
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        name = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))  # noqa: PTH109, PTH118
        return name == self._folder or name.startswith(self._folder + os.sep)

    def _wrapped(self) -> Iterator[tuple[Any, str, Any]]:
        opened = self._opening(io.open)
        yield io, "open", opened
        yield builtins, "open", opened
        yield shutil, "_USE_CP_SENDFILE", False  # so that copies go through `write`
        yield os, "fsync", self._of_handle(os.fsync, "fsync")
        yield fcntl, "flock", self._of_handle(fcntl.flock, "flock")
        yield os, "open", self._os_opening(os.open)
        for name in ("replace", "rename", "link", "mkdir", "unlink", "rmdir", "utime", "chmod"):
            yield os, name, self._of_path(getattr(os, name), name)
        yield os, "remove", os.unlink
        yield duckdb, "connect", self._connecting(duckdb.connect)
        yield pq, "write_table", self._parquet(pq.write_table)

    def _of_handle(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def wrapped(handle: int, *args: Any) -> Any:
            if kind == "flock" and args and args[0] == fcntl.LOCK_UN:
                return call(handle, *args)
            if self.failing(kind, handle):
                raise self.error()
            done = call(handle, *args)
            if kind == "fsync" and (path := _path_of(handle)):
                self.synced[path] = _size(path)
            return done

        return wrapped

    def _of_path(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def wrapped(path: Any, *args: Any, **more: Any) -> Any:
            folder = more.get("dir_fd")
            whole = path if folder is None else os.path.join(_path_of(folder) or "", path)  # noqa: PTH118
            if self.failing(kind, whole):
                raise self.error(path)
            return call(path, *args, **more)

        return wrapped

    def _os_opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A file that is only read may be one of the data set; the others are locks and syncs."""

        def wrapped(path: Any, flags: int, *args: Any, **more: Any) -> Any:
            reads = not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and os.path.isfile(path)  # noqa: PTH113
            reads = reads and not is_temporary(Path(os.fsdecode(path)).name)
            return self._of_path(call, "open to read" if reads else "os.open")(path, flags, *args, **more)

        return wrapped

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
            writes = bool(set(mode) & set("wax+"))
            if not isinstance(file, int) and self.failing(
                "open to write" if writes else "open to read", file
            ):
                raise self.error(file)
            opened = call(file, mode, *args, **more)
            if not (writes and self._inside(file)):
                return opened
            return (_Written if "b" in mode else _WrittenText)(opened, file, self)

        return wrapped

    def _connecting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(database: Any = ":memory:", *args: Any, **more: Any) -> Any:
            if self.failing("database", database if database != ":memory:" else None):
                raise self._of_duckdb(database)
            connection = call(database, *args, **more)
            return connection if database == ":memory:" else _Connection(connection, database, self)

        return wrapped

    def _of_duckdb(self, database: object) -> Exception:
        return duckdb.IOException(f'IO Error: Could not write file "{database}": {self.error().strerror}')

    def _parquet(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(table: Any, where: Any, *args: Any, **more: Any) -> Any:
            call(table, where, *args, **more)
            if self.failing("parquet", where):
                _halve(where)
                raise self.error()

        return wrapped


class _Written:
    """A file opened for writing. A write counts when a buffer is full. One that fails leaves half of its
    bytes, a close half of a file that was not synced.
    """

    def __init__(self, file: Any, path: Any, calls: Calls) -> None:
        self._file, self._path, self._calls = file, path, calls
        self._since = _BUFFER_BYTES  # the first counts
        self._real = os.path.realpath(path)
        calls.synced[self._real] = _size(path)  # of what was there; "w" has emptied it by now

    def write(self, data: Any) -> Any:
        self._since += len(data)
        if self._since < _BUFFER_BYTES:
            return self._put(data)
        self._since = 0
        if self._calls.failing("write", self._path):
            self._file.write(data[: len(data) // 2])
            raise self._calls.error()
        return self._put(data)

    def _put(self, data: Any) -> Any:
        return self._file.write(data)

    def close(self) -> None:
        if self._file.closed:
            return
        self._file.close()
        if self._calls.failing("close", self._path):
            _halve(self._path, self._calls.synced[self._real])
            raise self._calls.error()

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _WrittenText(_Written):
    """The same of text: who asks what kind of file it is takes it for one of text."""


io.TextIOBase.register(_WrittenText)


class _Connection:
    """A connection to a database in a file."""

    def __init__(self, connection: Any, database: object, calls: Calls) -> None:
        self._connection, self._database, self._calls = connection, database, calls

    def execute(self, statement: str, *args: Any) -> Any:
        if statement.startswith(("CREATE", "INSERT", "CHECKPOINT")) and self._calls.failing(
            "database", self._database
        ):
            raise self._calls._of_duckdb(self._database)
        return self._connection.execute(statement, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _halve(path: Any, least: int = 0) -> None:
    if (size := _size(path)) > least:
        os.truncate(path, max(size // 2, least))


def _size(path: Any) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else 0  # noqa: PTH113, PTH202


def _path_of(handle: int) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115
    except OSError:
        return None
