"""Label Studio exports: rectangles of the annotation that counts; other tasks are named for what they are."""

import json

import pytest

from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.sources.reading import Read, Tree

VALUE = {"x": 10, "y": 20, "width": 20, "height": 40, "rotation": 0, "rectanglelabels": ["가"]}


def result(kind: str = "rectanglelabels", **changes: object) -> dict[str, object]:
    value = {**VALUE, **changes}
    size = {"original_width": 100, "original_height": 50, "image_rotation": 0}
    return {"id": "x", "type": kind, "from_name": "label", "to_name": "image", **size, "value": value}


def polygon(*points: object, **changes: object) -> dict[str, object]:
    value = {"points": points, "polygonlabels": ["나"], "closed": True, **changes}
    return {**result("polygonlabels"), "value": value}


def task(image: str, *results: object, **changes: object) -> dict[str, object]:
    annotations = [{"id": 1, "result": results, "was_cancelled": False, "ground_truth": False}]
    return {"id": 1, "data": {"image": image}, "annotations": annotations, "predictions": [], **changes}


def put(tree: Tree, *tasks: object) -> object:
    return open_source(tree.put("export.json", json.dumps(tasks)))


def test_percent_of_the_image(tree: Tree) -> None:
    tree.put("images/a.jpg")
    tree.put("images/b.jpg")
    choice = {"type": "choices", "value": {"choices": ["bad"]}}
    source = put(tree, task("a.jpg", result(), choice, result(x=0, width=100)), task("b.jpg"))
    found = Read(source)
    assert (source.kind, source.edits, source.names, found.problems) == ("labelstudio", "none", {0: "가"}, [])
    image = found.images["images/a.jpg"]
    assert image.boxes.xywhn.tolist() == [[0.2, 0.4, 0.2, 0.4], [0.5, 0.4, 1, 0.4]]
    assert (image.size_px, image.boxes.line.tolist()) == ((100, 50), [0, 1])
    assert found.images["images/b.jpg"].status == "empty"


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/4/0a1b2c3d-%EC%95%BD%201.jpg",
        "/data/local-files/?d=set/%EC%95%BD%201.jpg",
        "http://localhost:8080/data/upload/4/0a1b2c3d-%EC%95%BD%201.jpg",
        "s3://bucket/set/%EC%95%BD%201.jpg",
        "C:\\set\\약 1.jpg",
        "약 1.jpg",
    ],
)
def test_addresses_of_images(tree: Tree, address: str) -> None:
    tree.put("deep/set/약 1.jpg")
    found = Read(put(tree, task(address, result())))
    assert [len(image.boxes) for image in found.images.values()] == [1]


def test_polygons_keep_their_points(tree: Tree) -> None:
    tree.put("a.jpg")
    source = put(tree, task("a.jpg", polygon([10, 10], [30, 10], [20, 50]), result()))
    found = Read(source)
    boxes = found.images["a.jpg"].boxes
    assert (found.problems, source.names) == ([], {0: "가", 1: "나"})
    assert boxes.xywhn.round(9).tolist() == [[0.2, 0.3, 0.2, 0.4], [0.2, 0.4, 0.2, 0.4]]
    assert boxes.corners[0].tolist() == [[0.1, 0.1], [0.3, 0.1], [0.2, 0.5]] and boxes.corners[1] is None
    assert boxes.class_id.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (result(rotation=30), "a rotated rectangle"),
        ({**result(), "image_rotation": 90}, "a rotated rectangle or image"),
        (result("brushlabels"), "brushlabels, not rectanglelabels or polygonlabels"),
        (polygon(), "points are missing, or too few"),
        (polygon([1, 1], [2, 2]), "points are missing, or too few"),
        (polygon([1, 1], [2, 2], 3), "a point is not a list [x, y]"),
        (polygon([1, 1], [2, 2], [3, "4"]), "not a number"),
        (polygon([1, 1], [2, 2], [3, 1], polygonlabels=[]), "not a list of one class"),
        (polygon([1, 1], [1, 2], [1, 3]), "zero or negative area"),
        (polygon([0, 0], [300, 0], [300, 90]), "lies outside or is larger than its image"),
        (result(rectanglelabels=["a", "b"]), "not a list of one class"),
        (result(rectanglelabels="가"), "not a list of one class"),
        (result(x="1"), "not a number"),
        (result(width=0), "zero or negative area"),
        (result(x=95), "lies outside"),
        ({**result(), "original_width": 0}, "original_width"),
        ({**result(), "value": None}, "value is missing"),
        (7, "not an object"),
    ],
)
def test_a_result_that_is_no_box(tree: Tree, wrong: object, reason: str) -> None:
    tree.put("a.jpg")
    found = Read(put(tree, task("a.jpg", result(), wrong)))
    assert [(p.code, p.line) for p in found.problems] == [(Code.BAD_LINE, 1)]
    assert reason in found.reasons[0] and len(found.images["a.jpg"].boxes) == 1


def test_of_several_annotations_one_must_count(tree: Tree) -> None:
    for name in "abc":
        tree.put(f"{name}.jpg")
    one, two = {"result": [result()]}, {"result": [result(x=0), result(x=5)]}
    tasks = (
        task("a.jpg", annotations=[one, {**two, "ground_truth": True}]),
        task("b.jpg", annotations=[one, {**two, "was_cancelled": True}]),
        task("c.jpg", annotations=[one, two]),
    )
    found = Read(put(tree, *tasks))
    assert [len(image.boxes) for image in found.images.values()] == [2, 1, 0]
    assert [(p.code, p.image) for p in found.problems] == [(Code.LOST_BOXES, "c.jpg")]


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([task("a.jpg", result("keypointlabels"))], r"of another task: keypointlabels \(1\)"),
        ([task("a.jpg", result("keypointlabels"), result("brushlabels"))], "brushlabels.*keypointlabels"),
        ([{"image": "a.jpg", "annotation_id": 1, "label": []}], "JSON-MIN"),
        ([task("a.jpg", result()), 7], "its item 1 is no task"),
    ],
)
def test_exports_of_another_kind_are_named(tree: Tree, tasks: list[object], reason: str) -> None:
    tree.put("a.jpg")
    with pytest.raises(InputError, match=reason) as error:
        Read(put(tree, *tasks))
    assert "export it as 'JSON'" in str(error.value) and "\n" not in str(error.value)
