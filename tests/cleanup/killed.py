"""A cleanup or rollback that is killed, for real, at its k-th step: started in a process of its own.

The steps are counted by wrapping, in that process only, the calls with which anything reaches the disk.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healtheat.cleanup import ApplyPlan, apply_in_place, rollback, write_copy


def run(what: str, argument: Any, kill_at: int, counted: str) -> None:
    """Do `what` and die at step `kill_at`; with -1 live, and write the number of steps to `counted`."""
    steps = _Steps(kill_at)
    steps.install()
    _WHAT[what](argument)
    done = steps.count
    steps.kill_at = -1
    Path(counted).write_text(str(done), encoding="utf-8")


def _copy(argument: tuple[ApplyPlan, Path]) -> None:
    write_copy(*argument)


_WHAT: dict[str, Callable[[Any], Any]] = {"apply": apply_in_place, "rollback": rollback, "copy": _copy}


class _Steps:
    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self.kill_at = kill_at

    def step(self) -> bool:
        """True if this is the step to die at."""
        self.count += 1
        return self.count == self.kill_at

    def install(self) -> None:
        for owner, name in (
            (os, "fsync"),
            (shutil, "rmtree"),
            (shutil, "copystat"),
            (shutil, "copymode"),
            (pathlib.Path, "replace"),
            (pathlib.Path, "mkdir"),
            (pathlib.Path, "unlink"),
        ):
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
