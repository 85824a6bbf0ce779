"""What the machine lacks is one line with the file and what to do, exit code 2: never a fault of ours."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault_jobs import Place, States, quick, run, tree
from healtheat.core import files


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    with quick():
        yield States(tmp_path_factory.mktemp("conditions"))


@pytest.fixture
def place(states: States) -> Place:
    states.reset("built")
    return states.place


def one_line(arguments: list[object]) -> str:
    """What a command says that cannot be done."""
    code, said = run(arguments)
    assert code == 2, said
    assert said.startswith("healtheat: ") and said.count("\n") == 1, said
    assert "fault of healtheat" not in said
    return said


def _raising(number: int) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return raising


WRITING: dict[str, list[object]] = {
    "score": ["score", "--index", "@index"],
    "export": ["export", "--index", "@index", "--to", "@out/list.csv"],
    "apply": ["apply", "--index", "@index", "--in-place", "--max-share", 1],
    "build": ["build", "@data/data.yaml", "--index", "@index"],
}


def at(place: Place, arguments: list[object]) -> list[object]:
    return [place.root / a[1:] if isinstance(a, str) and a[0] == "@" else a for a in arguments]


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO], ids=errno.errorcode.get
)
@pytest.mark.parametrize("name", WRITING)
def test_a_disk_that_takes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    before = tree(place.data)
    monkeypatch.setattr(os, "fsync", _raising(number))
    said = one_line(at(place, WRITING[name]))
    assert os.strerror(number) in said and str(place.root) in said and "; " in said
    assert tree(place.data) == before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", [name for name in WRITING if name != "export"])
def test_a_file_system_without_locks(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", _raising(number))
    said = one_line(at(place, WRITING[name]))
    assert "has no locks" in said and "being built" not in said and "lock:" in said


def test_files_of_a_data_set_are_no_problems_where_too_many_are_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "open_regular", _raising(errno.EMFILE))
    said = one_line(["build", place.data / "data.yaml", "--index", place.root / "other"])
    assert "Too many open files" in said and "ulimit -n" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "--index", "@index", "--to", "@out/list.patch"],
        [
            "export",
            "--index",
            "@index",
            "--to",
            "@out/train",
            "--format",
            "yolo",
            "--write",
            "--max-share",
            1,
        ],
        ["export", "--index", "@index", "--to", "@out/list.json", "--format", "coco"],
        ["apply", "--index", "@index", "--to", "@out/copy", "--max-share", 1],
        ["apply", "--index", "@index", "--in-place", "--max-share", 1],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[::6])),
)
def test_a_data_set_that_was_moved(place: Place, arguments: list[object]) -> None:
    place.data.rename(place.root / "moved")
    said = one_line(at(place, arguments))
    assert f"{place.data}: the data set is not there any more; move it back" in said
    assert not place.data.exists() and not [*place.out.iterdir()]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name is Unicode")
def test_names_that_are_no_utf_8(place: Place) -> None:
    odd = os.fsdecode(b"\xff\xfe")
    said = one_line(["build", place.data / "data.yaml", "--index", place.root / odd])
    assert "\\udcff" in said and "no valid UTF-8" in said
    assert not (place.root / odd).exists()
    place.data.rename(place.root / odd)
    said = one_line(["build", place.root / odd / "data.yaml", "--index", place.root / "other"])
    assert f"{place.root}/\\udcff\\udcfe/data.yaml: a name that is no valid UTF-8; rename" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_is_full(place: Place) -> None:
    arguments = ["query", "--index", str(place.index), "--all", "--format", "csv"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "healtheat", *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    (said,) = done.stderr.decode().splitlines()
    assert said.startswith("healtheat: standard output: No space left on device; free some space")


def ended(arguments: list[object], **streams: Any) -> tuple[int, str]:
    """Exit code and stderr ("" where it goes elsewhere) of the command as a process of its own."""
    command = [sys.executable, "-m", "healtheat", *map(str, arguments)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **streams}
    done = subprocess.run(command, check=False, text=True, **streams)
    return done.returncode, done.stderr or ""


CLEANUP: list[object] = ["apply", "--index", "@index", "--in-place", "--max-share", 1]
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")


@full
def test_a_cleanup_is_done_though_its_report_cannot_be_printed(place: Place) -> None:
    before = tree(place.data)
    with open("/dev/full", "w") as nowhere:  # noqa: PTH123
        code, said = ended(at(place, CLEANUP), stdout=nowhere)
        assert (code, tree(place.data) != before) == (0, True)
        assert "standard output: No space left on device; the cleanup is done all the same; undo it" in said
        code, said = ended(["rollback", place.data], stdout=nowhere)
    assert code == 0 and "the cleanup is undone all the same" in said

    assert tree(place.data) == before


@full
def test_messages_that_cannot_be_printed_change_no_exit_code(place: Place) -> None:
    with open("/dev/full", "w") as nowhere:  # noqa: PTH123
        assert ended(["query", "--index", place.root / "nosuch"], stderr=nowhere)[0] == 2
        assert ended(at(place, CLEANUP), stderr=nowhere, stdout=nowhere)[0] == 0
    assert ended(["query", "--index", place.index])[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed otherwise there")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_a_closed_stream_is_as_the_null_device(place: Place, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    before = tree(place.data)
    assert ended(["query", "--index", place.root / "nosuch"], preexec_fn=close)[0] == 2
    code, said = ended(at(place, CLEANUP), preexec_fn=close)
    assert code == 0 and "fault" not in said and tree(place.data) != before
