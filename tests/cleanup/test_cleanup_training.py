"""A cleanup leaves out what it says and nothing else; sources stay as they are; training reads the lists."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.cleanup import Plan, plan_training, write_training
from healtheat.core.atomic import is_temporary
from healtheat.core.drop import Drop
from healtheat.core.errors import InputError
from healtheat.core.lines import listable
from healtheat.core.paths import yolo_label_path
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

NAMES = {3: "타이레놀", 7: "advil", 40: "advil: gel"}
BOX = "0.5 0.5 0.25 0.125"
LABELS = {
    "images/train/a.jpg": [f"3 0.1 {BOX[4:]}", f"7 0.2 {BOX[4:]}", f"40 0.3 {BOX[4:]}"],
    "images/train/deep/a.jpg": [f"3 {BOX}"],
    "images/train/가 나.jpg": [f"7 0.1 {BOX[4:]}", "7 nan 0.5 0.1 0.1", f"7 0.2 {BOX[4:]}"],
    "images/train/empty.jpg": [],
    "images/val/a.jpg": [f"40 {BOX}", f"40 0.1 {BOX[4:]}"],
    "images/val/clean.jpg": [f"3 {BOX}"],
}
FINDINGS = [
    {"image": "images/train/a.jpg", "line": 1, "issue": "mislabel", "score": 0.9},
    {"image": "images/train/a.jpg", "line": 1, "issue": "bad_box", "score": 0.8},
    {"image": "images/train/a.jpg", "line": 2, "issue": "outlier", "score": 0.2, "flagged": False},
    {"image": "images/train/deep/a.jpg", "line": 0, "issue": "background", "score": 0.7},
    {"image": "images/train/가 나.jpg", "line": 1, "issue": "unreadable", "score": 1.0},
    {"image": "images/val/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box", "score": 1.0},
]
PROBLEMS = [("labels/train/가 나.txt", 1, "x is nan, not a finite number")]


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    return MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels=LABELS,
        findings=FINDINGS,
        problems=PROBLEMS,
    )


def plan_of(index: MadeIndex, drop: Drop = "images", **filters: Any) -> Plan:
    return plan_training(index, Filters(**filters), drop=drop)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def listed(folder: Path, split: str) -> list[str]:
    return (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines()


def test_images_mode(index: MadeIndex, tmp_path: Path) -> None:
    before = tree(index.root)
    to = tmp_path / "cleanup"
    plan = plan_of(index)
    assert not to.exists()
    assert {image.path: image.left_out for image in plan.images} == {
        "images/train/a.jpg": "bad_box, mislabel",
        "images/train/deep/a.jpg": "background",
        "images/train/가 나.jpg": "unreadable",
        "images/train/empty.jpg": "",
        "images/val/a.jpg": "missing_box",
        "images/val/clean.jpg": "",
    }
    assert plan.by_split() == {"train": (1, 4), "val": (1, 2)}
    assert plan.boxes == {3: (1, 3), 7: (0, 3), 40: (0, 3)}
    names = write_training(plan, to)
    assert sorted(names) == sorted(file.name for file in to.iterdir())
    assert listed(to, "train") == [(index.root / "images/train/empty.jpg").as_posix()]
    assert listed(to, "val") == [(index.root / "images/val/clean.jpg").as_posix()]
    assert yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8")) == {
        "train": "train.txt",
        "val": "val.txt",
        "names": NAMES,
    }
    left = read_csv(to / "left_out.csv")
    assert [(r["image"], r["line"], r["class_id"], r["issue"], r["left_out"]) for r in left] == [
        ("images/train/a.jpg", "1", "7", "bad_box", "image"),
        ("images/train/deep/a.jpg", "0", "3", "background", "image"),
        ("images/train/가 나.jpg", "1", "", "unreadable", "image"),
        ("images/val/a.jpg", "-1", "3", "missing_box", "image"),
    ]
    assert [r["also"] for r in left] == ["mislabel", "", "", ""], "a box goes once"
    assert len(listed(to, "left_out_images")) == 4
    assert tree(index.root) == before


def test_boxes_mode_keeps_the_other_lines_byte_for_byte(index: MadeIndex, tmp_path: Path) -> None:
    label = index.root / "labels/train/a.txt"
    odd = b"3 0.1 0.5 0.250 0.125\r\n\r\n  7\t0.2 0.5 0.25 0.125  \r40 0.3 0.5 0.25 0.125"
    before = tree(index.root)
    to = tmp_path / "cleanup"
    write_training(plan_of(index, "boxes"), to)
    inside = to / "edited"
    lines = LABELS["images/train/a.jpg"]
    assert (inside / "labels/train/a.txt").read_bytes() == f"{lines[0]}\n{lines[2]}\n".encode()
    lines = LABELS["images/train/가 나.jpg"]
    assert (inside / "labels/train/가 나.txt").read_bytes() == f"{lines[0]}\n{lines[2]}\n".encode()
    assert listed(to, "train") == [
        (inside / "images/train/a.jpg").as_posix(),
        (inside / "images/train/가 나.jpg").as_posix(),
        (index.root / "images/train/empty.jpg").as_posix(),
    ]
    assert (inside / "images/train/a.jpg").read_bytes() == (index.root / "images/train/a.jpg").read_bytes()
    plan = plan_of(index, "boxes")
    assert {i.path: i.left_out for i in plan.images if i.left_out} == {
        "images/train/deep/a.jpg": "no box is left",
        "images/val/a.jpg": "missing_box",
    }
    assert plan.boxes == {3: (2, 3), 7: (2, 3), 40: (1, 3)}
    assert tree(index.root) == before
    assert label.read_bytes() != odd


@pytest.mark.slow
@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=4, max_size=4), st.booleans())
@settings(max_examples=10, deadline=None)
def test_any_line_end_survives(
    tmp_path_factory: pytest.TempPathFactory, ends: Sequence[bytes], last: bool
) -> None:
    folder = tmp_path_factory.mktemp("ends")
    lines = [f"3 0.{n} 0.5 0.25 0.125" for n in range(1, 5)]
    finding = {"image": "images/train/a.jpg", "line": 2, "issue": "background", "score": 1.0}
    index = MadeIndex(
        folder / "index",
        names=NAMES,
        root=folder / "data",
        labels={"images/train/a.jpg": lines},
        findings=[finding],
        raw_labels={
            "images/train/a.jpg": b"".join(
                line.encode() + (end if n < 3 or last else b"")
                for n, (line, end) in enumerate(zip(lines, ends, strict=True))
            )
        },
    )
    write_training(plan_of(index, "boxes"), folder / "out")
    expected = b"".join(
        line.encode() + (end if n < 3 or last else b"")
        for n, (line, end) in enumerate(zip(lines, ends, strict=True))
        if n != 2
    )
    assert (folder / "out/edited/labels/train/a.txt").read_bytes() == expected


def test_verdicts_decide(index: MadeIndex) -> None:
    index.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="ok", who="a"))
    index.judging.append(NewVerdict(box_id=1, issue="bad_box", verdict="ok", who="a"))
    index.judging.append(NewVerdict(box_id=3, issue="background", verdict="unsure", who="a"))
    plan = plan_of(index)
    assert "images/train/a.jpg" in {image.path for image in plan.kept}
    assert "images/train/deep/a.jpg" not in {image.path for image in plan.kept}
    index.judging.append(
        NewVerdict(box_id=2, issue="outlier", verdict="drop", who="a")
    )  # below the threshold
    plan = plan_of(index)
    assert {i.path: i.left_out for i in plan.images}["images/train/a.jpg"] == "outlier"
    only_confirmed = plan_of(index, verdicts=["drop"])
    assert [row["issue"] for row in only_confirmed.findings.to_pylist()] == ["outlier"]


def test_changed_labels_stop_it_and_force_leaves_their_images_out(index: MadeIndex, tmp_path: Path) -> None:
    label = index.root / "labels/val/clean.txt"
    label.write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels/val/clean\.txt changed since the build"):
        plan_of(index)
    plan = plan_training(index, force=True)
    assert {i.path: i.left_out for i in plan.images}["images/val/clean.jpg"] == (
        "its label file changed since the build"
    )
    write_training(plan, tmp_path / "cleanup")
    assert listed(tmp_path / "cleanup", "train")
    assert not (tmp_path / "cleanup" / "val.txt").exists()  # nothing of val is left


def test_a_label_file_that_changes_between_plan_and_write(index: MadeIndex, tmp_path: Path) -> None:
    plan = plan_of(index, "boxes")
    (index.root / "labels/train/a.txt").write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with pytest.raises(InputError, match="changed since the build"):
        write_training(plan, tmp_path / "cleanup")
    assert not (tmp_path / "cleanup").exists()
    assert not [p for p in tmp_path.iterdir() if is_temporary(p.name)]


def test_where_it_may_be_written(index: MadeIndex, tmp_path: Path) -> None:
    plan = plan_of(index)
    for inside in ("images/train/cleanup", "labels/val", "images/train"):
        with pytest.raises(InputError):
            write_training(plan, index.root / inside)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="is not empty"):
        write_training(plan, mine, overwrite=True)
    assert (mine / "notes.txt").read_text(encoding="utf-8") == "keep"
    beside = index.root / "cleanup"  # in the data set's folder, but not among images or labels
    write_training(plan, beside)
    with pytest.raises(InputError, match="overwrite=True"):
        write_training(plan, beside)
    first = tree(beside)
    write_training(plan, beside, overwrite=True)
    assert tree(beside) == first
    assert not [p for p in index.root.iterdir() if p.name.startswith(".")]


def test_other_sources_are_sent_elsewhere(index: MadeIndex) -> None:
    source = index.manifest.source.model_copy(update={"kind": "coco", "edits": "annotations"})
    index.manifest = index.manifest.model_copy(update={"source": source})
    with pytest.raises(InputError, match="built from coco"):
        plan_of(index)


@pytest.mark.torch
@pytest.mark.parametrize("drop", ["images", "boxes"])
def test_ultralytics_reads_what_was_kept(index: MadeIndex, tmp_path: Path, drop: Drop) -> None:
    pytest.importorskip("ultralytics", reason="needs the extra `detector`")
    from ultralytics.data.base import BaseDataset
    from ultralytics.data.utils import img2label_paths

    to = tmp_path / "cleanup"
    write_training(plan_of(index, drop), to)
    for split in ("train", "val"):
        reader = BaseDataset.__new__(BaseDataset)
        reader.prefix, reader.fraction = "", 1.0
        files = reader.get_img_files(str(to / f"{split}.txt"))
        assert sorted(files) == sorted(listed(to, split))
        for image, label in zip(files, img2label_paths(files), strict=True):
            assert Path(image).is_file()
            assert Path(label) == yolo_label_path(Path(image))
            assert Path(label).is_file()


def test_names_that_a_list_cannot_hold() -> None:
    assert listable("images/가 나.jpg")
    assert not any(
        map(listable, ["a\nb.jpg", "a\u2028b.jpg", "a\x85b.jpg", " a.jpg", "a.jpg ", "a\x0cb.jpg"])
    )
