"""CVAT for images: the labels' order gives the ids; what is no upright box is told."""

import pytest

from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.sources.reading import Read, Tree

BOX = '<box label="나" xtl="10" ytl="10" xbr="30.5" ybr="20" occluded="0" z_order="0"/>'


def cvat(*images: str, labels: tuple[str, ...] = ("나", "가"), ids: tuple[object, ...] = ()) -> str:
    def label(at: int, name: str) -> str:
        default = f"<default_value>{ids[at]}</default_value>" if ids else ""
        attribute = f"<attributes><attribute><name>class_id</name>{default}</attribute></attributes>"
        return f"<label><name>{name}</name>{attribute}</label>"

    listed = "".join(label(at, name) for at, name in enumerate(labels))
    meta = f"<meta><task><labels>{listed}</labels></task></meta>"
    return f"<?xml version='1.0'?><annotations><version>1.1</version>{meta}{''.join(images)}</annotations>"


def image(name: str, *shapes: str, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="100" height="50" {more}>{"".join(shapes)}</image>'


def test_a_file_beside_its_images(tree: Tree) -> None:
    for name in ("a.jpg", "sub/b.jpg", "not listed.jpg"):
        tree.put(f"images/{name}")
    polygon = '<polygon label="가" points="0,0;100,10.5;50,50"/>'
    content = cvat(image("a.jpg", BOX, polygon, '<tag label="가"/>'), image("sub/b.jpg"))
    source = open_source(tree.put("annotations.xml", content))
    found = Read(source)
    assert (source.kind, source.edits, found.problems) == ("cvat", "none", [])
    assert source.names == {0: "나", 1: "가"} and source.ids_from == "the labels of annotations.xml"
    assert set(found.images) == {"images/a.jpg", "images/sub/b.jpg"}
    boxes = found.images["images/a.jpg"].boxes
    assert boxes.xywhn.tolist() == [[0.2025, 0.3, 0.205, 0.2], [0.5, 0.5, 1, 1]]
    assert boxes.class_id.tolist() == [0, 1]
    assert boxes.corners[0] is None and boxes.corners[1].tolist() == [[0, 0], [1, 0.21], [0.5, 1]]
    assert found.images["images/sub/b.jpg"].status == "empty"
    assert "images/not listed.jpg" in Read(open_source(tree.root)).images  # of a folder, all


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ((1899, 3), {1899: "나", 3: "가"}),
        ((3, 3), {0: "나", 1: "가"}),
        (("x", 3), {0: "나", 1: "가"}),
        ((2**31, 3), {0: "나", 1: "가"}),
    ],
)
def test_ids_that_our_hand_off_keeps(tree: Tree, ids: tuple[object, ...], names: dict[int, str]) -> None:
    tree.put("a.jpg")
    source = open_source(tree.put("a.xml", cvat(image("a.jpg", BOX), ids=ids)))
    Read(source)
    assert source.names == names


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (BOX.replace("/>", ' rotation="30"/>'), "a rotated box"),
        ('<polyline label="가" points="0,0;1,1"/>', "a polyline, not a box or polygon"),
        ('<mask label="가" rle="1"/>', "a mask"),
        ('<skeleton label="가"><points label="1" points="1,1"/></skeleton>', "a skeleton"),
        ('<polygon label="가" points="0,0;1"/>', "points are not"),
        (BOX.replace('xtl="10"', ""), "xtl is missing"),
        (BOX.replace('xtl="10"', 'xtl="x"'), "not a number"),
        (BOX.replace('xtl="10"', 'xtl="30.5"'), "zero or negative area"),
        (BOX.replace('ytl="10"', 'ytl="-90"'), "lies outside"),
        (BOX.replace("나", ""), "no name"),
    ],
)
def test_a_shape_that_is_no_box(tree: Tree, wrong: str, reason: str) -> None:
    tree.put("a.jpg")
    found = Read(open_source(tree.put("a.xml", cvat(image("a.jpg", BOX, wrong)))))
    assert [(p.code, p.line, p.image) for p in found.problems] == [(Code.BAD_LINE, 1, "a.jpg")]
    assert reason in found.reasons[0]


def test_a_label_that_is_not_listed(tree: Tree) -> None:
    tree.put("a.jpg")
    found = Read(open_source(tree.put("a.xml", cvat(image("a.jpg", BOX), labels=("가",)))))
    assert [(p.code, p.line) for p in found.problems] == [(Code.UNKNOWN_CLASS, 0)]


def test_subsets_are_splits(tree: Tree) -> None:
    tree.put("a.jpg")
    tree.put("val/b.jpg")
    content = cvat(image("a.jpg", BOX, more='subset="Train"'), image("val/b.jpg"))
    found = Read(open_source(tree.put("a.xml", content)))
    assert [i.split for i in found.images.values()] == ["train", "val"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (cvat('<track id="0" label="가"/>'), "CVAT for video"),
        (cvat(image("a.jpg"))[:-20], "not a readable CVAT XML"),
        ("<annotations/>", "no image"),
        ("<other><a/></other>", "the root <other> is neither"),
        ("<!DOCTYPE a><annotations/>", "line 1: a document type"),
    ],
)
def test_a_file_as_a_whole(tree: Tree, content: str, reason: str) -> None:
    tree.put("a.jpg")
    with pytest.raises(InputError, match=reason) as error:
        Read(open_source(tree.put("a.xml", content)))
    assert "\n" not in str(error.value) and "a.xml" in str(error.value)
