"""Boxes that a person added or moved: in copies and lists to train on, never in place."""

import csv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from healtheat.cleanup import Figures
from healtheat.cleanup.copy import write_copy
from healtheat.cleanup.edits import edited, moved_line
from healtheat.cleanup.inplace import apply_in_place
from healtheat.cleanup.plan import plan_labels, plan_training
from healtheat.cleanup.training import write_training
from healtheat.core.verdicts import Place
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.cleanup.small_yolo import DATA_YAML, tree
from tests.made_index import MadeIndex

NAMES = {3: "a", 40: "b"}
SPOT, NEW, MOVED = (0.7, 0.7, 0.2, 0.2), (0.72, 0.7, 0.2, 0.19), (0.31, 0.5, 0.3, 0.125)
LABELS = {
    "images/train/a.jpg": ["3 0.3 0.5 0.25 0.125", "40 0.6 0.2 0.1 0.1"],
    "images/train/b.jpg": ["3 0.5 0.5 0.2 0.2"],
    "images/val/c.jpg": ["40 0.5 0.5 0.2 0.2"],
    "images/val/empty.jpg": [],
}
RAW = {"images/train/a.jpg": b"3 .3  0.50 0.25 0.125\r\n40 0.6 0.2 0.1 0.1"}
AFTER = b"3 0.31  0.50 0.3 0.125\r\n40 0.6 0.2 0.1 0.1\r\n40 0.72 0.7 0.2 0.19"
FINDINGS: list[dict[str, Any]] = [
    {"image": "images/train/a.jpg", "line": -1, "issue": "missing_box", "score": 0.9, "class_id": 3}
    | dict(zip(("cx", "cy", "w", "h"), SPOT, strict=True)),
    {"image": "images/train/a.jpg", "line": 0, "issue": "bad_box", "score": 0.8},
    {"image": "images/train/b.jpg", "line": 0, "issue": "background", "score": 0.8},
]


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    images = {}
    for n, path in enumerate(LABELS):
        file = tmp_path / f"{n}.png"
        Image.effect_noise((10, 10), 50 + n).save(file)
        images[path] = file.read_bytes()
    made = MadeIndex(
        tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=LABELS, findings=FINDINGS,
        raw_labels=RAW, pixels=images,
    )  # fmt: skip
    (made.root / "data.yaml").write_text(DATA_YAML.replace("kpt_shape: [4, 2]\n", ""), encoding="utf-8")
    return made


def add(index: MadeIndex, image: int, about: Place, box: Place, to: int) -> None:
    new = NewVerdict("missing_box", "added", "김", image_id=image, about=about, box=box, relabel_to=to)
    index.judging.append(new)


@pytest.fixture
def decided(index: MadeIndex) -> MadeIndex:
    add(index, 0, SPOT, NEW, 40)
    index.judging.append(NewVerdict("bad_box", "moved", "김", box_id=0, box=MOVED))
    add(index, 3, SPOT, SPOT, 3)  # drawn on an image without a box
    return index


def listed(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_copy_has_them(decided: MadeIndex, tmp_path: Path) -> None:
    before = tree(decided.root)
    plan = plan_labels(decided, copied=True)
    write_copy(plan, tmp_path / "copy")
    assert tree(decided.root) == before
    assert (tmp_path / "copy/labels/train/a.txt").read_bytes() == AFTER
    assert (tmp_path / "copy/labels/val/empty.txt").read_bytes() == b"3 0.7 0.7 0.2 0.2\n"
    assert (tmp_path / "copy/labels/train/b.txt").read_bytes() == b"3 0.5 0.5 0.2 0.2\n"
    rows = listed(tmp_path / "copy/healtheat-apply/boxes.csv")
    assert [(row["image"], row["verdict"], row["class_id"], row["written"]) for row in rows] == [
        ("images/train/a.jpg", "added", "40", "true"),
        ("images/train/a.jpg", "moved", "3", "true"),
        ("images/val/empty.jpg", "added", "3", "true"),
    ]
    assert Figures.of(plan).boxes_placed == (3, 3)


def test_lists_to_train_on_have_them(decided: MadeIndex, tmp_path: Path) -> None:
    before = tree(decided.root)
    plan = plan_training(decided, Filters(issues="background"), drop="boxes")  # no filter leaves them out
    write_training(plan, tmp_path / "lists")
    assert tree(decided.root) == before
    assert (tmp_path / "lists/edited/labels/train/a.txt").read_bytes() == AFTER
    assert (tmp_path / "lists/edited/labels/val/empty.txt").read_bytes() == b"3 0.7 0.7 0.2 0.2\n"
    assert [image.path for image in plan.images if image.left_out] == ["images/train/b.jpg"]
    assert "images/train/a.jpg" in (tmp_path / "lists/train.txt").read_text(encoding="utf-8")


def test_in_place_they_are_listed_only(decided: MadeIndex) -> None:
    before = tree(decided.root)
    decided.judging.append(NewVerdict("background", "drop", "김", box_id=2))
    plan = plan_labels(decided)
    run = apply_in_place(plan)
    changed = {name for name, sha256 in tree(decided.root).items() if before[name] != sha256}
    assert changed == {"labels/train/b.txt"}
    assert {row["written"] for row in listed(run.folder / "boxes.csv")} == {"false"}
    assert Figures.of(plan).boxes_placed == (0, 3)


def test_an_image_that_goes_takes_them_along(decided: MadeIndex) -> None:
    decided.judging.append(NewVerdict("background", "drop", "김", box_id=0))  # and the box is moved no more
    (image, *_) = plan_labels(decided, copied=True).images
    assert image.lines_out == {0} and image.moved == () and image.added == ((40, NEW),)
    decided.judging.append(NewVerdict("missing_box", "drop", "김", image_id=0, about=(0.1, 0.1, 0.1, 0.1)))
    assert plan_labels(decided, copied=True).images[0].added, "a spot that nobody finds any more says nothing"


def test_the_last_box_goes_and_another_is_added(index: MadeIndex) -> None:
    index.judging.append(NewVerdict("background", "drop", "김", box_id=2))
    assert plan_labels(index, copied=True).images[1].left_out == "no box is left"
    add(index, 1, SPOT, SPOT, 3)
    plan = plan_labels(index, copied=True)
    assert (plan.images[1].left_out, plan.emptied) == ("", [])


def test_what_cannot_be_written_is_held_back(decided: MadeIndex) -> None:
    add(decided, 1, (0.5, 0.51, 0.2, 0.2), (0.5, 0.51, 0.2, 0.2), 3)  # the labels hold it: it is done
    decided.manifest = decided.manifest.model_copy(update={"settings": {"task": "segment"}})
    plan = plan_labels(decided, copied=True)
    assert [(box.image, box.verdict) for box in plan.placed] == [("images/train/a.jpg", "moved")]
    assert {row.why for row in plan.held_back} == {
        "label files of this task hold no plain boxes; draw it in the annotation tool"
    }


@pytest.mark.parametrize(
    ("line", "place", "after"),
    [
        (b"3 .5 .50 1e-1 0.1\n", (0.5, 0.5, 0.1, 0.2), b"3 .5 .50 1e-1 0.2\n"),
        (b"\t03\t.5 .5 .1  .1 0.9 7\r\n", (0.25, 0.5, 0.1, 0.1), b"\t03\t0.25 .5 .1  .1 0.9 7\r\n"),
        (b"\xef\xbb\xbf3 .5 .5 .1 .1", (0.4, 0.4, 0.4, 0.4), b"\xef\xbb\xbf3 0.4 0.4 0.4 0.4"),
    ],
)
def test_a_moved_line_keeps_every_other_byte(line: bytes, place: Place, after: bytes) -> None:
    assert moved_line(line, place) == after
    assert edited(line, (), {0: place}) == after
    with pytest.raises(ValueError, match="five fields"):
        moved_line(b"3 0.5 0.5", place)
