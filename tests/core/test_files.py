"""Files of strangers: what is no plain file, too large, or linked elsewhere is refused at once."""

import ast
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import healtheat
from healtheat.core.append import append_synced
from healtheat.core.errors import InputError
from healtheat.core.files import (
    MAX_HOLES_BYTES,
    Missing,
    NotRegular,
    Unreadable,
    check_regular,
    open_regular,
    read_small,
    read_whole,
    refuse_holes,
)

PACKAGE = Path(healtheat.__file__).parent


def test_the_bytes_and_their_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    content = read_small(tmp_path / "a", 3)
    assert (content.data, content.size, content.sha256[:8]) == (b"abc", 3, "ba7816bf")
    assert read_whole(tmp_path / "a") == b"abc"


def test_a_file_that_is_too_large_or_missing(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    with pytest.raises(Unreadable, match="larger than 2 MiB"):
        read_small(tmp_path / "a", 2 << 20)
    with pytest.raises(Unreadable, match="larger than 100 bytes"):
        read_small(tmp_path / "a", 100)
    with pytest.raises(Missing):
        read_small(tmp_path / "b", 100)
    with pytest.raises(InputError, match="b: not found"):
        read_whole(tmp_path / "b")


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "zero", "socket"):
            with pytest.raises(NotRegular):
                open_regular(tmp_path / name)
            with pytest.raises(Unreadable, match="not a regular file"):
                read_small(tmp_path / name, 100)


@pytest.mark.parametrize("name", ["a\0b", "n" * 300, "round"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(Unreadable, match="cannot be read"):
        read_small(tmp_path / name, 100)


def test_what_is_written_to_is_regular_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "new"):
        check_regular(tmp_path / name)
        append_synced(tmp_path / name, b"x", 0)
    with pytest.raises(NotRegular):
        check_regular(tmp_path / "pipe")
    with pytest.raises(NotRegular):
        append_synced(tmp_path / "pipe", b"x", 0)


def test_links_stay_within_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (home / "plain").write_bytes(b"plain")
    (home / "near").symlink_to("plain")
    (home / "far").symlink_to("../secret")
    (tmp_path / "link").symlink_to(home)
    for name in ("plain", "near"):
        assert read_small(home / name, 100, within=home).data == b"plain"
        assert read_small(tmp_path / "link" / name, 100, within=tmp_path / "link").data == b"plain"
    with pytest.raises(Unreadable, match="leads out of its folder"):
        read_small(home / "far", 100, within=home)
    assert read_small(home / "far", 100).data == b"secret"


# Places that read without core/files.py, and why they may: what they read is ours, or no file of a folder.
RAW = {
    "core/files.py": "the reader itself",
    "core/atomic.py": "locks and syncs what it has just made",
    "commands/_terminal.py": "opens the null device to write to",
    "commands/_quiet.py": "opens the null device, and the standard error, to write to",
    "commands/reference.py": "run by hand on docs/cli.md",
    "crops/grey.py": "an image made in memory",
    "crops/decode.py": "bytes in memory",
    "drawing/make.py": "the demo set it has just written or compared by hash",
    "drawing/render.py": "an image made in memory",
    "drawing/sheet.py": "the demo set it has just written",
    "drawing/truth.py": "the demo set it has just written",
    "index/cache.py": "maps a chunk after the reader has checked it",
    "index/shards.py": "maps a shard after the reader has checked it",
    "index/verdicts/log.py": "cuts the log it holds the lock of",
    "sources/detector/process.py": "the log of the process it has started",
    "sources/detector/worker.py": "the detector's own reader, in a process of its own",
    "view/places.py": "bytes in memory",
}
_WAYS = {
    *("open", "io.open", "os.open", "Image.open", "_open", "tarfile.open", "zipfile.ZipFile", "imread"),
    *("np.load", "np.memmap", "np.fromfile", "np.loadtxt", "np.genfromtxt", "faiss.read_index"),
}


def raw_reads(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that open a file for reading, by a path that they were given."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _WAYS or method in ("read_text", "read_bytes"):
            yield node
        elif method == "open":
            given = [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
            mode = given[0].value if given and isinstance(given[0], ast.Constant) else None
            if not given or (isinstance(mode, str) and set(mode) & {"r", "+"}):
                yield node


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text(encoding='utf-8')", True),
        ("path.open()", True),
        ("path.open(encoding='utf-8')", True),
        ("path.open('rb')", True),
        ("path.open(mode='r')", True),
        ("open(path)", True),
        ("np.load(path)", True),
        ("path.open('ab+')", True),
        ("path.open('wb')", False),
        ("path.open('x', encoding='utf-8')", False),
        ("Index.open(path)", False),
        ("open_regular(path)", False),
    ],
)
def test_raw_reads_are_seen(code: str, found: bool) -> None:
    assert bool(list(raw_reads(ast.parse(code)))) is found


def test_every_file_is_read_by_the_one_reader() -> None:
    raw = {
        file.relative_to(PACKAGE).as_posix(): [ast.unparse(call) for call in calls]
        for file in sorted(PACKAGE.rglob("*.py"))
        if (calls := list(raw_reads(ast.parse(file.read_text(encoding="utf-8")))))
    }
    assert not raw.keys() - RAW.keys(), {name: raw[name] for name in raw.keys() - RAW.keys()}
    assert not RAW.keys() - raw.keys(), "reads no more by itself: take it off the list"


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="no holes are told here")
def test_a_file_of_holes_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 5000)
    with file.open("rb") as opened:
        refuse_holes(opened, file)
        assert opened.tell() == 0
    for size, refused in ((MAX_HOLES_BYTES // 2, False), (1 << 42, True)):
        os.truncate(file, size)
        with file.open("rb+") as opened:
            opened.seek(size - 1)
            opened.write(b"x")
        with (
            file.open("rb") as opened,
            pytest.raises(OSError) if refused else contextlib.nullcontext() as told,
        ):
            refuse_holes(opened, file)
        assert not refused or "never written" in str(told.value)
