"""What vet accepted and held, as files: for training, and for the annotation tool."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from healtheat.core.errors import InputError
from healtheat.exporting.run import export
from healtheat.exporting.vetted.gather import gather_vetted
from healtheat.exporting.vetted.yolo import label_line
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

NAMES = {0: "타이레놀정 500mg", 1: "advil", 2: "<b>게보린</b>"}
LABELS = {
    "images/train/가 나.png": ["0 0.25 0.5 0.25 0.5", "1  0.75 0.5000 0.25 0.5", "2 0.5 0.1 0.1 0.1"],
    "images/train/b.png": ["2 0.5 0.5 0.25 0.5"],
    "images/train/empty.png": [],
    "images/val/c.png": ["1 0.5 0.5 0.5 0.5"],
    "images/val/held.png": ["1 0.5 0.5 0.5 0.5"],
    "images/val/lacks.png": ["0 0.5 0.5 0.5 0.5"],
}
HELD = {("images/train/가 나.png", 1), ("images/val/held.png", 0)}
_BOXES = "SELECT path, line, box_id FROM boxes JOIN images USING (image_id)"
PART = "images/train/가 나.png"


def pixels(folder: Path) -> bytes:
    file = folder / "grey.png"
    Image.fromarray(np.full((20, 40, 3), (250, 10, 10), np.uint8)).save(file)
    return file.read_bytes()


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    """A vetted batch: two boxes held, an empty image, and one where a box is missing."""
    missing = {"image": "images/val/lacks.png", "line": -1, "issue": "missing_box", "score": 0.9}
    root = tmp_path / "자료"
    crlf = "\r\n".join(LABELS[PART]).encode()  # and no end of the last line
    made = MadeIndex(
        tmp_path / "batch",
        names=NAMES,
        root=root,
        labels=LABELS,
        findings=[missing],
        raw_labels={PART: crlf},
        pixels=dict.fromkeys(LABELS, pixels(tmp_path)),
        held=HELD,
    )
    (root / "data.yaml").write_text(
        yaml.safe_dump({"train": "images/train", "val": "images/val", "names": NAMES, "kept": 1}),
        encoding="utf-8",
    )
    return made


def of_a_detector(index: MadeIndex) -> None:
    """Make it one whose boxes a detector gave."""
    source = index.manifest.source.model_copy(update={"kind": "detector", "edits": "none"})
    index.manifest = index.manifest.model_copy(update={"source": source, "label_files": {}})


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def test_a_folder_to_train_on_and_to_look_at(index: MadeIndex, tmp_path: Path) -> None:
    to = tmp_path / "밖"
    done = export(index, to, "vetted-yolo")
    assert {file.name for file in done.files} == {file.name for file in to.iterdir()}
    assert done.parts == {"whole": 3, "partly": 2, "held": 2}
    content = yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8"))
    assert content == {"train": "train.txt", "val": "val.txt", "names": NAMES, "kept": 1}
    root = index.root
    assert lines_of(to / "train.txt") == [f"{root}/images/train/b.png", f"{root}/images/train/empty.png"]
    assert lines_of(to / "val.txt") == [f"{root}/images/val/c.png"]
    assert lines_of(to / "held.txt") == [f"{to}/held/{image}" for image, _ in sorted(HELD)[:2]]
    first, second, third = LABELS[PART]
    assert (to / "partly/labels/train/가 나.txt").read_bytes() == f"{first}\r\n{third}".encode()
    assert (to / "held/labels/train/가 나.txt").read_bytes() == f"{second}\r\n".encode()
    assert (to / "held" / PART).read_bytes() == (root / PART).read_bytes()
    header, *rows = lines_of(to / "decisions.csv")
    assert header.startswith("image,line,class_id,decision,score,") and len(rows) == 7


def test_partly_accepted_images_lose_the_pixels_of_held_boxes(index: MadeIndex, tmp_path: Path) -> None:
    to = tmp_path / "out"
    export(index, to, "vetted-yolo")
    assert lines_of(to / "partly.txt") == [f"{to}/partly/{PART}"], (
        "where a box is missing, grey helps nothing"
    )
    with Image.open(to / "partly" / PART) as opened:
        shown = np.asarray(opened.convert("RGB"))
    assert tuple(shown[10, 10]) == (250, 10, 10), "an accepted box"
    assert len(set(shown[10, 30].tolist())) == 1, "a held one"
    assert (to / "partly/labels/val/lacks.txt").is_file()


def test_the_trainer_reads_it(index: MadeIndex, tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    from tests.trainer import trainer_reads

    to = tmp_path / "out"
    export(index, to, "vetted-yolo")
    found = trainer_reads(to / "data.yaml", "detect")
    assert [len(found[split]) for split in ("train", "val")] == [2, 1]
    assert [image.classes.tolist() for image in found["train"]] == [[2], []]
    text = (
        (to / "data.yaml")
        .read_text(encoding="utf-8")
        .replace("train: train.txt", "train: [train.txt, partly.txt]")
    )
    (to / "data.yaml").write_text(text, encoding="utf-8")
    more = trainer_reads(to / "data.yaml", "detect")["train"]
    assert sorted(image.classes.tolist() for image in more) == [[], [0, 2], [2]]


def test_boxes_without_label_files_get_lines(index: MadeIndex, tmp_path: Path) -> None:
    of_a_detector(index)
    to = tmp_path / "out"
    export(index, to, "vetted-yolo")
    assert lines_of(to / "train.txt") == [f"{to}/whole/images/train/b.png"], "not the one without a box"
    assert lines_of(to / "whole/labels/train/b.txt") == ["2 0.5 0.5 0.25 0.5"]
    assert lines_of(to / "held/labels/train/가 나.txt") == ["1 0.75 0.5 0.25 0.5"]


def test_corners_go_into_the_line(index: MadeIndex) -> None:
    from dataclasses import replace

    box = gather_vetted(index).images[0].boxes[0]
    corners = np.array([[0.1, 0.2], [0.3, 0.2], [0.3, 1 / 3]])
    assert label_line(replace(box, corners=corners)) == f"0 0.1 0.2 0.3 0.2 0.3 {1 / 3!r}"


def test_images_that_would_share_labels_do_not(tmp_path: Path) -> None:
    labels = {"images/train/a.png": ["0 0.5 0.5 0.5 0.5"], "images/train/a.jpg": ["1 0.5 0.5 0.5 0.5"]}
    made = MadeIndex(
        tmp_path / "batch", names=NAMES, root=tmp_path / "data", labels=labels, findings=[], held=()
    )
    of_a_detector(made)
    to = tmp_path / "out"
    export(made, to, "vetted-yolo")
    assert lines_of(to / "train.txt") == [
        f"{to}/whole/images/train/a.png",
        f"{to}/whole/_2/images/train/a.jpg",
    ]
    assert lines_of(to / "whole/labels/train/a.txt") == ["0 0.5 0.5 0.5 0.5"]
    assert lines_of(to / "whole/_2/labels/train/a.txt") == ["1 0.5 0.5 0.5 0.5"]
    content = yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8"))
    assert content["train"] == content["val"] == "train.txt", "both, or Ultralytics refuses it"


def test_coco_in_three_files(index: MadeIndex, tmp_path: Path) -> None:
    to = tmp_path / "coco"
    done = export(index, to, "vetted-coco")
    assert [file.name for file in done.files] == ["accepted.json", "partly.json", "held.json"]
    found = {}
    for file in done.files:
        content = json.loads(file.read_text(encoding="utf-8"))
        assert [one["name"] for one in content["categories"]] == [*NAMES.values()]
        paths = {image["id"]: image["file_name"] for image in content["images"]}
        found[file.stem] = sorted(
            (
                paths[one["image_id"]],
                one["attributes"]["line"],
                one["category_id"],
                one["attributes"]["score"],
            )
            for one in content["annotations"]
        )
        assert {one["attributes"]["reason"] for one in content["annotations"]} == {"made up"}
    assert found == {
        "accepted": [("images/train/b.png", 0, 2, 0.01), ("images/val/c.png", 0, 1, 0.01)],
        "partly": [(PART, 0, 0, 0.01), (PART, 2, 2, 0.01), ("images/val/lacks.png", 0, 0, 0.01)],
        "held": [(PART, 1, 1, 0.75), ("images/val/held.png", 0, 1, 0.75)],
    }


def test_what_people_said_since_comes_first(index: MadeIndex, tmp_path: Path) -> None:
    ids = {(row["path"], row["line"]): row["box_id"] for row in index.sql(_BOXES).to_pylist()}
    for place, verdict in (((PART, 1), "ok"), (("images/val/c.png", 0), "drop")):
        given = NewVerdict(box_id=ids[place], issue="mislabel", verdict=verdict, who="김")
        index.judging.append(given)
    to = tmp_path / "out"
    export(index, to, "vetted-yolo")
    assert f"{index.root}/{PART}" in lines_of(to / "train.txt")
    assert not (to / "val.txt").exists()
    assert [Path(file).name for file in lines_of(to / "held.txt")] == ["c.png", "held.png"]


def test_what_cannot_be_written_is_told(index: MadeIndex, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave the filters out"):
        export(index, tmp_path / "out", "vetted-yolo", filters=Filters(issues="mislabel"))
    with pytest.raises(InputError, match="lies inside"):
        export(index, index.root / "images/out", "vetted-yolo")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        export(index, tmp_path / "mine", "vetted-yolo", overwrite=True)
    (index.root / "labels/val/c.txt").write_text("2 0.5 0.5 0.5 0.5\n", encoding="utf-8")
    for format in ("vetted-yolo", "vetted-coco"):
        with pytest.raises(InputError, match="changed since it was vetted"):
            export(index, tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_an_index_that_nobody_vetted_has_no_decisions(tmp_path: Path) -> None:
    made = MadeIndex(tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=LABELS, findings=[])
    with pytest.raises(InputError, match="nobody judged its boxes"):
        export(made, tmp_path / "out", "vetted-yolo")
