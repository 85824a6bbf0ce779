"""One line with the file and what to do."""

import errno
import os
from pathlib import Path

import pytest

from healtheat.core.conditions import LOCKLESS, naming, told, told_of_name

NAMES = ("ENOSPC", "EDQUOT", "EMFILE", "EACCES", "EROFS", "EIO", "ENOLCK", "ENOSYS", "EOPNOTSUPP", "ESTALE")


@pytest.mark.parametrize("name", NAMES)
def test_file_reason_and_what_to_do(name: str) -> None:
    number = getattr(errno, name)
    text = told(OSError(number, os.strerror(number), "labels/a.txt"))
    file, reason, todo = text.replace("; ", ": ", 1).split(": ", 2)
    assert (file, reason) == ("labels/a.txt", os.strerror(number)) and len(todo) > 20
    assert "\n" not in text


def test_others_keep_what_they_say() -> None:
    assert told(OSError("what was written cannot be read back")) == "what was written cannot be read back"
    assert told(OSError(errno.EPIPE, "Broken pipe")) == "Broken pipe"


def test_no_locks_are_all_of_these() -> None:
    assert {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP} <= LOCKLESS
    assert errno.EACCES not in LOCKLESS


def test_a_file_without_a_name_gets_one(tmp_path: Path) -> None:
    for name, found in ((None, "out"), ("tmp", "out"), (os.path.join("tmp", "b"), "out"), ("tmpb", "tmpb")):  # noqa: PTH118
        with pytest.raises(OSError, match=found) as raised, naming("out", "tmp"):
            raise OSError(errno.ENOSPC, "No space left on device", name)
        assert raised.value.filename == found


def test_a_name_that_is_no_utf_8() -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        os.fsdecode(b"a/\xff.txt").encode("utf-8")
    assert (
        told_of_name(raised.value)
        == "a/\\udcff.txt: a name that is no valid UTF-8; rename the file or folder"
    )


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path.cwd()
    assert "working folder" in told(raised.value)
    monkeypatch.chdir(tmp_path)
