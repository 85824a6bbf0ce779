"""The folders of ../shared/cases that are YOLO data sets: what must hold of each, and the same in small."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from healtheat.building.build import BuildReport, build
from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from healtheat.sources.outside import outside_allowed
from tests.cases.folders import case
from tests.index.small_set import FakeEncoder
from tests.sources.reading import Read, Tree

BOX = "0 .5 .5 .1 .1\n"
VAL_IS_TRAIN = {Code.SAME_SPLIT: 1}  # most of these sets name one folder as train and val


def read(data: Path, *, outside: bool = False) -> Read:
    """The set as read where training is started: `path: .` counts from there."""
    with contextlib.chdir(data if data.is_dir() else data.parent), outside_allowed(outside):
        return Read(open_source(data))


def counted(found: Read) -> dict[Code, int]:
    return dict(Counter(found.codes))


def boxes(found: Read) -> int:
    return sum(len(image.boxes) for image in found.images.values())


def untrained(found: Read) -> list[str]:
    return [image.path for image in found.images.values() if image.untrained]


def task(found: Read) -> str:
    (one,) = {image.task for image in found.images.values()}
    return one


# Sets that are read whole: task, boxes, problems


@pytest.mark.parametrize(
    ("name", "told", "count", "problems"),
    [
        ("pose_2d", "pose", 18, {}),
        ("pose_vis2", "pose", 18, {}),
        ("val_same_as_train", "detect", 36, {}),
        ("oversampled_list", "detect", 24, {Code.REPEATED_IMAGE: 1}),
        ("bounds_1pc", "detect", 21, {Code.BEYOND_IMAGE: 3}),
        ("nfd_folder", "detect", 18, {Code.UNFOUND_PATH: 2}),
        ("nfd_list", "detect", 18, {Code.UNFOUND_PATH: 1}),
        ("long_names", "detect", 18, {}),
        ("track_ids", "detect", 18, {Code.IGNORED_IMAGE: 6}),
        ("track_ids_conf", "detect", 18, {Code.IGNORED_IMAGE: 6}),
        ("mixed_seg_box", "detect", 18, {Code.IGNORED_IMAGE: 3}),
        ("conf_labels", "detect", 18, {Code.IGNORED_IMAGE: 3}),
        ("labels_beside_images", "detect", 12, {Code.MISPLACED_LABELS: 1}),
        ("list_labels_beside", "detect", 0, {Code.MISPLACED_LABELS: 1}),
        ("capital_folders", "detect", 0, {Code.MISPLACED_LABELS: 1}),
    ],
)
def test_a_case_is_read_as_the_trainer_reads_it(
    shared: Path, name: str, told: str, count: int, problems: dict[Code, int]
) -> None:
    found = read(case(shared, name))
    assert (task(found), boxes(found)) == (told, count)
    assert counted(found) == {**VAL_IS_TRAIN, **problems}
    assert len(untrained(found)) == problems.get(Code.IGNORED_IMAGE, 0)


@pytest.mark.parametrize("name", ["pose_2d", "pose_vis2", "track_ids", "track_ids_conf"])
def test_a_box_is_the_first_five_fields(shared: Path, name: str) -> None:
    data = case(shared, name)
    for image in read(data).images.values():
        lines = (data / image.label_path).read_text(encoding="utf-8").splitlines()
        assert image.boxes.xywhn.tolist() == [[float(v) for v in line.split()[1:5]] for line in lines]
        assert image.boxes.confidence.tolist() == (
            pytest.approx([float(line.split()[5]) for line in lines])
            if name == "track_ids_conf"
            else pytest.approx([float("nan")] * len(lines), nan_ok=True)
        )


def test_labels_where_nobody_looks_are_told_with_both_places(shared: Path, tmp_path: Path) -> None:
    assert any(
        "Labels/train: 6 label files lie here" in reason and "looks in Images/train" in reason
        for reason in read(case(shared, "capital_folders")).reasons
    )
    beside = read(case(shared, "labels_beside_images"))
    assert Counter(image.status for image in beside.images.values()) == {"labelled": 4, "unlabelled": 4}
    with pytest.raises(InputError, match=r"no labelled box found.*Labels/train: 6 label files"):
        _built(case(shared, "capital_folders"), tmp_path / "index")


def _built(data: Path, index: Path) -> BuildReport:
    return build(open_source(data), index, encoder=FakeEncoder())


def test_a_tiny_image_is_no_image_to_train_on(shared: Path, tmp_path: Path) -> None:
    report = _built(case(shared, "tiny_photo"), tmp_path / "index")
    assert (report.images, report.boxes, report.untrained, report.task) == (7, 19, 1, "detect")
    assert [p.file for p in report.problems if p.code == Code.IGNORED_IMAGE] == ["images/train/tiny.png"]


def test_cvat_ultralytics_lists_begin_with_a_folder_of_the_archive(shared: Path) -> None:
    found = read(case(shared, "cvat_ultra"))
    assert (boxes(found), counted(found)) == (18, {Code.UNFOUND_PATH: 1})
    assert "write ./ in its place" in found.reasons[0]


def test_a_path_of_another_machine_and_a_list_of_stems_are_told(shared: Path) -> None:
    data = case(shared, "stem_lists")
    with pytest.raises(InputError, match=r"data\.yaml:1: folder of 'path: /Users/someone"):
        open_source(data)
    with pytest.raises(InputError, match=r"no extension of an image; write \./images/K-001900-00\.jpg"):
        read(data / "data2.yaml")


def test_a_link_that_was_copied_as_a_file_is_told(shared: Path) -> None:
    data = case(shared, "symlink_in")
    if (data / "pills_train").is_file():
        with pytest.raises(InputError, match=r"it holds a path, as a link does"):
            open_source(data)


def test_a_missing_test_split_does_not_stop_the_rest(shared: Path) -> None:
    found = read(case(shared, "roboflow_no_test"))
    assert (boxes(found), counted(found)) == (24, {Code.UNFOUND_PATH: 1})


# The same kinds, without ../shared


def put(tree: Tree, label: str, yaml: str = "", name: str = "a") -> None:
    tree.put(f"images/train/{name}.jpg")
    tree.put(f"labels/train/{name}.txt", label)
    tree.put("data.yaml", f"names: [a, b, c]\ntrain: images/train\n{yaml}")


POSE = "kpt_shape: [2, 3]\n"


@pytest.mark.parametrize(
    ("files", "yaml", "told"),
    [
        (["0 .5 .5 .1 .1"], "", "detect"),
        (["0 .1 .1 .3 .1 .3 .3 .1 .3"], "", "obb"),
        (["0 .1 .1 .3 .1 .3 .3 .1 .3", "0 .1 .1 .3 .1 .3 .3"], "", "segment"),
        (["0 .1 .1 .3 .1 .3 .3 .1 .3", "0 .5 .5 .1 .1"], "", "detect"),
        (["0 .5 .5 .1 .1 .5 .5 2 0 0 0"], POSE, "pose"),
        (["0 .5 .5 .1 .1"], POSE, "detect"),
        ([""], POSE, "detect"),
    ],
)
def test_the_task_is_told_by_all_files(tree: Tree, files: list[str], yaml: str, told: str) -> None:
    for number, line in enumerate(files):
        put(tree, line, yaml, str(number))
    found = read(tree.root)
    assert task(found) == told and boxes(found) == sum(map(bool, files)) and not found.problems


def test_the_task_can_be_given(tree: Tree) -> None:
    put(tree, "0 .1 .1 .3 .1 .3 .3 .1 .3")
    assert task(Read(open_source(tree.root, task="segment"))) == "segment"
    with pytest.raises(InputError, match="kpt_shape"):
        open_source(tree.root, task="pose")
    with pytest.raises(InputError, match="choose from detect, segment, pose, obb"):
        open_source(tree.root, task="classify")


def test_keypoints_are_no_polygon_and_are_looked_at(tree: Tree) -> None:
    put(tree, "0 .5 .5 .2 .2 .5 .5 2 .6 .6 1\n1 .2 .2 .1 .1 .5 1.5 2 .6 .6 1\n", POSE)
    found = read(tree.root)
    assert found.images["images/train/a.jpg"].boxes.xywhn.tolist() == [[0.5, 0.5, 0.2, 0.2]]
    assert found.reasons == [
        "labels/train/a.txt:2: y of keypoint 1 1.5 lies outside 0 to 1; values are shares of the image, not "
        "pixels; YOLO ignores the whole image"
    ]


def test_a_line_without_its_keypoints_costs_the_image(tree: Tree) -> None:
    put(tree, "0 .5 .5 .2 .2 .5 .5 2 .6 .6 1\n1 .2 .2 .1 .1\n", POSE)
    found = read(tree.root)
    assert (boxes(found), found.codes, found.problems[0].line) == (2, [Code.IGNORED_IMAGE], 1)


def test_track_numbers_of_two_tracks_are_no_corners(tree: Tree) -> None:
    """Ids 0 and 1 lie inside the image, so that the trainer takes such lines for triangles."""
    put(tree, "0 .3 .3 .2 .2 .9 0\n1 .7 .7 .2 .2 .8 1\n")
    found = read(tree.root)
    assert found.images["images/train/a.jpg"].boxes.xywhn.tolist() == [
        [0.3, 0.3, 0.2, 0.2],
        [0.7, 0.7, 0.2, 0.2],
    ]
    assert found.codes == [Code.MISREAD_LABELS] and untrained(found)


def test_a_triangle_stays_a_triangle(tree: Tree) -> None:
    put(tree, "0 .1 .1 .3 .1 .3 .5\n0 .1 .1 .3 .1 .3 1\n")
    found = read(tree.root)
    assert boxes(found) == 2 and not found.problems and task(found) == "segment"


def test_a_number_of_a_track_is_no_confidence(tree: Tree) -> None:
    put(tree, "0 .3 .3 .2 .2 1\n1 .7 .7 .2 .2 0\n")
    put(tree, "0 .3 .3 .2 .2 7\n", name="b")
    found = read(tree.root)
    values = [c for image in found.images.values() for c in image.boxes.confidence.tolist()]
    assert values == pytest.approx([float("nan")] * 3, nan_ok=True)
    assert found.codes == [Code.IGNORED_IMAGE] * 2


def test_confidences_stay_confidences(tree: Tree) -> None:
    put(tree, "0 .3 .3 .2 .2 1\n1 .7 .7 .2 .2 .25\n")
    (image,) = read(tree.root).images.values()
    assert image.boxes.confidence.tolist() == [1, 0.25] and image.untrained


@pytest.mark.parametrize("labels", ["photos/labels/a.txt", "labels/photos/a.txt", "Labels/a.txt"])
def test_misplaced_labels_are_found(tree: Tree, labels: str) -> None:
    tree.put("photos/a.jpg")
    tree.put(labels, BOX)
    found = read(tree.put("data.yaml", "names: [a]\ntrain: photos\n"))
    assert [p.file for p in found.problems if p.code == Code.MISPLACED_LABELS] == [labels.rpartition("/")[0]]
    assert found.images["photos/a.jpg"].status == "unlabelled"


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.parametrize(
    ("link", "to", "image", "labels", "looks"),
    [
        ("images/train", "nas/images/train", "x/a.jpg", "labels/train/x", "nas/labels/train/x"),
        ("images", "nas/pics", "train/a.jpg", "labels/train", "nas/pics/train"),
    ],
)
def test_labels_beside_a_link_to_images_are_told(
    tree: Tree, link: str, to: str, image: str, labels: str, looks: str
) -> None:
    tree.put(f"{to}/{image}")
    tree.put(f"set/{labels}/a.txt", BOX)
    tree.put("set/images/val/b.jpg" if link != "images" else f"{to}/val/b.jpg")
    data = tree.put("set/data.yaml", "names: [a]\ntrain: images/train\nval: images/val\n")
    (data.parent / link).symlink_to(tree.root / to)
    found = read(data, outside=True)
    (told,) = (p for p in found.problems if p.code == Code.MISPLACED_LABELS)
    assert told.file == labels and f"it looks in {(tree.root / looks).as_posix()}" in told.reason
    assert "is a link" in told.reason and boxes(found) == 0
    tree.put(f"{looks}/a.txt", BOX)
    found = read(data, outside=True)
    assert boxes(found) == 1 and Code.MISPLACED_LABELS not in found.codes


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that tell .txt and .TXT apart")
def test_labels_whose_ending_is_in_capitals(tree: Tree) -> None:
    for name in ("a", "b", "c"):
        tree.put(f"images/{name}.jpg")
        tree.put(f"labels/{name}.TXT", BOX)
    tree.put("labels/c.txt", BOX)
    found = read(tree.put("data.yaml", "names: [a]\ntrain: images\n"))
    assert found.codes == [Code.MISPLACED_LABELS] * 2 and boxes(found) == 1
    assert "2 label files lie here under names" in found.reasons[0] and "looks for a.txt" in found.reasons[0]
    assert "c.TXT: YOLO looks for c.txt" in found.reasons[1]


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that tell NFC and NFD apart")
def test_names_that_look_alike(tree: Tree) -> None:
    nfd = unicodedata.normalize("NFD", "알약")
    tree.put(f"images/{nfd}.jpg")
    tree.put("labels/알약.txt", BOX)
    tree.put("train.txt", "./images/알약.jpg\n")
    found = read(tree.put("data.yaml", "names: [a]\ntrain: train.txt\n"))
    assert list(found.images) == [f"images/{nfd}.jpg"]
    assert set(found.codes) == {Code.UNFOUND_PATH, Code.MISPLACED_LABELS}
    assert all("NFC" in reason and "NFD" in reason for reason in found.reasons)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_split_that_is_a_link_counts_as_what_it_leads_to(tree: Tree) -> None:
    tree.put("nas/images/train/a.jpg")
    tree.put("nas/labels/train/a.txt", BOX)
    tree.put("data/data.yaml", "names: [a]\ntrain: pills\n")
    os.symlink("../nas/images/train", tree.root / "data/pills")  # noqa: PTH211
    found = read(tree.root / "data", outside=True)
    (image,) = found.images.values()
    assert image.path == (tree.root / "nas/images/train/a.jpg").as_posix() == image.file.as_posix()
    assert (image.label_path, boxes(found)) == ((tree.root / "nas/labels/train/a.txt").as_posix(), 1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_data_set_behind_a_link_keeps_its_relative_paths(tree: Tree) -> None:
    put(tree, BOX)
    link = tree.root.parent / f"{tree.root.name}-link"
    link.symlink_to(tree.root)
    found = read(link)
    assert list(found.images) == ["images/train/a.jpg"] and boxes(found) == 1


def test_a_list_that_yolo_does_not_find_is_one_problem(tree: Tree) -> None:
    for name in ("a", "b", "c"):
        put(tree, BOX, name=name)
    tree.put("train.txt", "./images/train/a.jpg\nimages/train/b.jpg\nimages/train/c.jpg \n")
    found = read(tree.put("data.yaml", "names: [a]\ntrain: train.txt\n"))
    assert len(found.images) == 3
    assert [(p.code, p.line) for p in found.problems] == [(Code.UNFOUND_PATH, 1)]
    tree.put("train.txt", "./images/train/a.jpg \n./images/train/b.jpg\n")
    assert "white space around the path" in read(tree.root).reasons[0]


def test_a_bad_line_says_that_it_costs_the_image(tree: Tree) -> None:
    put(tree, BOX + "0 .5 .5 .1 nan\n0 .5 .5 .1 0\n")
    found = read(tree.root)
    assert [("ignores the whole image" in reason) for reason in found.reasons] == [True, False]
    assert untrained(found) == ["images/train/a.jpg"]
    put(tree, BOX + "0 .5 .5 .1 0\n")  # no area: the trainer takes it
    assert not untrained(read(tree.root))


def test_the_same_numbers_written_otherwise_are_one_box(tree: Tree) -> None:
    put(tree, BOX + "0 0.50 .5 .1 1e-1\n" + "0.0 .5 .5 .1 .10000000001\n")
    found = read(tree.root)
    assert (boxes(found), found.codes) == (1, [Code.REPEATED_LINE] * 2)


def test_ids_written_by_pandas_and_a_byte_order_mark(tree: Tree) -> None:
    put(tree, "\ufeff1.0 .5 .5 .1 .1\n2. .5 .5 .1 .1\n")
    (image,) = read(tree.root).images.values()
    assert image.boxes.class_id.tolist() == [1, 2]


def test_names_may_be_a_number_alone(tree: Tree) -> None:
    put(tree, BOX)
    source = open_source(tree.put("data.yaml", "nc: 2\ntrain: images/train\n"))
    assert source.names == {0: "class_0", 1: "class_1"}


def test_unlabelled_and_tiny_images_are_counted(tree: Tree) -> None:
    for name, side in (("a", 40), ("b", 9), ("c", 40)):
        put(tree, BOX, name=name)
        Image.new("RGB", (side, 40), "red").save(tree.root / f"images/train/{name}.jpg")
    (tree.root / "labels/train/c.txt").unlink()
    report = build(open_source(tree.root), tree.root / "index", encoder=FakeEncoder())
    assert (report.unlabelled, report.untrained, report.task) == (1, 1, "detect")
    assert [(p.code, p.file) for p in report.problems] == [(Code.IGNORED_IMAGE, "images/train/b.jpg")]


def test_a_case_can_be_copied_and_built(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(
        case(shared, "conf_labels"), tmp_path / "data", ignore=shutil.ignore_patterns(".healtheat")
    )
    report = build(open_source(tmp_path / "data"), tmp_path / "index", encoder=FakeEncoder())
    assert (report.untrained, report.boxes) == (3, 18)
