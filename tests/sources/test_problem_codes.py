"""Every kind of bad input has its code, whatever its sentence says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from healtheat.core.boxes import ProblemCode
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.sources.reading import Read, Tree

BOX = "0 .5 .5 .1 .1\n"
YAML = "names: [a]\ntrain: images/train\nval: images/val\n"


def yolo(tree: Tree, files: dict[str, str | bytes], yaml: str = YAML) -> list[tuple[str, str, int | None]]:
    """Code, file and line of every problem of a YOLO data set with one good image and `files`."""
    for path, content in {"images/train/ok.jpg": "", "images/val/v.jpg": "", **files}.items():
        tree.put(path, content)
    read = Read(open_source(tree.put("data.yaml", yaml)))
    return [(p.code, p.file, p.line) for p in read.problems]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("0 nan .5 .1 .1", ProblemCode.BAD_LINE),
        ("0 .5 .5 .1", ProblemCode.BAD_LINE),
        ("0 .5 .5 0 .1", ProblemCode.BAD_LINE),
        ("\ufeff0 .5 .5 .1 .1", ProblemCode.BAD_LINE),  # a byte-order mark elsewhere than at the start
        ("0 .5 1.005 .1 .1", ProblemCode.BEYOND_IMAGE),
        ("0 .5 .5 .1 .1 .9", ProblemCode.IGNORED_IMAGE),
        ("0 .1 .1 .3 .1 .3 .3", ProblemCode.IGNORED_IMAGE),
        ("pill .5 .5 .1 .1", ProblemCode.BAD_LINE),
        ("7 .5 .5 .1 .1", ProblemCode.UNKNOWN_CLASS),
        ("0  .5 .5 .1 .1", ProblemCode.REPEATED_LINE),
    ],
)
def test_a_label_line(tree: Tree, line: str, code: ProblemCode) -> None:
    label = "labels/train/ok.txt"
    at = 0 if line.startswith("0 .1 .1 .3") else 1  # the box is what does not belong among polygons
    assert yolo(tree, {label: BOX + line + "\n"}) == [(code, label, at)]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("place", ["folder", "list"])
def test_a_split_that_holds_no_image(tree: Tree, split: str, place: str) -> None:
    other = "val" if split == "train" else "train"
    tree.put(f"images/{other}/ok.jpg", "")
    path = f"images/{split}"
    if place == "list":
        tree.put(path := f"{split}.txt", "\n")
    else:
        tree.put(f"{path}/notes.md", "")
    yaml = f"names: [a]\n{other}: images/{other}\n{split}: {path}\n"
    (problem,) = Read(open_source(tree.put("data.yaml", yaml))).problems
    assert (problem.code, problem.file, problem.line) == (ProblemCode.EMPTY_SPLIT, "data.yaml", 2)
    assert f"split {split} ({path}) holds no image" in problem.reason


@pytest.mark.parametrize(
    ("files", "code", "file"),
    [
        ({"labels/train/ok.txt": b"\0"}, ProblemCode.BAD_LABEL_FILE, "labels/train/ok.txt"),
        ({"labels/train/ok.txt": b"\xff\xfe0"}, ProblemCode.BAD_LABEL_FILE, "labels/train/ok.txt"),
        ({"labels/train/ok.txt/x": ""}, ProblemCode.BAD_LABEL_FILE, "labels/train/ok.txt"),
        ({"images/train/ok.png": ""}, ProblemCode.SHARED_LABEL_FILE, "labels/train/ok.txt"),
        ({"labels/train/lost.txt": BOX}, ProblemCode.LABEL_WITHOUT_IMAGE, "labels/train/lost.txt"),
        ({"images/train/b.gif": ""}, ProblemCode.UNTRAINED_FORMAT, "images/train/b.gif"),
    ],
)
def test_a_file_of_a_yolo_set(
    tree: Tree, files: dict[str, str | bytes], code: ProblemCode, file: str
) -> None:
    found = yolo(tree, files)
    assert (code, file, None) in found and {c for c, _, _ in found} == {code}


@pytest.mark.parametrize("task", ["segment", "obb"])
def test_boxes_for_which_a_split_is_refused(tree: Tree, task: str) -> None:
    for path, content in {"images/a.jpg": "", "labels/a.txt": "\n" + BOX, "images/b.jpg": ""}.items():
        tree.put(path, content)
    tree.put("labels/b.txt", "0 .1 .1 .3 .1 .3 .3\n")
    data = tree.put("data.yaml", "names: [a]\ntrain: images\nval: images\n")
    (problem,) = (p for p in Read(open_source(data, task=task)).problems if not p.is_note)
    assert (problem.code, problem.file, problem.line) == (ProblemCode.REFUSED_LABELS, "labels/a.txt", 1)
    assert problem.is_untrained and f"the task {task}" in problem.reason
    assert not [p for p in Read(open_source(data)).problems if p.code == ProblemCode.REFUSED_LABELS]


def test_a_pose_without_keypoints(tree: Tree) -> None:
    found = yolo(tree, {}, YAML + "kpt_shape: [0, 2]\n")
    assert found == [(ProblemCode.BAD_KEY, "data.yaml", 3)]
    with pytest.raises(InputError, match="kpt_shape"):
        open_source(tree.root / "data.yaml", task="pose")


def test_too_many_bad_lines_are_counted(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healtheat.sources.yolo.labels.MAX_PROBLEMS", 1)
    found = yolo(tree, {"labels/train/ok.txt": "x\ny\n"})
    assert [code for code, _, _ in found] == [ProblemCode.BAD_LINE, ProblemCode.NOT_LISTED]


def test_lists_of_images(tree: Tree) -> None:
    tree.put("images/a.jpg")
    tree.put("images/b.jpg")
    tree.put("train.txt", "./images/a.jpg\nimages/a.jpg\n./images/gone.jpg\nnotes.md\n")
    tree.put("val.txt", "./images/a.jpg\n./images/b.jpg\n")
    read = Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: train.txt\nval: val.txt\n")))
    assert [(p.code, p.file, p.line) for p in read.problems] == [
        (ProblemCode.MISSING_IMAGE, "train.txt", 2),
        (ProblemCode.BAD_PATH, "train.txt", 3),
        (ProblemCode.UNFOUND_PATH, "train.txt", 1),
        (ProblemCode.REPEATED_IMAGE, "train.txt", 1),
        (ProblemCode.LEAK, "val.txt", 0),
    ]
    assert [p.is_leak for p in read.problems] == [False, False, False, False, True]
    assert not any(p.is_lost_line for p in read.problems)


def test_a_folder_that_leads_into_itself(tree: Tree) -> None:
    tree.put("images/train/ok.jpg")
    try:
        (tree.root / "images/train/loop").symlink_to(tree.root / "images/train", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    assert (ProblemCode.BAD_PATH, "images/train/loop", None) in yolo(tree, {})


def coco(tree: Tree, path: str = "labels.json", **changes: object) -> Path:
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}],
        "annotations": [],
        "categories": [{"id": 0, "name": "a"}],
        **changes,
    }
    return tree.put(path, json.dumps(document))


def annotation(**changes: object) -> dict[str, object]:
    return {"image_id": 1, "category_id": 0, "bbox": [10, 10, 20, 20], **changes}


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ({"annotations": [annotation(), annotation(bbox=[1, 1, 0, 5])]}, ProblemCode.BAD_LINE, 1),
        ({"annotations": [annotation(), 7]}, ProblemCode.BAD_LINE, 1),
        ({"annotations": [annotation(category_id=3)]}, ProblemCode.UNKNOWN_CLASS, 0),
        ({"annotations": [annotation(), annotation()]}, ProblemCode.REPEATED_LINE, 1),
        ({"annotations": [annotation(image_id=9)]}, ProblemCode.BAD_LINE, 0),
        ({"categories": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}, ProblemCode.BAD_ENTRY, None),
    ],
)
def test_an_entry_of_a_coco_file(
    tree: Tree, changes: dict[str, object], code: ProblemCode, line: int | None
) -> None:
    tree.put("a.jpg")
    read = Read(open_source(coco(tree, **changes)))
    assert [(p.code, p.line) for p in read.problems if p.code == code] == [(code, line)]
    assert {p.code for p in read.problems} <= {code, ProblemCode.BAD_LINE}


def test_images_of_coco_files(tree: Tree) -> None:
    size = {"width": 100, "height": 100}
    images = [
        {"id": 1, "file_name": "a.jpg", **size},
        {"id": 2, "file_name": "../b.jpg", **size},
        {"id": 3, "file_name": "gone.jpg", **size},
        {"id": 4, "file_name": "two.jpg", **size},
    ]
    for name in ("a.jpg", "x/two.jpg", "y/two.jpg"):
        tree.put(name)
    coco(tree, "l/1.json", images=images, annotations=[annotation(image_id=2)])
    coco(tree, "l/2.json", images=[{**images[0], "width": 50}], categories=[{"id": 0, "name": "b"}])
    tree.put("l/3.json", '{"images":\n')
    tree.put("l/4.json", '{"images": []}')
    read = Read(open_source(tree.root))
    assert [(p.code, p.file, p.line) for p in read.problems] == [
        (ProblemCode.MISSING_IMAGE, "l/1.json", None),
        (ProblemCode.MISSING_IMAGE, "l/1.json", None),
        (ProblemCode.AMBIGUOUS_IMAGE, "l/1.json", None),
        (ProblemCode.CLASS_NAME_CONFLICT, "l/2.json", None),
        (ProblemCode.SIZE_CONFLICT, "l/2.json", None),
        (ProblemCode.BAD_LABEL_FILE, "l/3.json", 1),
        (ProblemCode.BAD_LABEL_FILE, "l/4.json", 0),
    ]


def test_every_code_has_words_of_its_own() -> None:
    assert len({code.words for code in ProblemCode}) == len(ProblemCode)
    assert all(code == code.value and code.value.islower() for code in ProblemCode)
