"""The way back: what a cleanup writes is loaded by Ultralytics, and holds the boxes that were promised."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from healtheat.building.build import build
from healtheat.cleanup import Figures, Plan, plan_labels, plan_training, write_copy, write_training
from healtheat.core.errors import InputError
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.index import Index, NewVerdict
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder
from tests.sources.yolo.made_sets import PIXELS, MadeSet, made_sets, write
from tests.trainer import Refused, Trained, trainer_reads, working_in

SETS = max(8, int(os.environ.get("HEALTHEAT_ORACLE_SETS", "200")) // 20)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links")


@settings(max_examples=SETS, deadline=None, suppress_health_check=list(HealthCheck))
@given(made_sets(), st.randoms(use_true_random=False), st.sampled_from(("boxes", "images")))
def test_what_is_written_holds_what_was_promised(made: MadeSet, random: object, drop: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        data = write(made, root)
        (root / "work").mkdir()
        with working_in(root / "work"):
            try:
                source = open_source(data)
                build(source, root / "index", encoder=FakeEncoder(), background_per_image=0)
            except InputError:  # no box in it
                assume(False)
            with Index.open(root / "index") as index:
                _judge(index, random)
                _check_copy(index, root / "copy", drop)
                _check_lists(index, root / "lists", drop)


def test_what_would_train_wrongly_is_not_in_the_copy(tmp_path: Path) -> None:
    """Lines of zero area are boxes to the trainer, a word costs it the image, tracks are triangles."""
    box, track = "0 .5 .5 .2 .2", "0 .4 .4 .1 .1 .9 1"
    images = {
        "flat": f"{box}\n0 .5 .5 0 .1\n",
        "beside": f"{box}\n0 1 .5 .001 .1\n0 .5 1.009 .1 .001\n",
        "only flat": "0 .5 .5 0 .1\n",
        "words": f"{box}\n0 .5 .5 .1 pill\n",
        "good": f"{box}\n",
    }
    data = _set(tmp_path / "boxes", images)
    report = build(open_source(data), tmp_path / "index", encoder=FakeEncoder(), background_per_image=0)
    assert {p.code for p in report.problems} >= {"bad_line"}
    with Index.open(tmp_path / "index") as index:
        plan = plan_labels(index, copied=True)
        assert {i.path: i.left_out for i in plan.images if i.left_out} == {
            "images/train/only flat.png": "no box is left"
        }
        assert list(plan.untrained) == ["images/train/words.png"]
        write_copy(plan, tmp_path / "copy")
        _check(index, plan, trainer_reads(tmp_path / "copy/data.yaml", "detect"))
        assert (tmp_path / "copy/labels/train/flat.txt").read_text(encoding="utf-8") == f"{box}\n"
        words = (tmp_path / "copy/labels/train/words.txt").read_text(encoding="utf-8")
        assert words == images["words"], "the trainer ignores it with the pill that nobody could read"
        assert not plan_labels(index).edits, "in place waits for a person"
    tracks = _set(tmp_path / "tracks", {"one": f"{track}\n", "two": f"{track}\n{box} .8 0\n", "none": ""})
    build(open_source(tracks), tmp_path / "index 2", encoder=FakeEncoder(), background_per_image=0)
    with Index.open(tmp_path / "index 2") as index:
        plan = plan_labels(index, copied=True)
        assert {i.path for i in plan.images if i.left_out} == {
            f"images/train/{n}.png" for n in ("one", "two")
        }


def _set(root: Path, labels: dict[str, str]) -> Path:
    for folder in ("images/train", "images/val", "labels/train", "labels/val"):
        (root / folder).mkdir(parents=True)
    for name, text in labels.items():
        (root / f"images/train/{name}.png").write_bytes(PIXELS)
        (root / f"labels/train/{name}.txt").write_text(text, encoding="utf-8")
    (root / "images/val/v.png").write_bytes(PIXELS)
    data = root / "data.yaml"
    data.write_text("train: images/train\nval: images/val\nnames: [a]\n", encoding="utf-8")
    return data


def _judge(index: Index, random: object) -> None:
    """People drop some boxes."""
    boxes = index.boxes()
    for box in boxes.box_id.tolist():
        if random.random() < 0.2:  # type: ignore[attr-defined]
            index.judging.append(NewVerdict(box_id=box, issue="mislabel", verdict="drop", who="김"))


def _check_copy(index: Index, to: Path, drop: str) -> None:
    plan = plan_labels(index, drop=drop, copied=True)  # type: ignore[arg-type]
    if plan.emptied_splits():
        return
    write_copy(plan, to)
    _check(index, plan, trainer_reads(to / "data.yaml", plan.set.rules.task))


def _check_lists(index: Index, to: Path, drop: str) -> None:
    plan = plan_training(index, drop=drop)  # type: ignore[arg-type]
    if plan.emptied_splits():
        return
    write_training(plan, to)
    _check(index, plan, trainer_reads(to / "data.yaml", plan.set.rules.task))


def _check(index: Index, plan: Plan, read: dict[str, list[Trained]]) -> None:
    """What the trainer reads is what the figures promise, box by box."""
    figures = Figures.of(plan)
    images = {one.file: one for split in read.values() for one in split}
    assert len(images) == figures.images_kept[0]
    for split, images_of in plan.splits().items():
        assert len(read[split]) == sum(image.path not in plan.untrained for image in images_of)
    theirs = Counter(
        (class_id, tuple(np.round(place, 5).tolist()))
        for one in images.values()
        for class_id, place in zip(one.classes.tolist(), one.places, strict=True)
    )
    ours = Counter(_promised(index, plan))
    assert ours.total() == figures.boxes_kept[0]
    assert ours == theirs


def _promised(index: Index, plan: Plan) -> list[tuple[int, tuple[float, ...]]]:
    gone = {image.path: image.lines_out for image in plan.kept if image.path not in plan.untrained}
    rows = index.sql("select path, line, class_id, cx, cy, w, h from boxes join images using (image_id)")
    return [
        (row["class_id"], tuple(np.round([row[name] for name in ("cx", "cy", "w", "h")], 5).tolist()))
        for row in rows.to_pylist()
        if row["path"] in gone and row["line"] not in gone[row["path"]]
    ]


LINES = {
    "detect": ("0 .3 .3 .2 .2", "1 .7 .7 .2 .2"),
    "pose": ("0 .3 .3 .2 .2 .3 .3 2 .35 .35 1", "1 .7 .7 .2 .2 .7 .7 2 .6 .6 0"),
    "segment": ("0 .1 .1 .4 .1 .4 .4", "1 .6 .6 .9 .6 .9 .9 .6 .9"),
    "obb": ("0 .1 .1 .4 .1 .4 .4 .1 .4", "1 .6 .6 .9 .6 .9 .9 .6 .9"),
}


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(LINES))
def test_the_printed_command_trains(task: str, tmp_path: Path) -> None:
    """One epoch at 32 pixels; the architecture in place of its weights, which would be downloaded."""
    root = tmp_path / "a set"
    for number, split in enumerate(("train", "train", "train", "train", "val")):
        image, label = root / f"images/{split}/{number}.png", root / f"labels/{split}/{number}.txt"
        for file in (image, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((48, 48), 30 + number).convert("RGB").save(image)
        label.write_text("\n".join(LINES[task]), encoding="utf-8")
    more = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n" if task == "pose" else ""
    text = f"names: [a, b]\ntrain: images/train\nval: images/val\n{more}"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    build(open_source(root), tmp_path / "index", encoder=FakeEncoder())
    with Index.open(tmp_path / "index") as index:
        narrow = Filters(issues="unreadable")  # what an encoder makes of noise is no matter here
        done = export(index, tmp_path / "the lists", "yolo", filters=narrow, write=True, max_share=1)
    assert not done.refused and done.command.startswith(f"yolo {task} train ")
    words = [word.replace(".pt", ".yaml") for word in shlex.split(done.command)[1:]]
    quick = ["epochs=1", "imgsz=32", "batch=2", "workers=0", "device=cpu", "plots=False", "val=False"]
    entry = "from ultralytics.cfg import entrypoint; entrypoint()"
    ran = subprocess.run(
        [sys.executable, "-c", entry, *words, *quick, f"project={tmp_path.as_posix()}/runs"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert list((tmp_path / "runs").rglob("last.pt"))


def test_a_set_that_is_refused_whole_is_told(tmp_path: Path) -> None:
    """Class ids with gaps: Ultralytics takes none of it, whatever its labels."""
    for split in ("train", "val"):
        for folder, suffix in (("images", "png"), ("labels", "txt")):
            file = tmp_path / f"data/{folder}/{split}/{split}.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("0 .3 .3 .2 .2\n7 .7 .7 .2 .2\n", encoding="utf-8")
        Image.effect_noise((40, 40), 20).convert("RGB").save(tmp_path / f"data/images/{split}/{split}.png")
    data = tmp_path / "data/data.yaml"
    data.write_text("names: {0: a, 7: b}\ntrain: images/train\nval: images/val\n", encoding="utf-8")
    build(open_source(data), tmp_path / "index", encoder=FakeEncoder())
    with Index.open(tmp_path / "index") as index:
        narrow = Filters(issues="unreadable")
        done = export(index, tmp_path / "lists", "yolo", filters=narrow, write=True, max_share=1)
    assert "class ids from 0 to 1" in done.refused
    with pytest.raises(Refused, match="class indices"):
        trainer_reads(tmp_path / "lists/data.yaml", "detect")


def test_a_box_that_stays_alone_where_polygons_went_is_not_in_the_copy(tmp_path: Path) -> None:
    """Beside polygons it costs the trainer the image; alone it would cost the split."""
    outline, box = "0 .1 .1 .4 .1 .5 .2 .4 .4 .1 .4\n", "0 .5 .6 .2 .2\n"
    data = _set(tmp_path / "set", {"good": outline, "mixed": outline + box})
    build(open_source(data), tmp_path / "index", encoder=FakeEncoder(), background_per_image=0)
    with Index.open(tmp_path / "index") as index:
        mixed = index.sql("SELECT box_id FROM boxes JOIN images USING (image_id) WHERE path LIKE '%mixed%'")
        first = min(mixed["box_id"].to_pylist())
        index.judging.append(NewVerdict(box_id=first, issue="mislabel", verdict="drop", who="김"))
        plan = plan_labels(index, copied=True)
        [(path, why)] = [(i.path, i.left_out) for i in plan.images if i.left_out]
        assert path == "images/train/mixed.png" and why == "a box where the task segment needs polygons"
        write_copy(plan, tmp_path / "copy")
        _check(index, plan, trainer_reads(tmp_path / "copy/data.yaml", "segment"))
