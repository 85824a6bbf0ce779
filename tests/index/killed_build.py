"""A build that is killed, for real, at its k-th step: what the kill tests start in a process of their own.

Nothing in the product knows of this: the steps are counted by wrapping, in this process only, the calls with
which anything reaches the disk (opening for writing, writing, syncing, renaming, deleting, rows for the
catalog) and the encoder.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healtheat.build import build
from healtheat.index import cache
from healtheat.index.catalog import CatalogWriter
from healtheat.signals.geometry import Geometry
from healtheat.sources.yolo import YoloSource
from tests.index.small_set import FakeEncoder

SIGNALS = (Geometry(),)


def run_build(data: Path, index_path: Path) -> None:
    """The build under test."""
    cache.CHUNK_CROPS = 8
    build(YoloSource(data), index_path, encoder=FakeEncoder(), signals=SIGNALS)


def run_killed(data: str, index_path: str, kill_at: int, counted: str) -> None:
    """Run the build and die at step `kill_at`; with -1 live, and write the number of steps to `counted`."""
    steps = _Steps(kill_at)
    steps.install()
    run_build(Path(data), Path(index_path))
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

    def install(self) -> None:
        for owner, name in (
            (os, "fsync"),
            (shutil, "rmtree"),
            (pathlib.Path, "replace"),
            (pathlib.Path, "mkdir"),
            (pathlib.Path, "unlink"),
            (CatalogWriter, "_insert"),
            (CatalogWriter, "finish"),
            (FakeEncoder, "encode"),
        ):
            setattr(owner, name, self._before(getattr(owner, name)))
        self._opening = pathlib.Path.open
        setattr(pathlib.Path, "open", self._open())  # noqa: B010

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            if self.step():
                die()
            return call(*args, **more)

        return wrapped

    def _open(self) -> Callable[..., Any]:
        opening = self._opening

        def wrapped(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
            file = opening(path, mode, *args, **more)
            return _HalfWriter(file, self) if set(mode) & set("wax+") else file

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
