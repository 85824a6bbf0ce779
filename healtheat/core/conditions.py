"""Conditions of the user's machine (a full disk, no rights): one line with the file and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping

from healtheat.core.text import shown

AGAIN = "then run the same command again"
_FULL = f"free some space, {AGAIN}"
_RIGHTS = "give yourself the right to it, or choose another place"
_NO_LOCKS = (
    "this file system has no locks (some network disks), and without them two processes could write at once; "
    "use a folder on a local disk"
)
_GONE = f"the disk or share went away; connect it, {AGAIN}"
# By name, since not every system has all of them.
_TODO: Mapping[str, str] = {
    "ENOSPC": _FULL,
    "EDQUOT": _FULL,
    "EFBIG": "the disk, or `ulimit -f`, takes no file of this size; choose another place or raise the limit",
    "EMFILE": f"raise the limit, for example `ulimit -n 4096`, {AGAIN}",
    "ENFILE": f"close other programs, {AGAIN}",
    "ENOMEM": f"close other programs, {AGAIN}",
    "EROFS": "choose another place, or make this one writable",
    "EACCES": _RIGHTS,
    "EPERM": _RIGHTS,
    "EIO": f"the disk reports an error; check it, {AGAIN}",
    "ENXIO": _GONE,
    "ENODEV": _GONE,
    "ESTALE": _GONE,
    "ETIMEDOUT": _GONE,
    "EHOSTDOWN": _GONE,
    "ENOTCONN": _GONE,
    "ENOENT": "it is not there, or not any more; was it moved?",
    "ENOTDIR": "a part of this path is a file; choose another place",
    "EISDIR": "this is a folder; name a file",
    "EEXIST": "something is there already; choose another place",
    "ENOTEMPTY": "something is there already; choose another place",
    "ELOOP": "a link leads back to itself; remove it",
    "ENAMETOOLONG": "choose a shorter name",
    "EILSEQ": "this file system takes no such name; rename it",
    "ETXTBSY": f"another program uses it; close that, {AGAIN}",
    "EBUSY": f"another program uses it; close that, {AGAIN}",
    "ENOSYS": _NO_LOCKS,
    "ENOLCK": _NO_LOCKS,
    "EOPNOTSUPP": _NO_LOCKS,
    "ENOTSUP": _NO_LOCKS,
}
_WHAT_TO_DO = {number: text for name, text in _TODO.items() if (number := getattr(errno, name, None))}
LOCKLESS = {getattr(errno, name, None) for name, text in _TODO.items() if text == _NO_LOCKS} - {None}

# Not about one file: what is read next would fail as well.
OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)


def told(error: OSError) -> str:
    """What happened to which file, and what to do.

    >>> told(OSError(errno.ENOSPC, "No space left on device", "a.txt"))
    'a.txt: No space left on device; free some space, then run the same command again'
    """
    reason = error.strerror or str(error)
    file = error.filename
    if file is None and error.errno == errno.ENOENT and not _has_working_folder():
        return "the working folder is gone; change to one that is there"
    name = "" if file is None or isinstance(file, int) else f"{os.fsdecode(file)}: "
    todo = _WHAT_TO_DO.get(error.errno or 0)
    return f"{name}{reason}" + (f"; {todo}" if todo else "")


def condition_in(text: str, path: str | os.PathLike[str]) -> OSError | None:
    """The condition of the machine that another library speaks of, as an error about `path`; else None.

    >>> condition_in("IO Error: cannot write /x: No space left on device", "a.txt")
    OSError(28, 'No space left on device')
    """
    for number in _WHAT_TO_DO:
        if (reason := os.strerror(number)) in text:
            return OSError(number, reason, os.fspath(path))
    return None


def told_of_name(error: UnicodeEncodeError) -> str:
    """The same of a file name that is no valid UTF-8 and would have to be written into a list or a table."""
    name = error.object[max(0, error.start - 40) : error.start + 20]
    return f"{shown(name)}: a name that is no valid UTF-8; rename the file or folder"


@contextlib.contextmanager
def naming(path: str | os.PathLike[str], *instead: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError of the block that names no file, or one at or below one of `instead`, names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and _unnamed(error.filename, instead):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def _unnamed(file: object, instead: tuple[str | os.PathLike[str], ...]) -> bool:
    if not isinstance(file, str | bytes | os.PathLike):
        return True
    name = os.fsdecode(file)
    return any(name == os.fspath(one) or name.startswith(os.fspath(one) + os.sep) for one in instead)


def _has_working_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    return True
