"""One builder at a time, and one who writes verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healtheat.core.errors import Argument, BadIndex, IndexBusy, IndexGone
from healtheat.core.locks import held

LOCK_NAME = ".lock"
VERDICT_LOCK_NAME = "verdicts.lock"


@contextmanager
def builder_lock(index_path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the index for writing. Raises IndexBusy after `wait_s` seconds if another process holds it."""
    fix = "wait until it is done, or build into another folder with "
    busy = IndexBusy(f"{index_path} is being built by another process; {fix}", Argument("index"))
    with held(_lock_file(index_path, LOCK_NAME), busy, wait_s=wait_s):
        yield


@contextmanager
def verdict_lock(index_path: Path, *, wait_s: float = 30.0) -> Iterator[None]:
    """Hold the verdict log for one append."""
    busy = IndexBusy(f"{index_path}: another process is writing verdicts; try again")
    with held(_lock_file(index_path, VERDICT_LOCK_NAME), busy, wait_s=wait_s):
        yield


def _lock_file(index_path: Path, name: str) -> Path:
    if not index_path.is_dir():  # else the lock would make the folder again
        raise IndexGone(f"{index_path}: the index is not there any more; it was moved or deleted")
    path = index_path / name
    if path.is_symlink():
        raise BadIndex(f"{path} is a link; expected a plain lock file; remove it")
    return path
