"""What is read of a YOLO data set is what Ultralytics reads; every difference is a problem that says so.

`HEALTHEAT_ORACLE_SETS=2000` makes as many sets, for a nightly run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from healtheat.core.boxes import Problem
from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import LabelledImage, open_source
from healtheat.sources.outside import outside_allowed
from healtheat.sources.yolo.source import YoloSource
from healtheat.sources.yolo.task import TASKS
from tests.sources.yolo.made_sets import LAYOUTS, PIXELS, MadeImage, MadeSet, made_sets, write
from tests.trainer import Refused, Trained, trainer_reads, working_in

SETS = int(os.environ.get("HEALTHEAT_ORACLE_SETS", "200"))
CLOSE = 2e-6  # the trainer computes in single precision

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links")


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    """The trainer follows links and paths to anywhere."""
    with outside_allowed(True):
        yield


@settings(max_examples=SETS, deadline=None, suppress_health_check=list(HealthCheck))
@given(made_sets())
def test_the_same_images_and_boxes_as_the_trainer(made: MadeSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        data = write(made, root)
        (root / "work").mkdir()
        with working_in(root / "work"):
            differences = compare(data, made.task)
    assert not differences, "\n".join(differences)


POSE = {"kpt_shape": [2, 3]}
BOX, BOX_2 = "0 .5 .5 .1 .1", "1 .2 .2 .1 .1"
POLYGON, QUAD = "0 .1 .1 .4 .1 .4 .4", "1 .6 .6 .9 .6 .9 .9 .6 .9"
KEYPOINTS = "0 .5 .5 .2 .2 .5 .5 2 .4 .4 1"


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ([BOX, BOX_2], {}),
        ([BOX, POLYGON], {}),
        ([POLYGON, BOX], {}),
        ([POLYGON, QUAD], {}),
        ([QUAD], {}),
        ([POLYGON, "0 .1 .1 .4 .1 .4 .4 .2"], {}),
        ([POLYGON, "0 .1 .1"], {}),
        ([f"{BOX} .9", f"{BOX_2} .8"], {}),
        ([f"{BOX} .9", BOX_2], {}),
        ([f"{BOX} 3", f"{BOX_2} 4"], {}),
        ([f"{BOX} .9 3", f"{BOX_2} .8 4"], {}),
        ([f"{BOX} .9 0", f"{BOX_2} .8 1"], {}),
        ([KEYPOINTS], POSE),
        ([KEYPOINTS, BOX_2], POSE),
        ([BOX, BOX_2], POSE),
        ([KEYPOINTS, "0 .5 .5 .2 .2 .5 1.02 2 .4 .4 1"], POSE),
        ([KEYPOINTS, "0 .5 .5 .2 .2 .5 1.01 2 .4 .4 1"], POSE),
        ([KEYPOINTS, "0 .5 .5 .2 .2 .5 -.02 2 .4 .4 1"], POSE),
        ([KEYPOINTS, "0 1.5 .5 .2 .2 .5 .5 2 .4 .4 1"], POSE),
        ([KEYPOINTS, KEYPOINTS, "0 .5 .5 .2 .2 .5 .5 2 .4 .4 0"], POSE),
        ([BOX, "0 .5 1.01 .1 .1"], {}),
        ([BOX, "0 .5 1.011 .1 .1"], {}),
        ([BOX, "0 .5 -.01 .1 .1"], {}),
        ([BOX, "0 .5 -.02 .1 .1"], {}),
        ([BOX, "0 .5 .5 .1 -.001"], {}),
        ([BOX, "0 .5 .5 .1 1.01"], {}),
        ([BOX, "0 .5 .5 .1 0"], {}),
        ([BOX, "0 .5 1.009 .1 .001"], {}),
        ([POLYGON, "0 .9 .1 1.1 .1 1.1 .4"], {}),
        ([POLYGON, "0 .9 .1 1.13 .1 1.1 .4"], {}),
        ([POLYGON, "0 -.05 .1 .4 .1 .4 .4"], {}),
        ([POLYGON, "0 -.5 .1 .4 .1 .4 .4"], {}),
        ([POLYGON, "0 .1 .1 .4 .1 .4 .1"], {}),
        ([BOX, "0 .5000000001 .5 .1 .1", "0 .50 .5 .1 1e-1"], {}),
        ([POLYGON, POLYGON, "0 .1 .1 .4 .1 .3 .4"], {}),
        ([BOX, "2 .5 .5 .1 .1"], {}),
        ([BOX, "-1 .5 .5 .1 .1"], {}),
        ([BOX, "1.0 .5 .5 .1 .1", "1.5 .2 .2 .1 .1"], {}),
        ([BOX, "1.0 .5 .5 .1 .1"], {}),
        ([BOX, "0 nan .5 .1 .1"], {}),
        ([BOX, "0 .5 .5 .1"], {}),
        ([BOX, "0 .5 .5 .1 pill"], {}),
        (["\ufeff" + BOX, BOX_2], {}),
        ([BOX, "\ufeff" + BOX_2], {}),
        ([BOX + "\r", "", BOX_2], {}),
        ([BOX + "\x0c" + BOX_2], {}),
        ([""], {}),
    ],
)
@pytest.mark.parametrize("layout", ["usual", "roboflow"])
def test_a_file_is_taken_as_the_trainer_takes_it(
    tmp_path: Path, lines: list[str], keys: dict[str, object], layout: str
) -> None:
    made = MadeSet(
        layout=layout,
        names=["a", "b"],
        images=[
            MadeImage("it.png", 0, "\n".join(lines).encode()),
            MadeImage("other.png", 0, lines[0].removeprefix("\ufeff").encode()),
        ],
        splits={"train": ("folder", (0,)), "val": ("folder", (0,))},
        repeats=(1,),
        linked=layout == "usual",
        keys=keys,
    )
    assert not compare(write(made, tmp_path / "set"))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "lines",
    [
        [BOX, BOX_2],
        [POLYGON, POLYGON],
        [QUAD],
        [KEYPOINTS],
        [BOX + " .9"],
        [BOX, "0 .5 .5 .1 pill"],
        ["0 .5 .5 0 .1"],
        [BOX, POLYGON.replace("0", "7", 1)],
        [POLYGON, BOX],
        [f"{BOX} .9 0", f"{BOX_2} .8 1"],
        [],
    ],
)
@pytest.mark.parametrize("keys", [{}, POSE])
@pytest.mark.parametrize("other", [BOX, POLYGON])
def test_a_task_that_the_files_do_not_fit(
    tmp_path: Path, lines: list[str], keys: dict[str, object], other: str, task: str
) -> None:
    made = MadeSet(
        layout="usual",
        names=["a", "b"],
        images=[
            MadeImage("it.png", 0, "\n".join(lines).encode()),
            MadeImage("other.png", 0, other.encode()),
            MadeImage("val.png", 1, other.encode()),
        ],
        splits={"train": ("folder", (0,)), "val": ("folder", (1,))},
        repeats=(1,),
        linked=False,
        keys=keys,
    )
    assert not compare(write(made, tmp_path / "set"), task)


@pytest.mark.parametrize(
    "shape",
    ["[0, 2]", "[0, 9]", "", "null", "[17]", "17", "['2', '3']", "{a: 1}", "[2, 2]", "[2, 3]"],
)
@pytest.mark.parametrize("task", [None, *TASKS])
def test_what_kpt_shape_cannot_be(tmp_path: Path, shape: str, task: str | None) -> None:
    made = MadeSet(
        layout="usual",
        names=["a"],
        images=[MadeImage("it.png", 0, BOX.encode())],
        splits={"train": ("folder", (0,)), "val": ("folder", (0,))},
        repeats=(1,),
        linked=False,
    )
    data = write(made, tmp_path / "set")
    with data.open("a", encoding="utf-8") as file:
        file.write(f"kpt_shape: {shape}\n")
    assert not compare(data, task)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("way", ["folder", "folders", "list", "absolute list", "bare list", "spaced list"])
@pytest.mark.parametrize("linked", [False, True])
def test_every_layout(tmp_path: Path, layout: str, way: str, linked: bool) -> None:
    label = f"{BOX}\n{BOX_2}\n".encode()
    made = MadeSet(
        layout=layout,
        names={0: "a", 1: "b"},
        images=[MadeImage(name, at, label) for at in (0, 1) for name in ("b c.png", "알약.PNG", "[q].png")],
        splits={"train": (way, (0, 1)), "val": (way, (1,))},
        repeats=(1, 3),
        linked=linked,
    )
    (tmp_path / "work").mkdir()
    with working_in(tmp_path / "work"):
        assert not compare(write(made, tmp_path / "set"))


@pytest.mark.parametrize("place", ["images/x", "list.txt"])
def test_a_place_that_is_given_several_times(tmp_path: Path, place: str) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / "images/x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "images/x" / name).write_bytes(PIXELS)
        (tmp_path / "labels/x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels/x" / name).with_suffix(".txt").write_text(f"{BOX}\n", encoding="utf-8")
    (tmp_path / "list.txt").write_text("./images/x/a.png\n./images/x/b.png\n", encoding="utf-8")
    data = tmp_path / "data.yaml"
    data.write_text(f"train: [{place}, ./{place}, {place}]\nval: {place}\nnames: [a]\n", encoding="utf-8")
    assert not compare(data)


@pytest.mark.parametrize("text", [".", "./", "set", "../set", "set/../../x/set", "", "absolute", None])
@pytest.mark.parametrize("start", ["x", "x/set", "else", "empty"])
def test_where_path_counts_from(tmp_path: Path, text: str | None, start: str) -> None:
    """Sets lie in x/set, in a folder of the same name elsewhere, and beside the file itself."""
    for folder in ("x/set", "x", "else", "else/set"):
        (tmp_path / folder / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "images/a.png").write_bytes(PIXELS)
    (tmp_path / "empty").mkdir()
    written = f"{tmp_path.as_posix()}/x/set" if text == "absolute" else text
    line = "" if written is None else f"path: {written!r}\n"
    data = tmp_path / "x" / "data.yaml"
    data.write_text(f"train: images\nval: images\nnames: [a]\n{line}", encoding="utf-8")
    with working_in(tmp_path / start):
        try:
            theirs = {image.file for image in trainer_reads(data, "detect")["train"]}
        except Refused:
            theirs = set()
        try:
            records = list(open_source(data).read())
        except InputError as error:
            assert not theirs and "folder of 'path:" in str(error)
            return
    ours = {str(record.file) for record in records if isinstance(record, LabelledImage)}
    told = [(r.code, r.line) for r in records if isinstance(r, Problem) and "'path:" in r.reason]
    # Where the trainer finds nothing it says so itself; other images are what nobody would notice.
    assert told == ([] if theirs in (ours, set()) else [(Code.UNFOUND_PATH, 3)])


def compare(data: Path, task: str | None = None) -> list[str]:
    """What of the data set differs without a problem that says so."""
    try:
        source = open_source(data, task=task)
    except InputError as error:  # told: the trainer must refuse it too
        assert "kpt_shape" in str(error)
        return _any_read(data, task or "detect")
    assert isinstance(source, YoloSource)
    records = list(source.read())
    images = {os.path.normpath(r.file): r for r in records if isinstance(r, LabelledImage)}
    told = _Told(source.root, [r for r in records if isinstance(r, Problem)])
    task = next((image.task for image in images.values()), "detect")
    named = source.members().named
    found: list[str] = []
    refused = [p for p in told.problems if p.code == Code.REFUSED_LABELS and p.line is not None]
    try:
        read = trainer_reads(data, task)
    except Refused as error:
        return [] if refused else [f"the trainer refuses it, untold: {error}"]
    if refused and not any(p.code == Code.UNFOUND_PATH for p in told.problems):
        return [f"said to be refused, and is trained on: {refused[0]}"]
    for split, trained in read.items():
        ours = Counter(os.path.normpath(source.root / path) for path in named.get(split, ()))
        theirs = Counter(image.file for image in trained)
        for file in sorted(ours.keys() | theirs.keys()):
            image = images.get(file)
            if image is None:
                found.append(f"{split} {file}: not read")
            elif not theirs[file]:
                if not told.untrained(image, split, data.parent):
                    found.append(f"{split} {image.path}: the trainer ignores it, untold")
            elif ours[file] != theirs[file] and not told.leaks(image):
                found.append(f"{split} {image.path}: {ours[file]} times, by the trainer {theirs[file]}")
        for one in {image.file: image for image in trained}.values():
            if one.file in images:
                found += _boxes(images[one.file], one, told)
    return found


def _any_read(data: Path, task: str) -> list[str]:
    try:
        read = trainer_reads(data, task)
    except Refused:
        return []
    return [f"refused here, and trained on: {split}" for split, images in read.items() if images]


@dataclass(frozen=True)
class _Told:
    root: Path
    problems: list[Problem]

    def leaks(self, image: LabelledImage) -> bool:
        same = any(p.code == Code.SAME_SPLIT for p in self.problems)
        return same or any(p.is_leak and p.image == image.path for p in self.problems)

    def untrained(self, image: LabelledImage, split: str, home: Path) -> bool:
        """Whether a problem with file and line says that the trainer ignores the image."""
        lists = any(p.code == Code.UNFOUND_PATH and p.file == f"{split}.txt" for p in self.problems)
        return lists or (bool(image.untrained) and any("ignores" in p.reason for p in self.of(image)))

    def of(self, image: LabelledImage) -> list[Problem]:
        return [p for p in self.problems if p.file == image.label_path and p.line is not None]

    def lost(self, image: LabelledImage) -> int:
        """How many boxes the trainer may make of lines that are told to be none.

        Python's text lines end at form feeds and the like too, so one line of a file may be several.
        """
        lost = [p.line for p in self.of(image) if p.line is not None and p.is_lost_line]
        if not lost:
            return 0
        lines = (self.root / image.label_path).read_bytes().splitlines()
        return sum(len(lines[n].decode("utf-8", "replace").splitlines()) for n in lost)

    def misread(self, image: LabelledImage) -> bool:
        return any(p.code == Code.MISREAD_LABELS for p in self.of(image))


def _boxes(image: LabelledImage, trained: Trained, told: _Told) -> list[str]:
    """Differences in the boxes of one image; the trainer may have more where lines are told to be lost."""
    if told.misread(image):
        return []
    if image.untrained:
        return [f"{image.path}: said to be ignored ({image.untrained}), and is trained on"]
    left = list(zip(trained.classes.tolist(), trained.places, strict=True))
    missing = []
    for class_id, place in zip(image.boxes.class_id.tolist(), image.boxes.xywhn, strict=True):
        at = [
            n
            for n, (other, there) in enumerate(left)
            if other == class_id and np.abs(there - place).max() < CLOSE
        ]
        if at:
            left.pop(at[0])
        else:
            missing.append(f"{image.path}: {class_id} {place.tolist()} is no box of the trainer")
    more = len(left) - told.lost(image)
    return missing + ([f"{image.path}: the trainer has {more} boxes more: {left}"] if more > 0 else [])
