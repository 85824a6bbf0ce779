"""YOLO data sets: which images, which labels, and everything odd told as a problem."""

import hashlib
import os
import random
import sys

import pytest

from healtheat.core.errors import InputError
from healtheat.sources import open_source
from healtheat.sources.outside import outside_allowed
from healtheat.sources.yolo import members
from healtheat.sources.yolo.source import YoloSource
from tests.sources.reading import Read

BOX = "0 .5 .5 .1 .1\n"


def make(tree, yaml="names: [a, b]\ntrain: images/train\nval: images/val\n"):
    tree.put("images/train/1.jpg")
    tree.put("labels/train/1.txt", BOX + "1 .2 .2 .1 .1\n")
    tree.put("images/train/deep/2.PNG")
    tree.put("labels/train/deep/2.txt", "\n \r\n")
    tree.put("images/val/3.webp")
    tree.put("notes.txt", "hello")
    return tree.put("data.yaml", yaml)


def test_images_labels_splits_and_statuses(tree):
    source = open_source(make(tree))
    read = Read(source)
    assert (source.kind, source.root, dict(source.names)) == ("yolo", tree.root, {0: "a", 1: "b"})
    assert [(i.path, i.split, i.status, i.label_path, len(i.boxes)) for i in read.images.values()] == [
        ("images/train/1.jpg", "train", "labelled", "labels/train/1.txt", 2),
        ("images/train/deep/2.PNG", "train", "empty", "labels/train/deep/2.txt", 0),
        ("images/val/3.webp", "val", "unlabelled", "", 0),
    ]
    assert not read.problems
    assert set(read.files) == {"data.yaml", "labels/train/1.txt", "labels/train/deep/2.txt"}
    for path, file in read.files.items():
        data = (tree.root / path).read_bytes()
        assert (file.sha256, file.size) == (hashlib.sha256(data).hexdigest(), len(data))
    for image in read.images.values():
        assert image.file == tree.root / image.path
        assert (image.boxes.box_id == -1).all() and image.size_px is None


def test_reading_twice_gives_the_same_and_order_is_that_of_names(tree):
    names = [f"images/train/{i}.jpg" for i in range(30)]
    make(tree, "names: [a]\ntrain: images/train\n")
    for name in random.Random(0).sample(names, len(names)):
        tree.put(name)
    source = open_source(tree.root)
    first, second = Read(source), Read(source)
    assert list(first.images) == list(second.images)
    assert list(first.images)[:4] == [f"images/train/{i}.jpg" for i in (0, 1, 10, 11)]


def test_bad_lines_carry_file_line_and_image(tree):
    make(tree)
    tree.put("labels/train/1.txt", "0 nan .5 .1 .1\n" + BOX + "7 .5 .5 .1 .1\n")
    read = Read(open_source(tree.root))
    assert read.images["images/train/1.jpg"].boxes.line.tolist() == [1]
    assert [(p.file, p.line, p.image) for p in read.problems] == [
        ("labels/train/1.txt", 0, "images/train/1.jpg"),
        ("labels/train/1.txt", 2, "images/train/1.jpg"),
    ]
    assert "7 is absent from the class names" in read.problems[1].reason


def test_label_file_of_bad_lines_alone_is_not_empty(tree):
    make(tree)
    tree.put("labels/train/1.txt", "junk\n")
    image = Read(open_source(tree.root)).images["images/train/1.jpg"]
    assert (image.status, len(image.boxes)) == ("labelled", 0)


def test_label_file_that_cannot_be_read(tree):
    make(tree)
    (tree.root / "labels/train/1.txt").unlink()
    (tree.root / "labels/train/1.txt").mkdir()
    read = Read(open_source(tree.root))
    assert read.images["images/train/1.jpg"].status == "labelled"
    assert "labels/train/1.txt: label file not a regular file" in read.reasons


def test_label_files_without_an_image(tree):
    make(tree)
    tree.put("labels/train/gone.txt", BOX)
    tree.put("labels/train/deep/gone.txt", "")
    tree.put("labels/train/classes.txt", "a\nb\n")
    tree.put("labels/test/other.txt", BOX)  # no split names this folder
    assert Read(open_source(tree.root)).reasons == [
        "labels/train/deep/gone.txt: label file without an image",
        "labels/train/gone.txt: label file without an image",
    ]


def test_labels_beside_the_images(tree):
    tree.put("photos/a.jpg")
    tree.put("photos/a.txt", BOX)
    tree.put("photos/b.txt", BOX)
    tree.put("photos/list.txt", "./a.jpg\n")
    read = Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: photos\nval: photos/list.txt\n")))
    assert read.images["photos/a.jpg"].label_path == "photos/a.txt"
    assert read.reasons == [
        "data.yaml:3: the one image of split val is in train too; read once, in train; both splits "
        "stay as they are",
        "photos/b.txt: label file without an image",
    ]


def test_leaks_and_repeats(tree):
    make(tree, "names: [a, b]\ntrain: [images/train, images/train/deep]\nval: images/train/deep\n")
    read = Read(open_source(tree.root))
    assert list(read.images) == ["images/train/1.jpg", "images/train/deep/2.PNG"]
    assert read.reasons == [
        "data.yaml:2: 1 of 1 images are given twice or more often, first images/train/deep/2.PNG; each is "
        "read once, and lists to train on name it as often as this",
        "data.yaml:3: the one image of split val is in train too; read once, in train; both splits "
        "stay as they are",
    ]


def test_a_place_given_again_and_again_is_walked_once_and_told_once(tree, monkeypatch):
    walks = []
    real = members.walked
    monkeypatch.setattr(members, "walked", lambda *given: walks.append(given[0]) or real(*given))
    again = ", ".join(["images/train", "./images/val/../train"] * 20)
    make(tree, f"names: [a, b]\ntrain: [{again}]\nval: [images/val, {again}]\ntest: [gone, gone]\n")
    source = open_source(tree.root)
    read = Read(source)
    assert len(walks) == len(set(walks)) + 1, "once for each split that names it"
    assert [reason.split(";")[0] for reason in read.reasons] == [
        f"data.yaml:4: 'test: gone' not found (tried {tree.root / 'gone'})",
        "data.yaml:2: 2 of 2 images are given twice or more often, first images/train/1.jpg",
        "images/train/1.jpg: image is in split train too (a leak)",
        "images/train/deep/2.PNG: image is in split train too (a leak)",
    ]
    assert source.members().named["train"] == ["images/train/1.jpg", "images/train/deep/2.PNG"] * 40


def test_a_place_given_too_often_is_refused_before_anything_is_walked(tree):
    make(tree, f"names: [a, b]\ntrain: [{'images/train,' * 30_000}]\nval: images/val\n")
    with pytest.raises(InputError, match=r"data\.yaml:2: 'train: images/train' is given more than 100 times"):
        open_source(tree.root)


def test_a_leak_of_some_images_is_told_for_each(tree):
    make(tree, "names: [a, b]\ntrain: images/train\nval: [images/val, images/train/deep]\n")
    source = open_source(tree.root)
    assert Read(source).reasons == [
        "images/train/deep/2.PNG: image is in split train too (a leak); kept there, not in val"
    ]
    assert source.members().named == {
        "train": ["images/train/1.jpg", "images/train/deep/2.PNG"],
        "val": ["images/val/3.webp"],
    }


def test_two_images_with_one_label_file(tree):
    make(tree)
    tree.put("images/train/1.png")
    read = Read(open_source(tree.root))
    assert len(read.images["images/train/1.png"].boxes) == len(read.images["images/train/1.jpg"].boxes) == 2
    assert len(read.problems) == 1 and "label file of two images" in read.problems[0].reason


def test_same_names_in_two_folders_do_not_collide(tree):
    for folder in ("a", "b"):
        tree.put(f"{folder}/images/1.jpg")
        tree.put(f"{folder}/labels/1.txt", BOX)
    read = Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: [a/images, b/images]\n")))
    assert {i.path: i.label_path for i in read.images.values()} == {
        "a/images/1.jpg": "a/labels/1.txt",
        "b/images/1.jpg": "b/labels/1.txt",
    }


def test_lists(tree, tmp_path_factory):
    make(tree)
    outside = tmp_path_factory.mktemp("outside") / "o.jpg"
    outside.write_bytes(b"")
    lines = [
        "./images/val/3.webp",
        "images/train/1.jpg",
        "",
        str(outside),
        "images/train/none.jpg",
        "images/train/1.txt",
        "images/train/../train/1.jpg",
        "x" * 300 + ".jpg",
        "y" * 9000,
        "a\x07.jpg",
    ]
    tree.put("train.txt", "\ufeff" + "\r\n".join(lines))
    tree.put("bad.txt", b"\xff\xfe.jpg\n")
    with outside_allowed(True):
        source = open_source(tree.put("data.yaml", "names: [a, b]\ntrain: train.txt\ntest: bad.txt\n"))
    read = Read(source)
    assert set(read.images) == {"images/train/1.jpg", "images/val/3.webp", outside.as_posix()}
    assert {"train.txt", "bad.txt", "data.yaml"} <= set(read.files)
    assert len(read.images["images/train/1.jpg"].boxes) == 2
    reasons = {(p.file, p.line): p.reason for p in read.problems}
    assert "image images/train/none.jpg not found" in reasons["train.txt", 4]
    assert "no extension of an image" in reasons["train.txt", 5]
    assert "given twice" in reasons["train.txt", 6]
    assert "not found" in reasons["train.txt", 7]
    assert "longer than 4096" in reasons["train.txt", 8]
    assert "control character" in reasons["train.txt", 9]
    assert "not UTF-8" in reasons["bad.txt", 0]


def test_images_outside_the_root_by_data_yaml(tree):
    tree.put("images/1.jpg")
    tree.put("labels/1.txt", BOX)
    with outside_allowed(True):
        source = open_source(tree.put("sub/data.yaml", "names: [a]\ntrain: ../images\n"))
    (image,) = Read(source).images.values()
    assert image.path == (tree.root / "images/1.jpg").as_posix()
    assert image.label_path == (tree.root / "labels/1.txt").as_posix()
    assert len(image.boxes) == 1


def test_other_extensions_and_hidden_files(tree):
    make(tree)
    tree.put("images/train/x.gif")
    tree.put("images/train/._1.jpg")
    tree.put("images/train/.cache/1.jpg")
    tree.put("images/train/readme.md")
    read = Read(open_source(tree.root))
    assert len(read.images) == 3
    assert read.reasons == ["images/train/x.gif: YOLO does not train on .gif files; convert it to PNG"]


def test_folder_without_yaml_takes_ids_as_they_are(tree):
    make(tree).unlink()
    tree.put("labels/val/3.txt", "33877 .5 .5 .1 .1\n")
    tree.put("images/loose.jpg")
    source = open_source(tree.root)
    read = Read(source)
    assert source.names == {0: "0", 1: "1", 33877: "33877"}
    assert {i.path: i.split for i in read.images.values()} == {
        "images/loose.jpg": "",
        "images/train/1.jpg": "train",
        "images/train/deep/2.PNG": "train",
        "images/val/3.webp": "val",
    }
    assert not read.problems


def test_a_split_without_an_image_of_its_own_is_told_once(tree):
    tree.put("images/a.jpg")
    tree.put("labels/a.txt", "0 .5 .5 .1 .1\n")
    read = Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: images\nval: images\n")))
    (problem,) = read.problems
    assert (problem.code, problem.file, problem.line) == ("same_split", "data.yaml", 2)
    assert problem.is_note and not problem.is_leak and "leak" not in problem.reason


def test_a_folder_is_told_once(tree):
    tree.put("list.txt", "./a\n")
    with pytest.raises(InputError) as error:
        Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: list.txt\nval: list.txt\n")))
    assert str(error.value).count(str(tree.root / "list.txt")) == 1


def test_no_image_at_all(tree):
    tree.put("images/x.txt")
    with pytest.raises(InputError, match=r"no image in .*images are files ending in"):
        Read(open_source(tree.put("data.yaml", "names: [a]\ntrain: images\n")))


@pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and odd names")
def test_links_pipes_and_odd_names(tree):
    make(tree, "names: [a, b]\ntrain: images/train\n")
    train = tree.root / "images/train"
    (train / "loop").symlink_to(train)
    (train / "broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(train / "pipe.jpg")
    tree.put("images/train/new\nline.jpg")
    (train / os.fsdecode(b"b\xff.jpg")).write_bytes(b"")
    (tree.root / "elsewhere").mkdir()
    tree.put("elsewhere/9.jpg")
    (train / "linked").symlink_to(tree.root / "elsewhere")
    read = Read(open_source(tree.root))
    assert {"images/train/broken.jpg", "images/train/linked/9.jpg"} < set(read.images)
    assert len(read.images) == 4
    assert {p.file.rpartition("/")[2]: p.reason.split(";")[0] for p in read.problems} == {
        "loop": "folder linked into itself",
        "pipe.jpg": "neither a file nor a folder",
        "new\\nline.jpg": "file name 'new\\\\nline.jpg' holds a control character",
        "b\\udcff.jpg": "file name b\\udcff.jpg is not valid Unicode",
    }
    "".join(read.reasons).encode("utf-8")


def test_nothing_is_written(tree):
    make(tree)
    before = sorted((p.as_posix(), p.stat().st_mtime_ns) for p in tree.root.rglob("*"))
    Read(open_source(tree.root))
    assert sorted((p.as_posix(), p.stat().st_mtime_ns) for p in tree.root.rglob("*")) == before


def test_real_data_line_by_line(shared):
    root = shared / "data" / "pushin-pill"
    read = Read(YoloSource(root / "data.yaml"))
    assert len(read.images) == 267 and not read.problems
    assert sum(len(image.boxes) for image in read.images.values()) == 1383
    for image in read.images.values():
        lines = (root / image.label_path).read_text(encoding="utf-8").splitlines()
        assert image.boxes.class_id.tolist() == [int(line.split()[0]) for line in lines]
        four = [i for i, line in enumerate(lines) if len(line.split()) == 5]
        assert image.boxes.xywhn[four].tolist() == [[float(v) for v in lines[i].split()[1:]] for i in four]
