"""One process at a time, or no lock at all and told so: never one that is no lock."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from healtheat.core.errors import IndexBusy, InputError
from healtheat.core.locks import held

BUSY = IndexBusy("busy")


def _raising(number: int) -> Any:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, BUSY), pytest.raises(IndexBusy, match="busy"), held(path, BUSY):
        pass
    with held(tmp_path / "lock", BUSY):
        pass


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, there: bool
) -> None:
    if there:
        (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", _raising(number))
    with (
        pytest.raises(InputError, match=r"lock: .*; this file system has no locks"),
        held(tmp_path / "lock", BUSY),
    ):
        raise AssertionError("held without a lock")


def test_another_fault_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", _raising(errno.EIO))
    with pytest.raises(OSError, match="lock"), held(tmp_path / "lock", BUSY):
        raise AssertionError("held without a lock")
