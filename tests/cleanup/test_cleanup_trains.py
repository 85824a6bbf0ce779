"""What a cleanup writes can be trained on: data.yaml, repeats, equal splits, ignored images, empty splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from healtheat.building.build import build
from healtheat.cleanup import Figures, plan_labels, plan_training, write_copy, write_training
from healtheat.cleanup.act import apply
from healtheat.cleanup.train import train_command, why_refused
from healtheat.core.errors import InputError
from healtheat.exporting.run import export
from healtheat.index import Index, NewVerdict
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder

BOXES = "0 .3 .3 .2 .2\n1 .7 .7 .2 .2\n"
Make = Callable[..., Index]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Builds the index of a data set of `labels` (stem → lines) and `more` lines of its data.yaml."""

    def made(labels: dict[str, str], more: str = "", lists: dict[str, str] | None = None) -> Index:
        root = tmp_path / "data"
        for number, (stem, text) in enumerate(labels.items()):
            image, label = root / f"images/{stem}.png", root / f"labels/{stem}.txt"
            for file in (image, label):
                file.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((40, 40), 20 + number).convert("RGB").save(image)
            label.write_text(text, encoding="utf-8")
        for name, text in (lists or {}).items():
            (root / name).write_text(text, encoding="utf-8")
        splits = "" if "train:" in more else "train: images/train\nval: images/val\n"
        (root / "data.yaml").write_text(f"names: [a, b]\n{splits}{more}", encoding="utf-8")
        build(open_source(root), tmp_path / "index", encoder=FakeEncoder())
        return Index.open(tmp_path / "index")

    return made


def drop_box(index: Index, box_id: int) -> None:
    found = index.sql("select issue from findings where box_id = ?", [box_id])["issue"].to_pylist()
    issue = found[0] if found else "mislabel"
    index.judging.append(NewVerdict(box_id=box_id, issue=issue, verdict="drop", who="김"))


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def given(file: Path) -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


POSE = "0 .3 .3 .2 .2 .3 .3 2\n1 .7 .7 .2 .2 .7 .7 1\n"
KEYS = "kpt_shape: [1, 3]\nflip_idx: [0]\nauthor: {who: 김}\nchannels: 3\ndownload: echo no\nvalidation: x\n"


def test_every_key_is_kept_that_is_not_written_anew(make: Make, tmp_path: Path) -> None:
    index = make({"train/a": POSE, "train/b": POSE, "val/c": POSE}, KEYS)
    write_copy(plan_labels(index), tmp_path / "copy")
    write_training(plan_training(index, drop="boxes"), tmp_path / "lists")
    for to in ("copy", "lists"):
        found = given(tmp_path / to / "data.yaml")
        assert {key: found[key] for key in found.keys() - {"train", "val", "names"}} == {
            "kpt_shape": [1, 3],
            "flip_idx": [0],
            "author": {"who": "김"},
            "channels": 3,
        }


def test_a_pose_line_is_taken_out_by_its_box(make: Make, tmp_path: Path) -> None:
    index = make({"train/a": POSE, "train/b": POSE, "val/c": POSE}, KEYS)
    drop_box(index, 1)
    plan = plan_labels(index)
    write_copy(plan, tmp_path / "copy")
    assert lines(tmp_path / "copy/labels/train/a.txt") == POSE.splitlines()[:1]
    assert train_command(plan, tmp_path / "a b/data.yaml") == (
        f"yolo pose train data='{(tmp_path / 'a b/data.yaml').as_posix()}' model=yolo11n-pose.pt"
    )


def test_repeats_of_a_list_are_kept(make: Make, tmp_path: Path) -> None:
    text = "./images/train/a.png\n./images/train/a.png\n./images/train/b.png\n"
    index = make(
        {"train/a": BOXES, "train/b": BOXES, "val/c": BOXES},
        "train: train.txt\nval: images/val\n",
        {"train.txt": text},
    )
    drop_box(index, 0)
    write_copy(plan_labels(index), tmp_path / "copy")
    assert lines(tmp_path / "copy/train.txt") == text.splitlines()
    write_training(plan_training(index, drop="boxes"), tmp_path / "lists")
    assert [Path(line).stem for line in lines(tmp_path / "lists/train.txt")] == ["a", "a", "b"]
    edited = lines(tmp_path / "lists/train.txt")[0]
    assert edited == (tmp_path / "lists/edited/images/train/a.png").as_posix()


def test_a_val_that_is_train_keeps_both(make: Make, tmp_path: Path) -> None:
    index = make({"train/a": BOXES, "train/b": BOXES}, "train: images/train\nval: images/train\n")
    plan = plan_training(index)
    assert not [image for image in plan.images if image.left_out] and not why_refused(plan)
    write_training(plan, tmp_path / "lists")
    assert lines(tmp_path / "lists/train.txt") == lines(tmp_path / "lists/val.txt")
    assert len(lines(tmp_path / "lists/val.txt")) == 2
    assert not index.sql("select * from findings where issue = 'duplicate' and box_id < 0").to_pylist()


SIX = "".join(f"{line} .9\n" for line in BOXES.splitlines())


def test_images_that_training_ignores_are_left_out_and_not_counted_as_kept(make: Make) -> None:
    index = make({"train/a": BOXES, "train/b": SIX, "train/c": BOXES + "0 .5 nan .1 .1\n", "val/d": BOXES})
    for plan in (plan_training(index), plan_training(index, drop="boxes")):
        gone = {image.path: image.left_out for image in plan.images if image.left_out}
        assert list(gone) == ["images/train/b.png"]
        assert Figures.of(plan).images == {"train": (2, 3), "val": (1, 1)}
    plan = plan_labels(index)
    figures = Figures.of(plan)
    assert list(plan.untrained) == ["images/train/b.png", "images/train/c.png"]  # both stay as they are
    assert (figures.images["train"], figures.boxes_kept, figures.untrained) == ((1, 3), (4, 8), (2, 4))
    assert figures.gone == {"boxes": (0, 8), "images": (0, 4)}


def test_an_image_is_trained_on_again_without_the_line_that_costs_it(make: Make) -> None:
    index = make({"train/a": "0 .1 .1 .4 .1 .4 .4 .1 .4\n1 .7 .7 .2 .2\n", "val/d": BOXES})
    assert list(plan_labels(index).untrained) == ["images/train/a.png"]
    drop_box(index, 1)
    assert not plan_labels(index).untrained


@pytest.mark.parametrize("write", [True, False])
def test_an_empty_split_is_an_error_before_anything_is_written(
    make: Make, tmp_path: Path, write: bool
) -> None:
    index = make({"train/a": SIX, "train/b": SIX, "val/c": BOXES})
    if write:
        with pytest.raises(InputError, match="no image of train would be left"):
            export(index, tmp_path / "lists", "yolo", write=True, max_share=1)
    else:
        done = export(index, tmp_path / "lists", "yolo", max_share=1)
        assert done.cleanup is not None and done.cleanup.too_much(1)
    assert not (tmp_path / "lists").exists()


def test_a_val_that_people_empty_is_an_error_of_apply(make: Make, tmp_path: Path) -> None:
    index = make({"train/a": BOXES, "train/b": BOXES, "val/c": BOXES})
    drop_box(index, 4)
    with pytest.raises(InputError, match="no image of val would be left"):
        apply(index, tmp_path / "copy", drop="images", max_share=1)
    assert not (tmp_path / "copy").exists()


def test_sets_that_ultralytics_refuses_are_told(make: Make) -> None:
    index = make({"train/a": BOXES}, "train: images/train\n")
    assert "there is no val" in why_refused(plan_training(index))


def test_ids_with_gaps_are_told(tmp_path: Path, make: Make) -> None:
    index = make({"train/a": BOXES, "val/b": BOXES})
    plan = plan_training(index)
    object.__setattr__(plan, "names", {0: "a", 33877: "b"})
    assert "from 0 to 1 for 2 classes, and here they go up to 33877" in why_refused(plan)
