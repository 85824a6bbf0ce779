"""Which index is meant, and where a new one goes."""

import os
from pathlib import Path

import pytest

from healtheat.core.errors import InputError
from healtheat.index.locate import built_indexes, default_folder, index_folder, verify_folder


def manifest(folder: Path, at: int) -> Path:
    folder.mkdir(parents=True)
    file = folder / "manifest.json"
    file.write_text("{}", encoding="utf-8")
    os.utime(file, (at, at))
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_index_built_last_is_meant_where_none_is_named(here: Path) -> None:
    with pytest.raises(InputError, match="no index under index"):
        index_folder()
    manifest(here / "index/z-old", 1000)
    manifest(here / "index/a-new", 2000)
    (here / "index/no-index").mkdir()
    assert built_indexes() == [Path("index/z-old"), Path("index/a-new")]
    assert index_folder() == Path("index/a-new")
    assert index_folder("index/z-old") == Path("index/z-old")
    with pytest.raises(
        InputError, match=r"absent: no such folder; run `healtheat build DATA --index absent`"
    ):
        index_folder("absent")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("pills/data.yaml", "pills"),
        ("pills/pills-v2.yaml", "pills-v2"),
        ("annotations.json", "annotations"),
        ("한국 알약/data.yaml", "한국_알약"),
        ("._/data.yaml", "data"),
    ],
)
def test_an_index_is_named_after_its_data_set(data: str, name: str) -> None:
    assert default_folder(Path(data), Path(data)) == Path("index") / name


def test_a_folder_is_its_own_name(here: Path) -> None:
    (here / "shelf.1").mkdir()
    assert default_folder(Path("shelf.1"), Path("shelf.1")) == Path("index/shelf.1")


def test_a_damaged_index_is_reported_not_raised(here: Path) -> None:
    report = verify_folder(manifest(here / "index/broken", 1000))
    assert report.index == here / "index/broken"
    assert len(report.damage) == 1 and "manifest.json" in report.damage[0]
