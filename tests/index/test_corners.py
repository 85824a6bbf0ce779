"""Corners in the catalog: exact, of whoever has some, and checked when they are read."""

from pathlib import Path

import duckdb
import pytest

from healtheat.building.build import build
from healtheat.core.errors import BadIndex
from healtheat.findings.score import rescore
from healtheat.index import Index
from healtheat.signals.geometry import Geometry
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, write_set

POLYGON = [[0.1, 0.1], [0.35, 0.1], [0.2, 0.45]]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The small set with one polygon."""
    data = write_set(tmp_path / "set", images=4)
    label = sorted(data.parent.glob("train/labels/*.txt"))[0]
    points = " ".join(str(value) for point in POLYGON for value in point)
    label.write_text(f"{label.read_text(encoding='utf-8')}3 {points}\n", encoding="utf-8")
    build(YoloSource(data), tmp_path / "index", encoder=FakeEncoder(), signals=(Geometry(),))
    return tmp_path / "index"


def corners(index: Path) -> dict[int, object]:
    """Line → corners, of the boxes that have some."""
    with Index.open(index) as opened:
        boxes = opened.boxes()
        assert opened.verify() == []
        given = zip(boxes.line.tolist(), boxes.corners, strict=True)
        return {line: outline.tolist() for line, outline in given if outline is not None}


def test_they_come_out_as_they_went_in_and_stay_when_scored_again(index: Path) -> None:
    assert corners(index) == {3: POLYGON}
    rescore(index, signals=(Geometry(),))
    assert corners(index) == {3: POLYGON}
    with Index.open(index) as opened:
        (found,) = opened.sql("SELECT corners FROM boxes WHERE corners IS NOT NULL")["corners"].to_pylist()
        assert found == [value for point in POLYGON for value in point]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[0.1, 0.2, 0.3]", "an odd number"),
        ("[0.1, 0.2, 0.3, 0.4]", "2 points"),
        ("[0.1, 0.2, 0.3, 0.4, NULL, 0.5]", "leaves its image"),
        ("[0.1, 0.2, 0.3, 0.4, 'nan'::DOUBLE, 0.5]", "leaves its image"),
        ("[0.1, 0.2, 0.3, 0.4, 1e300, 0.5]", "leaves its image"),
        ("array_resize([0.5], 2002, 0.5)", "1,001 points"),
    ],
)
def test_what_a_stranger_wrote_is_no_outline(index: Path, value: str, reason: str) -> None:
    connection = duckdb.connect(str(index / "catalog.duckdb"))
    connection.execute(f"UPDATE boxes SET corners = {value} WHERE box_id = 1")
    connection.close()
    with Index.open(index, verify=False) as opened, pytest.raises(BadIndex, match=f"box 1: .*{reason}"):
        opened.boxes()
