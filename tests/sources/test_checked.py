"""A format that checks nothing: what no index can hold becomes a problem; a failed build leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.core.boxes import Boxes, Problem
from healtheat.core.errors import InputError
from healtheat.index import Index
from healtheat.sources.base import Edits, LabelFile, LabelledImage, Record
from healtheat.sources.checked import checked
from tests.index.small_set import FakeEncoder

PLACE = [0.5, 0.5, 0.2, 0.2]


class Careless:
    """Hands over the images and files it is given, whatever they hold."""

    kind = "careless"
    names = {-1: "none", 7: "seven"}  # noqa: RUF012

    def __init__(self, folder: Path, *records: Record) -> None:
        self.data = self.root = folder
        self.records = records
        self.edits: Edits = "none"

    def read(self) -> Iterator[Record]:
        yield from self.records


class Overflowing(Careless):
    def read(self) -> Iterator[Record]:
        yield from self.records
        Boxes.of([0], [2**63], [PLACE])


@pytest.fixture
def good(tmp_path: Path) -> LabelledImage:
    (tmp_path / "set").mkdir()
    file = tmp_path / "set" / "a.png"
    Image.new("RGB", (40, 30), "red").save(file)
    return LabelledImage("a.png", file, "", "labelled", "l.txt", Boxes.of([0], [7], [PLACE]))


def built(source: Careless, to: Path) -> list[tuple[str, str, int | None]]:
    """Code, file and line of the problems of an index that holds one box of class 7."""
    build(source, to, encoder=FakeEncoder(), signals=())
    with Index.open(to) as index:
        assert index.verify() == []
        assert index.boxes().class_id.tolist() == [7] and dict(index.names) == {7: "seven"}
        return [(p.code, p.file, p.line) for p in index.problems()]


@pytest.mark.parametrize(
    ("line", "class_id", "place"),
    [
        (1, -1, PLACE),
        (1, -(2**63), PLACE),
        (1, 2**31, PLACE),
        (-1, 7, PLACE),
        (1, 7, [0.5, float("nan"), 0.2, 0.2]),
        (1, 7, [0.5, 0.5, 0, 0.2]),
    ],
)
def test_a_box_that_is_none(
    good: LabelledImage, tmp_path: Path, line: int, class_id: int, place: list[float]
) -> None:
    boxes = Boxes.of([0, line], [7, class_id], [PLACE, place])
    source = Careless(tmp_path / "set", replace(good, boxes=boxes))
    expected = ("bad_line", "l.txt", line if line >= 0 else None)
    assert built(source, tmp_path / "index") == [expected]


def test_each_box_is_told_by_its_own_file(good: LabelledImage, tmp_path: Path) -> None:
    boxes = Boxes.of([0, 1, 2], [-1, 7, -5], [PLACE] * 3)
    files = ("1.json", "2.json", "3.json")
    source = Careless(tmp_path / "set", replace(good, boxes=boxes, box_label_path=files))
    assert built(source, tmp_path / "index") == [("bad_line", "1.json", 0), ("bad_line", "3.json", 2)]


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../a.png"},
        {"path": "x/../../a.png"},
        {"path": "/elsewhere/a.png"},
        {"path": ""},
        {"path": "a\n.png"},
        {"path": "\ud800.png"},
        {"label_path": "../l.txt"},
        {"box_label_path": ("x/../../l.txt",)},
    ],
    ids=str,
)
def test_a_path_that_leads_elsewhere(good: LabelledImage, tmp_path: Path, change: dict[str, str]) -> None:
    source = Careless(tmp_path / "set", good, replace(good, **change))  # type: ignore[arg-type]
    ((code, _, line),) = built(source, tmp_path / "index")
    assert (code, line) == ("bad_path", None)


def test_an_absolute_path_is_fine_where_the_image_lies(good: LabelledImage, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    outside = replace(good, path=good.file.as_posix())
    assert built(Careless(tmp_path / "other", outside), tmp_path / "index") == []


def test_a_label_file_that_leads_elsewhere_is_not_kept(good: LabelledImage, tmp_path: Path) -> None:
    source = Careless(tmp_path / "set", good, LabelFile("../l.txt", "0" * 64, 3))
    assert built(source, tmp_path / "index") == [("bad_path", "../l.txt", None)]


@pytest.mark.parametrize("before", [False, True], ids=["new", "rebuilt"])
def test_a_failed_build_leaves_nothing_behind(good: LabelledImage, tmp_path: Path, before: bool) -> None:
    to = tmp_path / "index"
    if before:
        built(Careless(tmp_path / "set", good), to)
    with pytest.raises(InputError, match=r"set: holds a number that no index can keep"):
        build(Overflowing(tmp_path / "set", good), to, encoder=FakeEncoder(), signals=())
    with pytest.raises(InputError, match=r"no labelled box found.*l\.txt:1: class id -1"):
        bad = replace(good, boxes=Boxes.of([0], [-1], [PLACE]))
        build(Careless(tmp_path / "set", bad), to, encoder=FakeEncoder(), signals=())
    assert not (to / ".staging").exists()
    assert (to / "manifest.json").exists() == before


TRIANGLE = np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.6]])


def test_an_outline_that_no_index_can_hold_leaves_its_box(tmp_path: Path, good: LabelledImage) -> None:
    endless = np.tile(TRIANGLE, (400, 1))
    places, corners = [PLACE] * 3, [endless, TRIANGLE, TRIANGLE + 3]
    boxes = Boxes.of([0, 1, 2], [7, 7, 7], places, corners=corners)
    source = Careless(tmp_path / "set", replace(good, boxes=boxes))
    build(source, tmp_path / "index", encoder=FakeEncoder(), signals=())
    with Index.open(tmp_path / "index") as index:
        told = [(p.code, p.line, p.reason) for p in index.problems()]
        assert [(code, line) for code, line, _ in told] == [("shape_left_out", 0), ("shape_left_out", 2)]
        assert told[0][2] == "an outline of 1,200 points, more than the 1,000 that are kept; its box is kept"
        found = index.boxes().corners
        assert found[0] is None and found[2] is None and found[1].tolist() == TRIANGLE.tolist()


def test_outlines_stop_where_their_room_ends(
    tmp_path: Path, good: LabelledImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healtheat.sources.checked.MOST_NUMBERS", 15)
    records = []
    for name in ("a.png", "b.png", "c.png"):
        boxes = Boxes.of([0, 1], [7, 7], [PLACE, PLACE], corners=[None, TRIANGLE])
        file = tmp_path / "set" / name
        if name != "a.png":
            file.write_bytes(good.file.read_bytes())
        records.append(replace(good, path=name, file=file, label_path=f"{name}.txt", boxes=boxes))
    read = list(checked(Careless(tmp_path / "set", *records)))
    images = [record for record in read if isinstance(record, LabelledImage)]
    assert [len(image.boxes) for image in images] == [2, 2, 2]
    assert [image.boxes.corners[1] is None for image in images] == [False, False, True]
    (told,) = [record for record in read if isinstance(record, Problem)]
    assert (told.code, told.file, told.line) == ("shape_left_out", "c.png.txt", 1)
    assert told.reason == "more than 7 points; from here on only boxes are kept"
