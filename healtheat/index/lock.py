"""One builder at a time. The lock belongs to the process, so a killed one leaves none behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from healtheat.core.errors import Argument, BadIndex, IndexBusy, Part

LOCK_NAME = ".lock"
VERDICT_LOCK_NAME = "verdicts.lock"


@contextmanager
def builder_lock(index_path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the index for writing. Raises IndexBusy after `wait_s` seconds if another process holds it."""
    fix = "wait until it is done, or build into another folder with "
    message = f"{index_path} is being built by another process; {fix}"
    with _held(index_path, LOCK_NAME, wait_s, message, Argument("index")):
        yield


@contextmanager
def verdict_lock(index_path: Path, *, wait_s: float = 30.0) -> Iterator[None]:
    """Hold the verdict log for one append."""
    message = f"{index_path}: another process is writing verdicts; try again"
    with _held(index_path, VERDICT_LOCK_NAME, wait_s, message):
        yield


@contextmanager
def _held(index_path: Path, name: str, wait_s: float, *busy: Part) -> Iterator[None]:
    path = index_path / name
    if path.is_symlink():
        raise BadIndex(f"{path} is a link; expected a plain lock file; remove it")
    lock = FileLock(path, timeout=wait_s, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise IndexBusy(*busy) from None
    try:
        yield
    finally:
        lock.release()
