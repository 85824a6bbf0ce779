"""Walking a folder: what cannot be used is one problem of its own, and the rest stays."""

import os
from pathlib import Path

import pytest

from healtheat.sources.files import walk


def walked(folder: Path) -> tuple[list[str], dict[str, str]]:
    bad: dict[str, str] = {}
    files = [
        path.relative_to(folder).as_posix()
        for path in walk(folder, lambda path, reason: bad.update({path.name: reason}))
    ]
    return files, bad


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "sub/b.jpg", "z.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_link_to_itself_is_one_problem(folder: Path) -> None:
    (folder / "m.jpg").symlink_to("m.jpg")
    (folder / "sub" / "one").symlink_to("two")
    (folder / "sub" / "two").symlink_to("one")
    files, bad = walked(folder)
    assert files == ["a.jpg", "sub/b.jpg", "z.jpg"]
    assert set(bad) == {"m.jpg", "one", "two"}
    assert all("cannot be looked at" in reason for reason in bad.values())


def test_pipes_and_links_into_itself(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "sub" / "again").symlink_to("..")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    files, bad = walked(folder)
    assert files == ["a.jpg", "gone.jpg", "sub/b.jpg", "z.jpg"]  # reading tells that gone.jpg is not there
    assert bad == {
        "pipe.jpg": "neither a file nor a folder",
        "again": "folder linked into itself; not followed",
    }
