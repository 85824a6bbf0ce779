"""A lock file that one process holds at a time. It ends with the process: a killed one leaves none behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from healtheat.core.conditions import LOCKLESS, naming, told
from healtheat.core.errors import HealtheatError, InputError
from healtheat.core.files import NotRegular, check_regular


@contextlib.contextmanager
def held(path: Path, busy: HealtheatError, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`, which is made in a folder that must be there.

    Raises `busy` after `wait_s` seconds if another process holds it, InputError where the file system has no
    locks (a lock that is no lock would let two processes write), OSError where the file cannot be made.
    """
    # Without a fallback: that one is a file whose holder may have been killed, and then it is held for ever.
    lock = FileLock(path, timeout=wait_s, thread_local=False, fallback_to_soft=False)
    try:
        with naming(path):
            check_regular(path)
            lock.acquire()
    except Timeout:
        raise busy from None
    except NotRegular:
        raise InputError(f"{path}: not a regular file, and a lock file is expected; remove it") from None
    except OSError as error:
        if error.errno in LOCKLESS:
            raise InputError(told(error)) from None
        raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # what was done under it is done; it ends with the process
            lock.release()
