"""Boxes proposed for images without labels, from files to files."""

import json

import numpy as np
import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.core.errors import InputError
from healtheat.core.overlap import iou
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.index import Index
from healtheat.sources.yolo.source import YoloSource
from healtheat.vetting.prelabel import prelabel
from healtheat.vetting.propose import Proposer
from healtheat.vetting.run import VetSettings
from tests.drawn_set import Drawn
from tests.index.small_set import FakeEncoder
from tests.vetted_set import without_encoders

LABELLED, REST, NEW = 24, 2, 5


@pytest.fixture(scope="module")
def drawn():
    return Drawn(images=LABELLED + REST)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    """`set` with labels of most images and its `index`; `new/images` without, one of them no image."""
    folder = tmp_path_factory.mktemp("prelabel")
    data = drawn.write(folder / "set", labelled=LABELLED)
    build(YoloSource(data), folder / "index", encoder=FakeEncoder(), signals=())
    Drawn(9, NEW).write(folder / "new", "new", labelled=0)
    (folder / "new/images/broken.png").write_bytes(b"no image")
    (folder / "new/images/known.png").write_bytes((folder / "set/images/0.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def learned(folder):
    """What a prelabelling learns of the index; not opened any more."""
    with Index.open(folder / "index") as index:
        return Proposer.learn(index, FakeEncoder(), 0.25)


@pytest.fixture(scope="module")
def report(folder, learned):
    settings = VetSettings(max_wrong=0.05)
    images, to = folder / "new/images", folder / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proposer, "learn", lambda *given, masks: learned)
        return prelabel(images, folder / "index", to=to, settings=settings, encoder=FakeEncoder())


def shown(row, truth):
    """The class of the true box that a row shows; None where it shows none."""
    cx, cy, w, h = (row[name] for name in ("cx", "cy", "w", "h"))
    at = int(row["image"].removeprefix("new").removesuffix(".png"))
    over = iou(np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]]), truth.boxes[at])[0]
    return 7 * truth.classes[at][int(over.argmax())] if over.max() >= 0.5 else None


def test_objects_get_boxes_with_their_class(report):
    truth = Drawn(9, NEW)
    rows = [row for row in report.decisions.to_pylist() if row["image"].startswith("new")]
    right = [row for row in rows if shown(row, truth) == row["class_id"]]
    assert len(right) >= 3 * NEW - 1 and len(rows) <= 3 * NEW + 1
    assert all(0.25 <= row["confidence"] <= 1 for row in rows)
    lines = [row["line"] for row in rows if row["image"] == "new0.png"]
    assert lines == list(range(len(lines)))  # likeliest first
    accepted = [row for row in rows if row["decision"] == "accept"]
    assert len(accepted) >= 2 * NEW
    assert report.verdict == "judged" and report.accepted == len(accepted)


def test_what_the_index_has_or_nobody_can_read_is_told(report, folder):
    held = {row["held_for"] for row in report.decisions.to_pylist() if row["image"] == "known.png"}
    assert held == {"leak"}  # a label that is there is not proposed anew
    assert [problem.file for problem in report.problems] == ["broken.png"]
    assert sorted(f.name for f in (folder / "new/labels").iterdir()) == []


def test_the_batch_goes_to_tools_like_any_other(report, folder, tmp_path):
    with Index.open(folder / "one") as batch:
        export(batch, tmp_path / "yolo", format="vetted-yolo")
        export(batch, tmp_path / "cvat.xml", "cvat", filters=Filters(flagged_only=False))
        export(batch, tmp_path / "tasks.json", "labelstudio", filters=Filters(flagged_only=False))
    assert (tmp_path / "yolo/decisions.csv").read_text(encoding="utf-8").count("\n") == report.boxes + 1
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert all(task["annotations"] == [] for task in tasks)  # nobody labelled them yet
    assert sum(len(one["result"]) for task in tasks for one in task["predictions"]) == report.boxes
    assert (tmp_path / "cvat.xml").read_text(encoding="utf-8").count('source="auto"') == report.boxes


def test_images_of_the_set_without_labels_are_those_meant_by_default(
    folder, learned, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(Proposer, "learn", lambda *given, masks: learned)
    monkeypatch.chdir(tmp_path)
    without_encoders(monkeypatch)
    assert run(["prelabel", "--against", str(folder / "index"), "--format", "json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["report"]["batch"] == "vetted/index-unlabelled"
    rows = said["decisions"]
    assert {row["image"] for row in rows} == {f"images/{LABELLED + at}.png" for at in range(REST)}
    assert {row["held_for"] for row in rows}.isdisjoint({"leak"})
    assert len(rows) >= 3 * REST - 1
    with Index.open(tmp_path / "vetted/index-unlabelled") as batch:
        assert batch.manifest.source.kind == "prelabel" and batch.verify() == []


def few(tmp_path, images=6):
    data = Drawn(images=images).write(tmp_path / "few")
    build(YoloSource(data), tmp_path / "index", encoder=FakeEncoder(), signals=())
    return tmp_path / "index", tmp_path / "few/images"


class FakeModel:
    def started(self):
        raise InputError("FakeModel was started")


def test_too_few_labels_and_nothing_to_label_are_told(tmp_path):
    index, images = few(tmp_path)
    with pytest.raises(InputError, match=r"18 boxes on 6 images are too few to learn from \(30 and 10\)"):
        prelabel(images, index, to=tmp_path / "batch", encoder=FakeEncoder())
    with pytest.raises(InputError, match="every image of its data set has a label file"):
        prelabel(None, index, to=tmp_path / "batch", encoder=FakeEncoder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image in it"):
        prelabel(tmp_path / "empty", index, encoder=FakeEncoder())
    with pytest.raises(InputError, match="is the index to judge by"):
        prelabel(images, index, to=index, encoder=FakeEncoder())
    with pytest.raises(InputError, match="is an index that was built"):
        prelabel(images, tmp_path / "index", to=few(tmp_path / "other")[0], encoder=FakeEncoder())
    with pytest.raises(InputError, match="FakeModel was started"):
        prelabel(images, index, to=tmp_path / "batch", encoder=FakeEncoder(), proposals=FakeModel())
    with pytest.raises(InputError, match="between 0 and 1"):
        prelabel(images, index, conf=1.5, encoder=FakeEncoder())
    assert not (tmp_path / "batch").exists()


def test_where_nothing_is_like_the_objects_no_batch_is_made(folder, learned, tmp_path, monkeypatch):
    monkeypatch.setattr(Proposer, "learn", lambda *given, masks: learned)
    (tmp_path / "blank").mkdir()
    Image.new("RGB", (160, 160), (150, 150, 150)).save(tmp_path / "blank/a.png")
    with pytest.raises(InputError, match="nothing on 1 image looks like the objects"):
        prelabel(tmp_path / "blank", folder / "index", to=tmp_path / "batch", conf=0.6, encoder=FakeEncoder())
    assert not (tmp_path / "batch").exists()
