"""The main job on real data: every box is there, class ids are exact, the data set is never touched."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from healtheat.cli import run

BOXES = 1383
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(shared: Path) -> Iterator[Path]:
    """The data set; when all tests of this file are through, every byte must be as before."""
    folder = shared / "data" / "pushin-pill"
    before = hashes(folder)
    assert len(before) > 500
    yield folder
    assert hashes(folder) == before


@pytest.fixture
def index(pushin_index: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("HEALTHEAT_INDEX", raising=False)
    return str(pushin_index)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def labels(folder: Path) -> dict[tuple[str, int], int]:
    """(image, line) → class id, read without healtheat."""
    found = {}
    for image in sorted((folder / "images").rglob("*.*")):
        label = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
        for number, line in enumerate(label.read_text(encoding="utf-8").splitlines()):
            if line.strip():
                found[image.relative_to(folder).as_posix(), number] = int(line.split()[0])
    return found


def test_csv_has_every_box_with_its_own_class_id(data: Path, index: str, capsys: Capture) -> None:
    assert run(["query", "--index", index, "--all", "--format", "csv"]) == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""), strict=True)]
    found = {(row["image"], int(row["line"])): int(row["class_id"]) for row in rows if int(row["line"]) >= 0}
    assert len(found) == BOXES
    assert found == labels(data)


def test_exports_hold_the_same_boxes(data: Path, index: str, tmp_path: Path, capsys: Capture) -> None:
    import pyarrow.parquet as pq

    parquet = tmp_path / "all.parquet"
    assert run(["export", "--index", index, "--all", "--to", str(parquet)]) == 0
    rows = [row for row in pq.read_table(parquet).to_pylist() if row["line"] >= 0]
    assert {(row["image"], row["line"]): row["class_id"] for row in rows} == labels(data)


@pytest.mark.parametrize("drop", ["images", "boxes", "mask"])
def test_cleanup_keeps_ids_and_lines(
    data: Path, index: str, drop: str, tmp_path: Path, capsys: Capture
) -> None:
    to = tmp_path / "cleanup"
    command = ["export", "--index", index, "--to", str(to), "--format", "yolo", "--drop", drop]
    assert run(command) == 0
    assert not to.exists(), "a dry run writes nothing"
    assert "dry run" in capsys.readouterr().out
    assert run([*command, "--write", "--max-share", "1"]) == 0
    with (to / "left_out.csv").open(encoding="utf-8", newline="") as file:
        left = [*csv.DictReader(file)]
    assert left
    gone = {row["image"] for row in left if row["left_out"] == "image"}
    lines = {(row["image"], int(row["line"])) for row in left if row["left_out"] == "box"}
    expected = {key: c for key, c in labels(data).items() if key[0] not in gone and key not in lines}
    kept: list[tuple[str, str]] = []
    for split in ("train", "val", "test"):
        for image in map(Path, (to / f"{split}.txt").read_text(encoding="utf-8").splitlines()):
            base = to / "edited" if to in image.parents else data
            label = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
            name = image.relative_to(base).as_posix()
            kept += [(name, line) for line in label.read_text(encoding="utf-8").splitlines()]
    original = [(image, label_line(data, image, number)) for (image, number) in expected]
    assert sorted(kept) == sorted(original)


def label_line(folder: Path, image: str, number: int) -> str:
    label = (folder / image.replace("images/", "labels/", 1)).with_suffix(".txt")
    return label.read_text(encoding="utf-8").splitlines()[number]


def test_broken_yaml_is_one_line(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["build", str(data / "data.upstream-broken.yaml")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "data.upstream-broken.yaml:" in shown.err
    assert not [*tmp_path.iterdir()]
