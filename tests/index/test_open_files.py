"""Windows replaces no file that a program holds open: what was there stays, and the next run finishes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.core.atomic import replacing_folder, write_file
from healtheat.core.errors import IndexBusy
from healtheat.index import Index
from healtheat.index.manifest import CATALOG_NAME
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set

Hold = Callable[[Path], None]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Makes a path one that another program holds open, as Windows sees it."""
    held: set[Path] = set()
    real = Path.replace

    def replace(source: Path, target: Path) -> Path:
        if {source, Path(target)} & held:
            raise PermissionError(errno.EACCES, "Access is denied", os.fspath(source), 5, os.fspath(target))
        return real(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    return held.add


def test_a_file_stays_as_it_was(hold: Hold, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    write_file(file, b"old")
    hold(file)
    with pytest.raises(PermissionError) as caught:
        write_file(file, b"new")
    assert "list.txt" in str(caught.value)
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_a_folder_stays_as_it_was(hold: Hold, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    with replacing_folder(folder) as new:
        (new / "a").write_bytes(b"old")
    hold(folder)
    with pytest.raises(PermissionError), replacing_folder(folder) as new:
        (new / "a").write_bytes(b"new")
    assert (folder / "a").read_bytes() == b"old" and list(tmp_path.iterdir()) == [folder]


def test_an_index_that_is_read_is_told_and_finished_later(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, data = tmp_path / "index", write_set(tmp_path / "set", images=4)
    build(open_source(data), index, encoder=FakeEncoder())
    next((tmp_path / "set" / "train" / "images").iterdir()).unlink()
    with monkeypatch.context():
        hold(index / CATALOG_NAME)
        with pytest.raises(IndexBusy, match="is open in another program"):
            build(open_source(data), index, encoder=FakeEncoder())
    monkeypatch.undo()
    with Index.open(index) as opened:  # moves what was ready
        assert opened.manifest.counts.images == 3 and opened.verify() == []
