"""The one way a file is read that may come from a stranger: regular, opened without waiting, with a limit.

A pipe would wait for a writer for ever, a device has no end, and a link may lead to any file of the machine.
So a file is opened without blocking and looked at once it is open: what is no regular file is refused.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from healtheat.core.conditions import OF_THE_PROCESS
from healtheat.core.errors import InputError

MAX_WHOLE_BYTES = 2**30
MAX_HOLES_BYTES = 2**30  # of a file that is read to its end, however large it is

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a small file, and what the manifest keeps of them."""

    data: bytes
    sha256: str
    size: int


class Unreadable(Exception):
    """A file cannot be read; the message is the reason, without the file's name."""


class Missing(Unreadable):
    """There is no such file."""


class NotRegular(OSError):
    """A folder, pipe, device or socket where a file was expected."""


def open_regular(path: Path, *, within: Path | None = None) -> BinaryIO:
    """The regular file `path`, opened for reading; a context manager.

    With `within` it must lie in that folder once all links are followed. Raises OSError, with a `strerror`
    that says so for anything but a regular file.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise OSError(errno.EINVAL, "a name that no file can have", text)
    if within is not None and not _lies_within(text, os.fspath(within)):
        raise OSError(errno.ELOOP, "a link that leads out of its folder", text)
    _check(os.stat(text), text)  # noqa: PTH116 - before opening too: opening alone starts some devices
    handle = os.open(text, _FLAGS)
    try:
        _check(os.fstat(handle), text)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_small(path: Path, limit_bytes: int, *, within: Path | None = None) -> Content:
    """The content of the regular file `path`, read once; `within` as in `open_regular`.

    Raises Missing, or Unreadable if it is no regular file or larger than `limit_bytes`; the size is checked
    while reading, so a growing file cannot get past it. Raises OSError where too many files are open.
    """
    try:
        with open_regular(path, within=within) as file:
            # Python takes memory for all that is asked for, so ask for no more than the file has.
            size = min(os.fstat(file.fileno()).st_size, limit_bytes)
            data = file.read(size + 1)
    except FileNotFoundError:
        raise Missing("not found") from None
    except NotRegular as error:
        raise Unreadable(str(error.strerror)) from None
    except OSError as error:
        if error.errno in OF_THE_PROCESS:
            raise
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    if len(data) > limit_bytes:
        raise Unreadable(f"larger than {_amount(limit_bytes)}")
    if len(data) != size:
        raise Unreadable("changed while it was read")
    return Content(data, hashlib.sha256(data).hexdigest(), len(data))


def check_regular(path: Path) -> None:
    """Raises NotRegular where something else is at `path` than a file, which would wait or take it all."""
    if os.path.lexists(path):
        _check(path.stat(), os.fspath(path))


def refuse_holes(file: BinaryIO, path: Path) -> None:
    """Raises OSError for a file with more than MAX_HOLES_BYTES that were never written.

    It takes no room on a disk, claims any size, and would be read for hours. Where the system does not tell
    holes from bytes, none is seen.
    """
    holes, at, handle = 0, 0, file.fileno()
    try:
        end = os.fstat(handle).st_size
        while at < end and holes <= MAX_HOLES_BYTES:
            start = os.lseek(handle, at, os.SEEK_HOLE)
            at = _data_after(handle, start, end)
            holes += at - start
    except (AttributeError, OSError):  # Windows, or a file system that knows no holes
        holes = 0
    finally:
        file.seek(0)
    if holes > MAX_HOLES_BYTES:
        raise OSError(errno.EINVAL, "a file that claims bytes which were never written", os.fspath(path))


def _data_after(handle: int, start: int, end: int) -> int:
    try:
        return os.lseek(handle, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:  # a hole to the end
            raise
        return end


def read_whole(path: Path, limit_bytes: int = MAX_WHOLE_BYTES, *, within: Path | None = None) -> bytes:
    """As `read_small`, for a file that is needed: raises InputError, which names it."""
    try:
        return read_small(path, limit_bytes, within=within).data
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from None


def _check(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotRegular(errno.EINVAL, "not a regular file", path)


def _lies_within(path: str, folder: str) -> bool:
    real, home = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, home]) == home


def _amount(limit_bytes: int) -> str:
    return f"{limit_bytes // 2**20} MiB" if limit_bytes >= 2**20 else f"{limit_bytes:,} bytes"
