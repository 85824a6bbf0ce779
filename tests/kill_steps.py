"""Dying at the k-th step that reaches the disk, for real: shared by the kill tests.

Nothing in the product knows of this: the steps are counted by wrapping calls in the process that dies, and in
that process only.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DISK_CALLS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (shutil, "rmtree"),
    (pathlib.Path, "replace"),
    (pathlib.Path, "mkdir"),
    (pathlib.Path, "unlink"),
)


def run_to_step(
    work: Callable[[], Any], more_calls: Sequence[tuple[Any, str]], kill_at: int, counted: str
) -> None:
    """Do `work` and die at step `kill_at`; with -1 live, and write the number of steps to `counted`.

    Steps are the DISK_CALLS, `more_calls` (owner, name), and every write to a file opened by `Path.open`.
    """
    steps = _Steps(kill_at)
    steps.install((*DISK_CALLS, *more_calls))
    work()
    done = steps.count
    steps.kill_at = -1
    Path(counted).write_text(str(done), encoding="utf-8")


class _Steps:
    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self.kill_at = kill_at

    def step(self) -> bool:
        """True if this is the step to die at."""
        self.count += 1
        return self.count == self.kill_at

    def install(self, calls: Sequence[tuple[Any, str]]) -> None:
        for owner, name in calls:
            setattr(owner, name, self._before(getattr(owner, name)))
        opening = pathlib.Path.open

        def opened(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
            file = opening(path, mode, *args, **more)
            return _HalfWriter(file, self) if set(mode) & set("wax+") else file

        setattr(pathlib.Path, "open", opened)  # noqa: B010

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            if self.step():
                die()
            return call(*args, **more)

        return wrapped


class _HalfWriter:
    """A file whose fatal write puts half of the bytes on the disk before the process dies."""

    def __init__(self, file: Any, steps: _Steps) -> None:
        self._file = file
        self._steps = steps

    def write(self, data: Any) -> Any:
        if self._steps.step():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            die()
        return self._file.write(data)

    def __enter__(self) -> _HalfWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def die() -> None:
    """End this process at once, as `kill -9` does."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
