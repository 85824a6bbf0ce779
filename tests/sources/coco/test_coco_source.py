"""COCO data sets: one file, one JSON an image, AI Hub's folders with one JSON a pill."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.core.boxes import ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import contained
from healtheat.sources import open_source
from healtheat.sources.coco import merge as coco_merge
from healtheat.sources.coco.source import split_of_file
from tests.sources.reading import Read, Tree


def coco(images, annotations, categories=((0, "a"), (1899, "보령부스파정 5mg"))):
    """images: (id, file_name); annotations: (image_id, category_id, bbox)."""
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name, "width": 100, "height": 200} for i, name in images],
            "annotations": [
                {"id": n, "image_id": i, "category_id": c, "bbox": bbox}
                for n, (i, c, bbox) in enumerate(annotations)
            ],
            "categories": [{"id": i, "name": name} for i, name in categories],
        }
    )


ONE = coco(
    [(5, "b.jpg"), (6, "a.jpg"), (7, "gone.jpg")],
    [
        (6, 1899, [0, 0, 10, 20]),
        (5, 0, [0, 0, 100, 200]),
        (6, 0, [50, 50, 10, 10]),
        (7, 0, [1, 1, 2, 2]),
    ],
)


@pytest.mark.parametrize(
    ("labels", "images", "root"),
    [
        ("labels.json", "", ""),
        ("labels.json", "images/", ""),
        ("x/annotations/instances_val2017.json", "x/val2017/", "x"),
        ("x/annotations/instances_val2017.json", "x/images/val2017/", "x"),
        ("x/train_annotations/all.json", "x/images/", "x"),
    ],
)
def test_one_file_and_the_usual_places_of_images(tree, labels, images, root):
    tree.put(images + "a.jpg")
    tree.put(images + "b.jpg")
    tree.put(images + "unlisted.jpg")
    source = open_source(tree.put(labels, ONE))
    assert source.kind == "coco" and source.root == tree.root / root
    assert source.names == {0: "a", 1899: "보령부스파정 5mg"}
    read = Read(source)
    a, b = read.images.values()
    assert a.file == tree.root / images / "a.jpg" and a.file == source.root / a.path
    assert (a.size_px, a.status, a.box_label_path) == ((100, 200), "labelled", ())
    assert a.boxes.class_id.tolist() == [1899, 0] and a.boxes.line.tolist() == [0, 2]
    np.testing.assert_allclose(a.boxes.xywhn, [[0.05, 0.05, 0.1, 0.1], [0.55, 0.275, 0.1, 0.05]])
    assert b.boxes.line.tolist() == [1]
    label_path = (tree.root / labels).relative_to(source.root).as_posix()
    assert a.label_path == label_path and set(read.files) == {label_path}
    assert len(read.problems) == 1
    assert "image gone.jpg not found; its 1 box is left out" in read.problems[0].reason
    assert a.split == ("val" if "val2017" in labels else "train" if "train" in labels else "")
    assert list(Read(source).images) == list(read.images)


def test_images_elsewhere_must_be_named(tree, tmp_path_factory):
    labels = tree.put("deep/er/labels.json", ONE)
    other = Tree(tmp_path_factory.mktemp("photos"))
    other.put("a.jpg")
    other.put("b.jpg")
    with pytest.raises(InputError, match=r"images not found .*name the folder"):
        open_source(labels)
    source = open_source(labels, images=other.root)
    read = Read(source)
    assert source.root == other.root and set(read.images) == {"a.jpg", "b.jpg"}
    assert set(read.files) == {labels.as_posix()}
    with pytest.raises(InputError, match="none of its images"):
        Read(open_source(labels, images=tree.root))
    with pytest.raises(InputError, match="not a folder"):
        open_source(labels, images=tree.root / "none")


def test_listed_image_without_annotations_is_empty(tree):
    tree.put("a.jpg")
    tree.put("b.jpg")
    read = Read(open_source(tree.put("l.json", coco([(1, "a.jpg"), (2, "b.jpg")], [(1, 0, [1, 1, 0, 0])]))))
    assert {i.path: i.status for i in read.images.values()} == {"a.jpg": "labelled", "b.jpg": "empty"}
    assert read.problems[0].image == "a.jpg"


def aihub(tree, image="K-001900-010224_0_2_0_2_70_000_200"):
    """Two pills of one image, each with a JSON of its own, as AI Hub has them."""
    tree.put(f"train_images/{image}.png")
    tree.put("train_images/unlabelled.png")
    folder = f"train_annotations/{image.split('_')[0]}_json"
    one = coco([(1, f"{image}.png")], [(1, 1899, [10, 20, 30, 40])], [(1899, "보령부스파정 5mg")])
    two = coco([(1, f"{image}.png")], [(1, 10223, [50, 60, 30, 40])], [(10223, "나")])
    return tree.put(f"{folder}/K-001900/{image}.json", one), tree.put(f"{folder}/K-010224/{image}.json", two)


def test_aihub_folders_merge_the_pills_of_an_image(tree):
    files = [path.relative_to(tree.root).as_posix() for path in aihub(tree)]
    source = open_source(tree.root)
    read = Read(source)
    assert source.kind == "coco" and source.names == {1899: "보령부스파정 5mg", 10223: "나"}
    labelled, unlabelled = read.images.values()
    assert labelled.boxes.class_id.tolist() == [1899, 10223]
    assert labelled.boxes.line.tolist() == [0, 1]
    assert labelled.box_label_path == tuple(files) and labelled.label_path == files[0]
    assert (labelled.split, labelled.size_px) == ("train", (100, 200))
    assert (unlabelled.status, unlabelled.label_path) == ("unlabelled", "")
    assert set(read.files) == set(files) and not read.problems


def test_aihub_images_beside_the_labels_folder(tree):
    aihub(tree)
    with pytest.raises(InputError, match="no image in it"):
        Read(open_source(tree.root / "train_annotations"))
    source = open_source(tree.root / "train_annotations", images=tree.root / "train_images")
    assert source.root == tree.root
    assert len(Read(source).images) == 2


def test_bad_files_of_a_folder_are_problems_and_the_rest_goes_on(tree):
    aihub(tree)
    tree.put("train_annotations/cut.json", '{"images": [\n{"id": 1,')
    tree.put("train_annotations/notes.json", '{"version": 1}')
    tree.put("train_annotations/list.json", "[1]")
    tree.put("train_annotations/lost.json", coco([(1, "lost.png")], [(1, 0, [1, 1, 2, 2])]))
    tree.put("train_annotations/escape.json", coco([(1, "../../x.png")], []))
    read = Read(open_source(tree.root))
    labelled = next(iter(read.images.values()))
    assert len(labelled.boxes) == 2
    reasons = {p.file.rpartition("/")[2]: (p.line, p.reason) for p in read.problems}
    assert reasons["cut.json"][0] == 1 and "not a readable COCO JSON" in reasons["cut.json"][1]
    assert reasons["notes.json"][0] == 0 and "the list 'images' is missing" in reasons["notes.json"][1]
    assert "found a list" in reasons["list.json"][1]
    assert reasons["lost.json"] == (None, "images: image lost.png not found; its 1 box is left out")
    assert "leaves the image folder" in reasons["escape.json"][1]


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("cp949", "bytes that are not UTF-8 text"),
        ("utf-16", "UTF-16 text; save the file as UTF-8"),
        ("utf-16-le", "UTF-16 text"),
        ("utf-16-be", "UTF-16 text"),
    ],
)
def test_a_folder_whose_files_cannot_be_read_says_so_first(tree, encoding, reason):
    tree.put("a.png")
    written = coco([(1, "a.png")], [(1, 0, [1, 1, 2, 2])], [(0, "알약")])
    tree.put("1.json", json.dumps(json.loads(written), ensure_ascii=False).encode(encoding))
    with pytest.raises(InputError) as caught:
        list(open_source(tree.root).read())
    assert f": 1 of its 1 JSON file cannot be read: 1.json:1: not a readable COCO JSON: {reason}" in str(
        caught.value
    )
    tree.put("2.json", coco([(1, "b.png")], []))
    with pytest.raises(InputError, match=r"1 of its 2 JSON files cannot .*; the others name no image that"):
        list(open_source(tree.root).read())


def test_lines_go_on_over_the_files_of_an_image_and_conflicts_are_told(tree):
    tree.put("a.png")
    box, twin = [1, 1, 10, 10], [2, 2, 10, 10]
    tree.put("1.json", coco([(1, "a.png"), (2, "b.png")], [(2, 0, box), (1, 0, [0, 0, 0, 0]), (1, 0, twin)]))
    tree.put("2.json", coco([(1, "./a.png")], [(1, 0, twin), (1, 1899, twin)], [(0, "other"), (1899, "c")]))
    tree.put("3.json", coco([(1, "a.png")], [(1, 0, box)]).replace('"width": 100', '"width": 101'))
    tree.put("b.png")
    source = open_source(tree.root)
    read = Read(source)
    a = read.images["a.png"]
    assert a.boxes.line.tolist() == [2, 4, 5]
    assert a.box_label_path == ("1.json", "2.json", "3.json")
    assert source.names[0] == "a"
    reasons = [(p.file, p.line, p.reason) for p in read.problems]
    assert ("2.json", 0, "annotations[0]: exact duplicate of a box in 1.json") in reasons
    assert ("2.json", None, "category 0 is called other here, a before") in reasons
    assert ("3.json", None, "claims that the image is 101 x 200 px, but 1.json says 100 x 200 px") in reasons
    assert len(reasons) == 5  # and the flat box, and the name of 1899


def test_one_json_an_image_with_the_same_name_in_two_folders(tree):
    for folder in ("train", "valid"):
        tree.put(f"{folder}/a.jpg")
        tree.put(f"{folder}/_annotations.coco.json", coco([(1, "a.jpg")], [(1, 0, [1, 1, 5, 5])]))
    read = Read(open_source(tree.root))
    assert {i.path: (i.split, i.label_path, len(i.boxes)) for i in read.images.values()} == {
        "train/a.jpg": ("train", "train/_annotations.coco.json", 1),
        "valid/a.jpg": ("val", "valid/_annotations.coco.json", 1),
    }


def test_a_name_that_two_images_share_is_not_guessed(tree):
    tree.put("x/a.jpg")
    tree.put("y/a.jpg")
    tree.put("z/b.jpg")
    tree.put("l/1.json", coco([(1, "a.jpg"), (2, "b.jpg"), (3, "y/a.jpg")], [(1, 0, [1, 1, 5, 5])]))
    read = Read(open_source(tree.root))
    assert "2 images are called a.jpg: " in read.problems[0].reason
    assert {i.path: i.status for i in read.images.values()} == {
        "x/a.jpg": "unlabelled", "y/a.jpg": "empty", "z/b.jpg": "empty",
    }  # fmt: skip


def test_folder_that_names_no_image(tree):
    tree.put("a.jpg")
    tree.put("l.json", coco([(1, "b.jpg")], []))
    with pytest.raises(InputError, match="name no image that is there"):
        Read(open_source(tree.root))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 90)), max_size=25),
       st.integers(1, 3))  # fmt: skip
def test_a_folder_gives_every_box_of_its_files_once(tmp_path_factory, boxes, compact_every):
    """(image, file, x): the boxes of four files over five images, whatever falls where."""
    tree = Tree(tmp_path_factory.mktemp("merge"))
    for image in range(5):
        tree.put(f"{image}.jpg")
    for file in range(4):
        mine = [(p, 0, [x, x, 5, 5]) for p, f, x in boxes if f == file]
        tree.put(f"{file}.json", coco([(p, f"{p}.jpg") for p in range(5)], mine))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_merge, "_COMPACT_EVERY", compact_every)
        read = Read(open_source(tree.root))
    for image in range(5):
        boxes_read = read.images[f"{image}.jpg"].boxes
        found = sorted(round((cx - 0.025) * 100) for cx in boxes_read.xywhn[:, 0].tolist())
        assert found == sorted({x for p, _, x in boxes if p == image})
        assert np.all(np.diff(boxes_read.line) > 0)
    kept = sum(len(image.boxes) for image in read.images.values())
    assert kept + sum(p.code == ProblemCode.REPEATED_LINE for p in read.problems) == len(boxes)


@given(st.text(max_size=30))
def test_claimed_names_never_leave_the_folder(name):
    try:
        path = contained(name)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert not path.is_absolute() and ".." not in path.parts and path.name


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("train/_annotations.coco.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("train_annotations/K_json/K/x.json", "train"),
        ("TL_1/K-001900_json/K-001900/x.json", ""),
        ("test.json", "test"),
        ("latest/contest.json", ""),
    ],
)
def test_splits_are_told_by_words_of_the_path(file, split):
    assert split_of_file(file) == split


def test_real_failed_relabelling_as_one_file_and_as_a_file_an_image(shared, tree):
    document = json.loads((shared / "data/clip-collapse/pseudo_labels.json").read_text(encoding="utf-8"))
    some = document["images"][::6]
    for image in document["images"]:
        tree.put(f"set/images/{image['file_name']}")
    shutil.copy(shared / "data/clip-collapse/pseudo_labels.json", tree.root / "set")
    one = Read(open_source(tree.root / "set" / "pseudo_labels.json"))
    assert sum(len(i.boxes) for i in one.images.values()) == 2547
    (tree.root / "set" / "pseudo_labels.json").unlink()
    for image in document["images"]:
        if image not in some:
            (tree.root / f"set/images/{image['file_name']}").unlink()
            del one.images[f"images/{image['file_name']}"]
    for image in some:
        for n, annotation in enumerate(a for a in document["annotations"] if a["image_id"] == image["id"]):
            part = {"images": [image], "annotations": [annotation], "categories": document["categories"]}
            tree.put(f"set/json/{n}/{image['file_name']}.json", json.dumps(part))
    many = Read(open_source(tree.root / "set"))
    assert not one.problems and not many.problems
    assert len(one.images) == len(some) and list(one.images) == list(many.images)
    for a, b in zip(one.images.values(), many.images.values(), strict=True):
        assert a.boxes.class_id.tolist() == b.boxes.class_id.tolist()
        np.testing.assert_array_equal(a.boxes.xywhn, b.boxes.xywhn)
        assert b.boxes.line.tolist() == list(range(len(b.boxes)))
