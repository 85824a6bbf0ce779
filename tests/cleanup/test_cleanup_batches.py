"""Batches that were added to an index: cleaned along where that is right, else refused by their name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from healtheat.building.append import add
from healtheat.building.build import build
from healtheat.cleanup import apply, plan_labels, plan_training, write_training
from healtheat.core.errors import InputError
from healtheat.exporting.patch.changes import Unwritten, gather_changes
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.index import Index, NewVerdict
from healtheat.index.target import Places
from healtheat.signals.geometry import Geometry
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set

SIGNALS = (Geometry(),)


@pytest.fixture
def june(tmp_path: Path) -> Path:
    return write_set(tmp_path / "june", images=5, seed=5)


def to_coco(data: Path, to: Path) -> Path:
    """The set as a COCO file beside its images."""
    images, annotations = [], []
    for label in sorted(data.parent.rglob("labels/*.txt")):
        image = label.parents[1] / "images" / f"{label.stem}.png"
        images.append({"id": len(images), "file_name": f"{len(images)}.png", "width": 80, "height": 60})
        to.parent.mkdir(exist_ok=True)
        shutil.copy(image, to.parent / images[-1]["file_name"])
        for line in label.read_text(encoding="utf-8").splitlines():
            class_id, cx, cy, w, h = (float(v) for v in line.split())
            bbox = [(cx - w / 2) * 80, (cy - h / 2) * 60, w * 80, h * 60]
            annotation = {"id": len(annotations), "image_id": images[-1]["id"], "bbox": bbox}
            annotations.append({**annotation, "category_id": int(class_id)})
    names = {0: "타이레놀정500mg", 3: "<script>", 7: "plain"}
    categories = [{"id": i, "name": name} for i, name in names.items()]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    to.write_text(text, encoding="utf-8")
    return to


def joined(folder: Path, base: Path, batch: Path) -> Path:
    """An index of `base` with the batch, one box of each called `drop`."""
    build(open_source(base), folder, encoder=FakeEncoder(), signals=SIGNALS)
    add(open_source(batch), folder, encoder=FakeEncoder(), signals=SIGNALS, name="june")
    with Index.open(folder) as index:
        for box_id in (4, 40):
            index.judging.append(NewVerdict(issue="bad_box", verdict="drop", who="a", box_id=box_id))
    return folder


@pytest.fixture
def both(tmp_path: Path, june: Path) -> Path:
    return joined(tmp_path / "index", write_set(tmp_path / "data"), june)


def test_lists_to_train_on_name_the_images_of_batches(both: Path, june: Path, tmp_path: Path) -> None:
    with Index.open(both) as index:
        plan = plan_training(index, drop="boxes")
        write_training(plan, tmp_path / "lists")
    lists = yaml.safe_load((tmp_path / "lists" / "data.yaml").read_text(encoding="utf-8"))
    train = (tmp_path / "lists" / lists["train"]).read_text(encoding="utf-8").splitlines()
    val = (tmp_path / "lists" / lists["val"]).read_text(encoding="utf-8").splitlines()
    assert len(train) + len(val) == 17 and len(set(train + val)) == 17
    assert len([line for line in val if Path(line).is_relative_to(june.parent)]) == 2
    assert all(Path(line).is_file() or "/edited/" in line for line in train + val)
    assert {edit.path for edit in plan.edits} == set(lost_lines(both))


def lost_lines(index_path: Path) -> list[str]:
    with Index.open(index_path) as index:
        query = "SELECT label_path FROM boxes JOIN images USING (image_id) WHERE box_id IN (4, 40)"
        return index.sql(query)["label_path"].to_pylist()


def test_a_batch_without_splits_is_trained_on(tmp_path: Path, june: Path) -> None:
    for part in ("images", "labels"):
        shutil.move(june.parent / "train" / part, june.parent / part)
    shutil.rmtree(june.parent / "train")
    shutil.rmtree(june.parent / "valid")
    june.unlink()
    folder = joined(tmp_path / "index", write_set(tmp_path / "data"), june.parent)
    with Index.open(folder) as index:
        splits = plan_training(index).splits()
    assert {split: len(images) for split, images in splits.items()} == {"train": 9 + 3, "val": 3}


def test_a_cleaned_copy_holds_the_batch_too(both: Path, tmp_path: Path) -> None:
    with Index.open(both) as index:
        apply(index, tmp_path / "copy")
    copy = open_source(tmp_path / "copy" / "data.yaml")
    build(copy, tmp_path / "again", encoder=FakeEncoder(), signals=SIGNALS)
    with Index.open(tmp_path / "again") as again:
        assert (again.manifest.counts.images, again.manifest.counts.boxes) == (17, 36 + 15 - 2)


def test_in_place_is_refused_with_the_name(both: Path, june: Path) -> None:
    before = {file: file.read_bytes() for file in june.parent.rglob("*") if file.is_file()}
    with Index.open(both) as index, pytest.raises(InputError, match="the batch june, whose label files"):
        apply(index, in_place=True)
    assert {file: file.read_bytes() for file in june.parent.rglob("*") if file.is_file()} == before


def test_labels_of_another_kind_are_refused_with_the_name(tmp_path: Path, june: Path) -> None:
    coco = to_coco(june, tmp_path / "coco" / "labels.json")
    yolo = write_set(tmp_path / "data")
    for folder, base, batch, why in (
        (tmp_path / "a", yolo, coco, "it was read from coco and has no YOLO label files"),
        (tmp_path / "b", coco, yolo, "a cleanup of other label files than YOLO's takes no batch along"),
    ):
        joined(folder, base, batch)
        with Index.open(folder) as index:
            for plan in (plan_labels, plan_training) if base is yolo else (plan_labels,):
                with pytest.raises(InputError, match=f"batch june: {why}"):
                    plan(index)
            changes = gather_changes(index)
        assert (changes.relabelled + changes.dropped, [one.why for one in changes.left_alone]) == (
            1,
            [Unwritten.BATCH],
        )


def test_boxes_that_were_not_accepted_are_never_trained_on(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from healtheat.cleanup import batches

    found = batches.batches_of
    monkeypatch.setattr(
        batches, "batches_of", lambda index: [replace(batch, left_out=3) for batch in found(index)]
    )
    with Index.open(both) as index, pytest.raises(InputError, match="june: its label files hold 3 more"):
        plan_training(index)


def test_a_patch_changes_the_data_set_and_tells_what_lies_outside(both: Path) -> None:
    with Index.open(both) as index:
        changes = gather_changes(index)
    assert changes.dropped == 1
    assert [one.why for one in changes.left_alone] == [Unwritten.OUTSIDE]


def test_hand_offs_name_files_that_are_there(both: Path, tmp_path: Path) -> None:
    with Index.open(both) as index:
        done = export(index, tmp_path / "tasks.json", "labelstudio", filters=Filters(flagged_only=False))
        assert done.unreadable == ()
    assert done.images == 17 and str(tmp_path / "june") in (tmp_path / "tasks.json").read_text(
        encoding="utf-8"
    )


def test_nothing_is_written_among_the_files_of_a_batch(both: Path, june: Path, tmp_path: Path) -> None:
    with Index.open(both) as index:
        places = Places.of(index)
    for file in (june, june.parent / "train" / "labels" / "new.txt", june.parent / ".healtheat" / "x"):
        with pytest.raises(InputError, match="data set"):
            places.check_file(file, overwrite=True)
    places.check_file(tmp_path / "elsewhere.csv")
    with pytest.raises(InputError, match="holds the data set"):
        places.check_folder(june.parent)
