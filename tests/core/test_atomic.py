"""The one writer: the old file or folder, or the new one; never half, never through a link, nothing left."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core import atomic
from healtheat.core.atomic import is_temporary, replacing_file, replacing_folder, sweep, write_file

OLD, NEW = b"old" * 1000, b"new" * 3000
HELD = pytest.mark.skipif(os.name == "nt", reason="no lock that ends with the process: decided by age")


def put_file(path: Path) -> None:
    write_file(path, NEW)


def put_folder(path: Path) -> None:
    with replacing_folder(path) as staged:
        (staged / "deep").mkdir()
        (staged / "deep" / "a.txt").write_bytes(NEW)
        (staged / "b.txt").write_bytes(NEW)


def old_file(path: Path) -> None:
    path.write_bytes(OLD)


def old_folder(path: Path) -> None:
    path.mkdir()
    (path / "c.txt").write_bytes(OLD)


def content(path: Path) -> object:
    """What is at the path, whole: bytes of a file, or name → bytes of a folder; None for nothing."""
    if path.is_dir():
        return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    return path.read_bytes() if path.is_file() else None


KINDS = [(old_file, put_file), (old_folder, put_folder)]
both = pytest.mark.parametrize(("old", "put"), KINDS, ids=["file", "folder"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left(folder: Path) -> list[str]:
    return [name for name in names(folder) if is_temporary(name)]


@both
def test_written_whole_with_nothing_beside(
    old: Callable[[Path], None], put: Callable[[Path], None], tmp_path: Path
) -> None:
    to = tmp_path / "not there yet" / "타이레놀"
    put(to)
    new = content(to)
    assert new in (NEW, {"deep/a.txt": NEW, "b.txt": NEW})
    shutil.rmtree(to) if to.is_dir() else to.unlink()
    old(to)
    put(to)
    assert content(to) == new
    assert names(to.parent) == [to.name]


@both
def test_a_block_that_fails_leaves_the_old(
    old: Callable[[Path], None], put: Callable[[Path], None], tmp_path: Path
) -> None:
    to = tmp_path / "to"
    old(to)
    before = content(to)
    replacing: Any = replacing_folder if to.is_dir() else replacing_file

    def fail() -> None:
        with replacing(to) as staged:
            (staged / "half" if staged.is_dir() else staged).write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert content(to) == before
    assert names(tmp_path) == ["to"]


class Faults:
    """Fails at the calls with these numbers among all that reach the disk."""

    CALLS = ((pathlib.Path, "replace"), (pathlib.Path, "mkdir"), (os, "fsync"), (pathlib.Path, "open"))

    def __init__(self, patch: pytest.MonkeyPatch, fails: Callable[[int, str], bool]) -> None:
        self.count = 0
        for owner, name in self.CALLS:
            patch.setattr(owner, name, self._wrap(getattr(owner, name), name, fails))

    def _wrap(self, call: Any, name: str, fails: Callable[[int, str], bool]) -> Any:
        def wrapped(*args: Any, **more: Any) -> Any:
            number, self.count = self.count, self.count + 1
            if fails(number, name):
                raise OSError(f"step {number}: {name}")
            return call(*args, **more)

        return wrapped


@both
@pytest.mark.parametrize("there", [False, True])
def test_old_or_new_whichever_step_fails(
    old: Callable[[Path], None], put: Callable[[Path], None], there: bool, tmp_path: Path
) -> None:
    def fresh(name: str) -> Path:
        (tmp_path / name).mkdir()
        if there:
            old(tmp_path / name / "to")
        return tmp_path / name / "to"

    to = fresh("whole")
    before = content(to)
    with pytest.MonkeyPatch.context() as patch:
        steps = Faults(patch, lambda number, name: False)
        put(to)
    after = content(to)
    assert steps.count > 4
    failed = 0
    for step in range(steps.count):
        to = fresh(f"step {step}")
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, lambda number, name, step=step: number == step)
            try:
                put(to)
            except OSError:
                failed += 1
        assert content(to) in (before, after), f"step {step}"
        sweep(to.parent)
        assert content(to) in (before, after), f"step {step}"
        assert left(to.parent) == [], f"step {step}"
    assert failed > steps.count // 2


@given(first=st.integers(0, 40), renames=st.booleans())
def test_a_folder_is_never_lost_when_nothing_works_any_more(first: int, renames: bool) -> None:
    """From one step on all fail (a disk was pulled out); the next sweep, on a sound disk, ends it."""
    with tempfile.TemporaryDirectory() as name:
        to = Path(name) / "to"
        old_folder(to)
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, lambda number, call: number >= first and (call == "replace" or not renames))
            with contextlib.suppress(OSError):
                put_folder(to)
        sweep(to.parent)
        assert content(to) in ({"c.txt": OLD}, {"deep/a.txt": NEW, "b.txt": NEW})
        assert left(to.parent) == []


KILLED = """
import os, pathlib, signal, sys
from tests.core.test_atomic import put_file, put_folder
count, at = 0, int(sys.argv[2])
def wrap(call):
    def wrapped(*args, **more):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return call(*args, **more)
    return wrapped
for owner, name in ((pathlib.Path, "replace"), (pathlib.Path, "mkdir"), (os, "fsync")):
    setattr(owner, name, wrap(getattr(owner, name)))
to = pathlib.Path(sys.argv[1])
(put_folder if to.is_dir() else put_file)(to)
print(count)
"""


def killed(to: Path, at: int) -> int | None:
    """Steps of an unbroken run, None if it was killed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(to), str(at)], capture_output=True, check=False)
    return int(done.stdout) if done.returncode == 0 else None


@pytest.mark.slow
@HELD
@both
def test_a_killed_run_is_swept_by_the_next(
    old: Callable[[Path], None], put: Callable[[Path], None], tmp_path: Path
) -> None:
    to = tmp_path / "unbroken" / "to"
    to.parent.mkdir()
    old(to)
    before = content(to)
    steps = killed(to, -1)
    after = content(to)
    assert steps is not None and steps > 2 and after != before
    leftovers = 0
    for step in range(1, steps + 1):
        to = tmp_path / f"killed at {step}" / "to"
        to.parent.mkdir()
        old(to)
        assert killed(to, step) is None
        leftovers += len(left(to.parent))
        write_file(to.parent / "another file", b"")  # any write into this folder sweeps it
        assert content(to) in (before, after), f"killed at {step}"
        assert left(to.parent) == [], f"killed at {step}"
        put(to)
        assert content(to) == after
    assert leftovers > 1


@HELD
@pytest.mark.parametrize("replacing", [replacing_file, replacing_folder])
def test_what_another_writer_works_on_is_not_swept(replacing: Any, tmp_path: Path) -> None:
    with replacing(tmp_path / "mine") as staged:
        write_file(tmp_path / "another", b"another")  # sweeps
        sweep(tmp_path)
        assert staged.exists()
        (staged / "a" if staged.is_dir() else staged).write_bytes(b"mine")
    assert content(tmp_path / "mine") in (b"mine", {"a": b"mine"})


@HELD
def test_a_living_writer_in_another_process_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\nfrom healtheat.core.atomic import replacing_file\n"
        "with replacing_file(pathlib.Path(sys.argv[1])) as staged:\n"
        "    print('ready', flush=True); sys.stdin.readline(); staged.write_bytes(b'whole')\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "to")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        sweep(tmp_path)
        assert len(left(tmp_path)) == 1
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert content(tmp_path / "to") == b"whole"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_without_locks_age_decides(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "fcntl", None)
    leftover = tmp_path / ".healtheat-0123456789abcdef.tmp"
    leftover.mkdir() if kind == "folder" else leftover.touch()
    sweep(tmp_path)
    assert leftover.exists()
    if kind == "folder":  # what lies in it may be younger
        (leftover / "new").mkdir()
    old = leftover.stat().st_mtime - atomic.STALE_S - 60
    os.utime(leftover, (old, old))
    sweep(tmp_path)
    assert leftover.exists() == (kind == "folder")
    for path in leftover.rglob("*"):
        os.utime(path, (old, old))
    if leftover.exists():
        os.utime(leftover, (old, old))
    sweep(tmp_path)
    assert not leftover.exists()
    write_file(tmp_path / "a", b"a")
    put_folder(tmp_path / "b")
    assert left(tmp_path) == []


@both
def test_two_runs_with_the_same_process_id(
    old: Callable[[Path], None],
    put: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a container every run may have the same id: one that was killed must not stop the next."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic, "_discard", lambda work: None)  # as a kill leaves them
            patch.setattr(pathlib.Path, "unlink", lambda path, missing_ok=False: None)
            patch.setattr(pathlib.Path, "replace", _no)
            patch.setattr(atomic, "sweep", lambda folder: None)
            with pytest.raises(OSError, match="killed"):
                put(tmp_path / "to")
    assert len(left(tmp_path)) == 2
    put(tmp_path / "to")
    if os.name != "nt":
        assert names(tmp_path) == ["to"]


def _no(path: Path, target: Path) -> None:
    raise OSError("killed")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("planted", ["file", "link to a file", "link to a folder", "folder", "pipe"])
@both
def test_what_is_planted_at_the_temporary_name_is_not_followed(
    old: Callable[[Path], None],
    put: Callable[[Path], None],
    planted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    name = folder / ".healtheat-0123456789abcdef.tmp"
    plant: dict[str, Callable[[], object]] = {
        "file": lambda: name.write_bytes(b"planted"),
        "link to a file": lambda: name.symlink_to(tmp_path / "mine" / "file"),
        "link to a folder": lambda: name.symlink_to(tmp_path / "mine"),
        "folder": lambda: [name.mkdir(), (name / "ready").write_bytes(b"../mine\0"), (name / "old").mkdir()],
        "pipe": lambda: os.mkfifo(name),
    }
    plant[planted]()
    tokens: Iterator[str] = iter(["0123456789abcdef", "fedcba9876543210"])
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda n: next(tokens))
        patch.setattr(atomic, "sweep", lambda folder: None)  # the worst moment: planted just now
        put(folder / "to")
    assert os.path.lexists(name)
    new = content(folder / "to")
    assert new in (NEW, {"deep/a.txt": NEW, "b.txt": NEW})
    sweep(folder)
    assert names(folder) == ["to"] and content(folder / "to") == new
    assert content(tmp_path / "mine") == {"file": b"mine"}


@pytest.mark.parametrize("name", [b"to", b"..\0", b"../to\0", b"a/b\0", b"\0", b".\0", b"x" * 5000 + b"\0"])
def test_only_a_name_beside_it_that_was_written_whole_is_finished(name: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    work = folder / ".healtheat-0123456789abcdef.tmp"
    for part in ("new", "old"):
        (work / part).mkdir(parents=True)
    (work / "ready").write_bytes(name)
    os.utime(work, (0, 0))
    for path in work.iterdir():
        os.utime(path, (0, 0))
    sweep(folder)
    assert names(folder) == [] and names(tmp_path) == ["folder"]


def test_names_that_only_look_alike_are_left_alone(tmp_path: Path) -> None:
    alike = [".healtheat-0123.tmp", ".healtheat-0123456789ABCDEF.tmp", "healtheat-0123456789abcdef.tmp"]
    for name in alike:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    write_file(tmp_path / "to", NEW)
    assert {file.name for file in tmp_path.iterdir()} == {*alike, "to"}


def test_many_writers_and_sweepers_at_once(tmp_path: Path) -> None:
    """A sweep that meets a file between its creation and its lock must not cost its writer anything."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(25):
                write_file(tmp_path / f"{number}", f"{number} {turn}".encode())
                put_folder(tmp_path / f"folder {number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {p.name for p in tmp_path.iterdir()} == {f"{n}" for n in range(6)} | {
        f"folder {n}" for n in range(6)
    }
    assert all((tmp_path / f"{n}").read_text(encoding="utf-8") == f"{n} 24" for n in range(6))


def test_a_folder_that_cannot_be_listed_stops_nobody(tmp_path: Path) -> None:
    sweep(tmp_path / "not there")
    file = tmp_path / "file"
    file.touch()
    sweep(file)
    assert file.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_in_place_of_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "to").symlink_to(tmp_path / "mine")
    write_file(tmp_path / "to", NEW)
    assert content(tmp_path / "to") == NEW and not (tmp_path / "to").is_symlink()
    assert content(tmp_path / "mine") == b"mine"
