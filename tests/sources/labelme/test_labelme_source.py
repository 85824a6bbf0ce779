"""LabelMe folders: rectangles and polygons; what else there is, is told."""

import json

import pytest

from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.sources.reading import Read, Tree


def shape(label: object = "가", points: object = ((30, 20), (10, 10)), kind: object = "rectangle") -> object:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, "group_id": None}


def labelme(image: object, *shapes: object, **changes: object) -> str:
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
    return json.dumps({**content, "imageHeight": 50, "imageWidth": 100, **changes})


def test_rectangles_and_polygons(tree: Tree) -> None:
    tree.put("a.jpg")
    polygon = shape("B", [[0, 0], [100, 10], [50, 50]], "polygon")
    tree.put("a.json", labelme("a.jpg", shape(), polygon))
    tree.put("b.jpg")
    tree.put("b.json", labelme("b.jpg"))
    tree.put("c.jpg")
    source = open_source(tree.root)
    found = Read(source)
    assert (source.kind, source.edits, source.names, found.problems) == (
        "labelme",
        "none",
        {0: "B", 1: "가"},
        [],
    )
    boxes = found.images["a.jpg"].boxes
    assert boxes.xywhn.tolist() == [[0.2, 0.3, 0.2, 0.2], [0.5, 0.5, 1, 1]]
    assert (boxes.class_id.tolist(), boxes.line.tolist()) == ([1, 0], [0, 1])
    assert boxes.corners[0] is None and boxes.corners[1].tolist() == [[0, 0], [1, 0.2], [0.5, 1]]
    assert [image.status for image in found.images.values()] == ["labelled", "empty", "unlabelled"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (shape(kind="circle"), "a circle, not a rectangle or polygon"),
        (shape(kind="point", points=[[1, 1]]), "a point"),
        (shape(points=[[1, 1]]), "points are missing, or too few"),
        (shape(points=[[1, 1], [2]]), "not a list"),
        (shape(points=[[1, 1], [2, "x"]]), "not a number"),
        (shape(points=[[1, 1], [1, 9]]), "zero or negative area"),
        (shape(points=[[90, 10], [140, 20]]), "lies outside"),
        (shape(label=None), "label is missing"),
        (shape(label="\ud800"), "label is missing or not text"),
        (7, "not an object"),
    ],
)
def test_a_shape_that_is_no_box(tree: Tree, wrong: object, reason: str) -> None:
    tree.put("a.jpg")
    tree.put("a.json", labelme("a.jpg", shape(), wrong))
    found = Read(open_source(tree.root))
    assert [(p.code, p.line) for p in found.problems] == [(Code.BAD_LINE, 1)]
    assert reason in found.reasons[0] and len(found.images["a.jpg"].boxes) == 1


def test_names_of_other_machines_and_form(tree: Tree) -> None:
    tree.put("images/a.jpg")
    tree.put("images/b.jpg")
    tree.put("json/a.json", labelme("..\\old\\a.jpg", shape()))
    tree.put("json/b.json", labelme("D:\\set\\old name.jpg", shape()))
    found = Read(open_source(tree.root))
    assert found.codes == [Code.UNFOUND_PATH, Code.UNFOUND_PATH]
    assert all(len(image.boxes) == 1 for image in found.images.values())


@pytest.mark.parametrize(
    "written", ["..\\images\\a.jpg", "../images/a.jpg", ".\\..\\images\\a.jpg", "..\\images/a.jpg"]
)
def test_a_path_that_leads_to_the_image_is_right(tree: Tree, written: str) -> None:
    tree.put("images/a.jpg")
    tree.put("other/a.jpg")  # by its end alone it could not be told
    tree.put("json/a.json", labelme(written, shape()))
    found = Read(open_source(tree.root))
    assert not found.problems and len(found.images["images/a.jpg"].boxes) == 1


def test_a_path_out_of_the_data_set_is_not_followed(tree: Tree) -> None:
    tree.put("secret/a.jpg")
    tree.put("set/b.jpg")
    tree.put("set/a.json", labelme("..\\secret\\a.jpg", shape()))
    tree.put("set/b.json", labelme("b.jpg", shape()))
    assert Read(open_source(tree.root / "set")).codes == [Code.MISSING_IMAGE]


def test_a_large_image_inside_is_passed_over(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healtheat.sources.json_stream.MAX_ITEM_CHARS", 1000)
    tree.put("a.jpg")
    tree.put("a.json", labelme("a.jpg", shape(), imageData="x" * 5000))
    assert not Read(open_source(tree.root)).problems
    monkeypatch.setattr("healtheat.sources.labelme.source.MAX_ITEM_CHARS", 2000)
    monkeypatch.setattr("healtheat.sources.json_stream._CHUNK_BYTES", 100)
    with pytest.raises(InputError, match="more than 2000 characters"):
        Read(open_source(tree.root))


@pytest.mark.parametrize("bad", ["", "[1]", "{", '{"shapes": []}', '{"imagePath": "b.jpg"}', "null"])
def test_a_file_that_is_none(tree: Tree, bad: str) -> None:
    tree.put("a.jpg")
    tree.put("a.json", labelme("a.jpg", shape()))
    tree.put("b.json", bad)
    found = Read(open_source(tree.root))
    assert [(p.code, p.file) for p in found.problems] == [(Code.BAD_LABEL_FILE, "b.json")]


def test_an_endless_polygon_is_its_box(tree: Tree) -> None:
    tree.put("a.jpg")
    polygon = shape("B", [[0, 0], [100, 10], [50, 50]] * 400, "polygon")
    tree.put("a.json", labelme("a.jpg", polygon))
    found = Read(open_source(tree.root))
    assert (found.codes, len(found.images["a.jpg"].boxes)) == ([Code.SHAPE_LEFT_OUT], 1)
    assert found.images["a.jpg"].boxes.corners.tolist() == [None]
