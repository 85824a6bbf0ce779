"""Diffs that `git apply` and `patch` take, back and forth, whatever the bytes and names are."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.exporting.patch.unified import Row, unified

PATCH = shutil.which("patch")
NAMES = (
    "labels/plain.txt",
    "labels/한 글.txt",
    'labels/a "quoted" name.txt',
    "labels/tab\there.txt",
    "labels/back\\slash.txt",
    "labels/ends with space .txt",
    "labels/#-@ $(x) `y`.txt",
)
names = pytest.mark.parametrize("name", NAMES)


def tools() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if shutil.which("git"):
        found.append(("git", "apply", "--whitespace=nowarn"))
    if PATCH:
        found.append((PATCH, "--batch", "--silent", "-p1", "-i"))
    if not found:
        pytest.skip("neither git nor patch")
    return found


def applied(tool: tuple[str, ...], folder: Path, patch: bytes, *, back: bool = False) -> None:
    file = folder / "the.patch"
    file.write_bytes(patch)
    reverse = ["-R"] if back else []
    command = [tool[0], *(["apply", *reverse, *tool[2:]] if tool[0] == "git" else [*reverse, *tool[1:]])]
    done = subprocess.run([*command, file.name], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr, patch)


def check(folder: Path, name: str, pieces: list[Row]) -> None:
    """Applied, the file is the new one; taken back, the old one."""
    before, after = (b"".join(row[side] for row in pieces) for side in (0, 1))
    patch = unified(name, pieces)
    assert bool(patch) == (before != after)
    for tool in tools() if patch else ():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(before)
        applied(tool, folder, patch)
        assert file.read_bytes() == after, (tool, patch)
        applied(tool, folder, patch, back=True)
        assert file.read_bytes() == before, (tool, patch)


@names
def test_names_are_quoted_as_git_quotes_them(name: str, tmp_path: Path) -> None:
    check(tmp_path, name, [(b"1 a\n", b"2 a\n"), (b"1 b\n", b"")])


LINES = st.sampled_from(
    (b"3 0.5 0.5 0.1 0.1", b"12 .2 .2 .1 .1 ", b"\xff\xfe bytes", b"", b"--- a/x", b"\t7 0")
)
ENDS = st.sampled_from((b"\n", b"\n", b"\r\n", b"\r"))
KINDS = st.sampled_from(("same", "same", "same", "drop", "other"))


@st.composite
def files(draw: st.DrawFn) -> list[Row]:
    """Physical lines with every end, some changed, some gone; the last may have no end."""
    rows: list[Row] = []
    count = draw(st.integers(1, 20))
    for at in range(count):
        line = draw(LINES)
        end = draw(ENDS) if at < count - 1 or draw(st.booleans()) else b""
        kind = draw(KINDS)
        after = {"same": line + end, "drop": b"", "other": b"9" + line + end}[kind]
        rows.append((line + end, after))
    return [(old, new) for old, new in rows if old]


@settings(max_examples=40)
@given(files())
def test_any_file_there_and_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[Row]) -> None:
    check(tmp_path_factory.mktemp("any"), "labels/정 1.txt", pieces)


def test_nothing_changed_is_no_diff() -> None:
    assert unified("a.txt", [(b"1\n", b"1\n"), (b"2", b"2")]) == unified("a.txt", []) == b""


def test_far_changes_are_two_hunks() -> None:
    pieces = [(b"%d\n" % n, b"x\n" if n in (2, 30) else b"%d\n" % n) for n in range(40)]
    assert unified("a.txt", pieces).count(b"@@ -") == 2
    near = [(b"%d\n" % n, b"x\n" if n in (2, 9) else b"%d\n" % n) for n in range(40)]
    assert unified("a.txt", near).count(b"@@ -") == 1


def test_it_applies_in_a_folder_below_the_top_of_a_repository(tmp_path: Path) -> None:
    if not shutil.which("git"):
        pytest.skip("no git")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    check(tmp_path / "sets/pills", "labels/a.txt", [(b"1\n", b"2\n")])
