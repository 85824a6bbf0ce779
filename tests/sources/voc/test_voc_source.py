"""Pascal VOC folders, as LabelImg, CVAT and the VOC challenge lay them out."""

import math

import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder
from tests.sources.reading import Read, Tree

SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def obj(name: str = "알약 5mg", box: object = (10, 10, 30, 20), inside: str = "") -> str:
    tags = ("xmin", "ymin", "xmax", "ymax")
    corners = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
    return f"<object><name>{name}</name>{inside}<bndbox>{corners}</bndbox></object>"


def voc(filename: str, *objects: str, size: str = SIZE, more: str = "") -> str:
    return f"<annotation>{more}<filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


def read(tree: Tree, **options: object) -> Read:
    return Read(open_source(tree.root, kind="voc", **options))


def test_boxes_names_and_ids_are_as_written(tree: Tree) -> None:
    tree.put("JPEGImages/a.jpg")
    tree.put("JPEGImages/b.jpg")
    tree.put(
        "Annotations/a.xml",
        voc("a.jpg", obj(), obj("가", (0, 0, 100, 50)), obj("B & C".replace("&", "&amp;"))),
    )
    tree.put("Annotations/b.xml", voc("b.jpg"))
    source = open_source(tree.root)
    found = Read(source)
    assert source.kind == "voc" and source.edits == "none" and not found.problems
    assert source.names == {0: "B & C", 1: "가", 2: "알약 5mg"}  # sorted by code point
    assert source.ids_from == "the class names in sorted order"
    image = found.images["JPEGImages/a.jpg"]
    assert image.boxes.class_id.tolist() == [2, 1, 0] and image.boxes.line.tolist() == [0, 1, 2]
    assert image.boxes.xywhn[:2].tolist() == [[0.2, 0.3, 0.2, 0.2], [0.5, 0.5, 1, 1]]
    assert (image.size_px, image.label_path, image.status) == ((100, 50), "Annotations/a.xml", "labelled")
    assert found.images["JPEGImages/b.jpg"].status == "empty"
    assert set(found.files) == {"Annotations/a.xml", "Annotations/b.xml"}


@pytest.mark.parametrize(
    ("file", "content", "ids"),
    [
        ("names.txt", "\ufeffb\r\nx\r\na\r\n", [2, 0]),
        ("data.yaml", "names:\n  7: a\n  1899: b\n", [7, 1899]),
    ],
)
def test_ids_of_a_names_file(tree: Tree, file: str, content: str, ids: list[int]) -> None:
    tree.put("a.jpg")
    tree.put("a.xml", voc("a.jpg", obj("a"), obj("b"), obj("c")))
    names = tree.put(f"elsewhere/{file}", content)
    source = open_source(tree.root, kind="voc", names=names)
    found = Read(source)
    assert found.images["a.jpg"].boxes.class_id.tolist() == ids
    assert [(p.code, p.line) for p in found.problems] == [(Code.UNKNOWN_CLASS, 2)]
    assert file in source.ids_from and set(source.names.values()) >= {"a", "b"}


@pytest.mark.parametrize(
    ("content", "message"), [("a\n\nb\n", ":2: the line is empty"), ("\x01", "is no name")]
)
def test_a_bad_names_file_is_an_error(tree: Tree, content: str, message: str) -> None:
    tree.put("a.xml", voc("a.jpg"))
    with pytest.raises(InputError, match=message):
        open_source(tree.root, names=tree.put("names.txt", content))


def test_pixels_of_the_challenge_count_from_one(tree: Tree) -> None:
    """In its files xmin=1, xmax=W is the whole image."""
    tree.put("a.jpg")
    whole = obj("a", (1, 1, 100, 50))
    tree.put("a.xml", voc("a.jpg", whole, more="<source><database>The VOC2007 Database</database></source>"))
    assert read(tree).images["a.jpg"].boxes.xywhn.tolist() == [[0.5, 0.5, 1, 1]]
    tree.put("a.xml", voc("a.jpg", whole, more="<source><database>Unknown</database></source>"))
    assert read(tree).images["a.jpg"].boxes.xywhn.tolist() == [[0.505, 0.51, 0.99, 0.98]]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (obj(box=(10, 10, 10, 20)), "zero or negative area"),
        (obj(box=(30, 10, 10, 20)), "zero or negative area"),
        (obj(box=(10, 10, "nan", 20)), "not a number"),
        (obj(box=(10, 10, "1_0", 20)), "not a number"),
        (obj(box=(10, 10, math.inf, 20)), "not a number"),
        (obj(box=(10, 10, "", 20)), "bndbox/xmax is missing"),
        (obj(box=(190, 10, 220, 20)), "outside or is larger than its image of 100 x 50"),
        (obj(box=(-10, 10, 120, 20)), "outside or is larger"),
        (obj(name=" "), "no name"),
        ("<object><name>a</name></object>", "bndbox is missing"),
        ("<object><name>a</name><robndbox><cx>1</cx></robndbox></object>", "a robndbox"),
    ],
)
def test_an_object_that_is_no_box(tree: Tree, wrong: str, reason: str) -> None:
    tree.put("a.jpg")
    tree.put("a.xml", voc("a.jpg", obj(), wrong, obj("b")))
    found = read(tree)
    assert [(p.code, p.line, p.image) for p in found.problems] == [(Code.BAD_LINE, 1, "a.jpg")]
    assert reason in found.reasons[0] and "object[1]" in found.reasons[0]
    assert found.images["a.jpg"].boxes.line.tolist() == [0, 2]


def test_a_repeated_object_is_a_problem(tree: Tree) -> None:
    tree.put("a.jpg")
    tree.put("a.xml", voc("a.jpg", obj(), obj(), obj("other")))
    found = read(tree)
    assert [(p.code, p.line) for p in found.problems] == [(Code.REPEATED_LINE, 1)]
    assert found.images["a.jpg"].boxes.line.tolist() == [0, 2]


@pytest.mark.parametrize("size", ["", SIZE.replace("100", "0"), SIZE.replace("100", "9.5")])
def test_without_a_size_pixels_have_no_place(tree: Tree, size: str) -> None:
    tree.put("a.jpg")
    tree.put("b.jpg")
    tree.put("a.xml", voc("a.jpg", obj(), obj("b"), size=size))
    tree.put("b.xml", voc("b.jpg", size=size))  # nothing on it, so no size is needed
    found = read(tree)
    assert [(p.code, p.file) for p in found.problems] == [(Code.BAD_ENTRY, "a.xml")]
    assert "2 boxes are left out" in found.reasons[0]
    assert [image.status for image in found.images.values()] == ["labelled", "empty"]


def test_the_name_inside_and_the_name_of_the_file(tree: Tree) -> None:
    """LabelImg keeps the old name inside when files are renamed."""
    for name in ("a.jpg", "b.jpg", "c.png"):
        tree.put(f"images/{name}")
    tree.put("xml/a.xml", voc("IMG_1.jpg", obj()))  # renamed: the image called like the file
    tree.put("xml/b.xml", voc("c.png", obj()))  # both are there: which is not clear
    tree.put("xml/d.xml", voc("gone.jpg", obj()))
    found = read(tree)
    assert [(p.code, p.file) for p in found.problems] == [
        (Code.UNFOUND_PATH, "xml/a.xml"),
        (Code.AMBIGUOUS_IMAGE, "xml/b.xml"),
        (Code.MISSING_IMAGE, "xml/d.xml"),
    ]
    assert "its 1 box is left out" in found.reasons[1]
    assert {p: len(i.boxes) for p, i in found.images.items()} == {
        "images/a.jpg": 1,
        "images/b.jpg": 0,
        "images/c.png": 0,
    }


def test_splits_of_imagesets_and_of_folders(tree: Tree) -> None:
    for name in "abc":
        tree.put(f"VOC2007/JPEGImages/{name}.jpg")
        tree.put(f"VOC2007/Annotations/{name}.xml", voc(f"{name}.jpg", obj()))
    tree.put("VOC2007/ImageSets/Main/train.txt", "a\nb\n")
    tree.put("VOC2007/ImageSets/Main/val.txt", "b\nc\n")
    tree.put("VOC2007/ImageSets/Main/trainval.txt", "a\nb\nc\n")
    tree.put("VOC2007/ImageSets/Main/pill_train.txt", "c  1\n")
    tree.put("test/d.jpg")
    tree.put("test/d.xml", voc("d.jpg", obj()))
    found = read(tree)
    assert {path[-5]: image.split for path, image in found.images.items()} == {
        "a": "train",
        "b": "train",
        "c": "val",
        "d": "test",
    }
    assert [(p.code, p.file, p.line) for p in found.problems] == [
        (Code.LEAK, "VOC2007/ImageSets/Main/val.txt", 0)
    ]


def test_same_names_in_two_splits_stay_apart(tree: Tree) -> None:
    tree.put("images/train/a.jpg")
    tree.put("images/val/a.jpg")
    tree.put("images/val/only.jpg")
    tree.put("labels/train/a.xml", voc("a.jpg", obj("t")))
    tree.put("labels/val/a.xml", voc("a.jpg", obj("v")))
    tree.put("labels/train/only.xml", voc("only.jpg", obj("t")))
    source = open_source(tree.root, kind="voc")
    found = Read(source)
    names = {path: [source.names[i] for i in image.boxes.class_id] for path, image in found.images.items()}
    assert names == {"images/train/a.jpg": ["t"], "images/val/a.jpg": ["v"], "images/val/only.jpg": []}
    assert found.codes == [Code.MISSING_IMAGE]


def test_one_image_labelled_twice_is_told(tree: Tree) -> None:
    tree.put("a.jpg")
    tree.put("x/1.xml", voc("a.jpg", obj("first")))
    tree.put("x/2.xml", voc("a.jpg", obj("second")))
    source = open_source(tree.root, kind="voc")
    found = Read(source)
    assert found.codes == [Code.REPEATED_IMAGE] and "x/1.xml" in found.reasons[0]
    assert len(found.images["a.jpg"].boxes) == 1


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "<annotation><object>",
        '<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>',
        "<other/>",
        "\0",
    ],
)
def test_a_file_that_is_no_voc_xml(tree: Tree, bad: str) -> None:
    tree.put("a.jpg")
    tree.put("b.jpg")
    tree.put("a.xml", voc("a.jpg", obj()))
    tree.put("b.xml", bad)
    found = read(tree)
    assert [(p.code, p.file) for p in found.problems] == [(Code.BAD_LABEL_FILE, "b.xml")]
    assert found.images["b.jpg"].status == "unlabelled"


def test_a_folder_without_any_object_is_told_as_voc(
    tree: Tree, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in "ab":
        Image.new("RGB", (40, 30)).save(tree.put(f"{name}.jpg"))
        tree.put(f"{name}.xml", f"<annotation><filename>{name}.jpg</filename></annotation>")
    with pytest.raises(InputError, match=r"read as voc: 2 images \(2 with .* no box, such as a.xml\)"):
        build(open_source(tree.root), tmp_path_factory.mktemp("index") / "voc", encoder=FakeEncoder())


def test_labels_without_images_say_what_to_give(tree: Tree) -> None:
    tree.put("labels/a.xml", voc("a.jpg", obj()))
    with pytest.raises(InputError, match=r"1 label file \(voc\) but no image; give the folder"):
        Read(open_source(tree.root))
    tree.put("other/b.jpg")
    with pytest.raises(InputError, match="1 label file names no image that is in"):
        Read(open_source(tree.root))
    tree.put("other/a.jpg")
    found = Read(open_source(tree.root / "labels", images=tree.root / "other"))
    assert len(found.images["other/a.jpg"].boxes) == 1
    found = Read(open_source(tree.root / "labels", labels_only=True))
    assert list(found.images) == ["a.jpg"]
