"""A detector's results: boxes that name images by number, read with the COCO file that knows the numbers."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.guarding import guard
from healtheat.sources.coco.results import load_results
from healtheat.sources.label_set import read_label_set
from tests.sources.reading import Tree


def labels(tree: Tree, path: str = "gt.json") -> Path:
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 50} for n in (7, 3)]
    categories = [{"id": 1899, "name": "가"}, {"id": 2, "name": "b"}]
    one = {"image_id": 7, "category_id": 2, "bbox": [1, 1, 2, 2]}
    return tree.put(path, json.dumps({"images": images, "annotations": [one], "categories": categories}))


def result(**changes: object) -> dict[str, object]:
    return {"image_id": 3, "category_id": 1899, "bbox": [10, 10, 20, 20], "score": 0.5, **changes}


def test_results_by_image_then_line(tree: Tree) -> None:
    path = tree.put(
        "preds.json", json.dumps([result(), result(image_id=7.0, category_id=2), result(score=1)])
    )
    found = load_results(path, labels(tree))
    assert found.boxes.image_id.tolist() == [0, 1, 1] and found.boxes.line.tolist() == [1, 0, 2]
    assert found.boxes.class_id.tolist() == [2, 1899, 1899] and not found.problems
    np.testing.assert_allclose(found.boxes.xywhn[0], [0.2, 0.4, 0.2, 0.4])
    assert found.boxes.confidence.tolist() == [0.5, 0.5, 1]
    assert load_results(path, tree.root).boxes.line.tolist() == [1, 0, 2]  # the only COCO file of the folder
    labels(tree, "other.json")
    with pytest.raises(InputError, match="holds 2 COCO files; give the one"):
        load_results(path, tree.root)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (result(image_id=1), "image_id is that of no image"),
        (result(category_id=1), "category_id 1 is absent"),
        (result(category_id="x"), "not an integer"),
        (result(bbox=[1, 2, 3]), "bbox is missing"),
        (result(bbox=[95, 10, 20, 20]), "outside"),
        (result(bbox=[5, 10, 0, 20]), "zero"),
        (result(score=2), "outside 0 to 1"),
        (7, "not an object"),
    ],
)
def test_a_result_that_is_no_box(tree: Tree, wrong: object, reason: str) -> None:
    found = load_results(tree.put("preds.json", json.dumps([result(), wrong])), labels(tree))
    assert [(p.code, p.line) for p in found.problems] == [(Code.BAD_DETECTION, 1)]
    assert reason in found.problems[0].reason and len(found.boxes) == 1


@pytest.mark.parametrize("ident", [99, "7x", "000000000000000000000000007"])
def test_results_of_other_images_are_no_input(tree: Tree, ident: object) -> None:
    path = tree.put("preds.json", json.dumps([result(image_id=ident)] * 30))
    with pytest.raises(InputError) as caught:
        guard(path, labels(tree))
    assert "no image_id is one of" in str(caught.value) and repr(ident) in str(caught.value)
    assert "7.jpg has the id 7" in str(caught.value)


def named(tree: Tree, *names: str) -> Path:
    images = [{"id": n, "file_name": name, "width": 100, "height": 50} for n, name in enumerate(names)]
    content = {"images": images, "annotations": [], "categories": [{"id": 1899, "name": "가"}]}
    return tree.put("gt.json", json.dumps(content))


@pytest.mark.parametrize(
    ("names", "idents", "places"),
    [
        (("a/m 0.jpg", "가.png"), ["가", "m 0"], [0, 1]),  # as `yolo val save_json=True` writes names
        (("가.jpg", "b.jpg"), [unicodedata.normalize("NFD", "가")], [0]),
        (("0012.jpg", "0007.jpg"), [7, 12], [0, 1]),  # names of digits become numbers
        (("2.jpg", "1.jpg", "x.jpg"), [1, "x"], [1, 2]),  # 1 is an id too, but x can only be a name
        (("1.jpg", "0.jpg"), [0, 0, 1], [0, 0, 1]),  # ids come first
        (("a/x.jpg", "b/x.jpg", "y.jpg"), ["x", "y"], [2]),  # x could be two images
    ],
)
def test_image_ids_that_are_file_names(
    tree: Tree, names: tuple[str, ...], idents: list[object], places: list[int]
) -> None:
    path = tree.put("preds.json", json.dumps([result(image_id=ident) for ident in idents]))
    found = load_results(path, named(tree, *names))
    assert found.boxes.image_id.tolist() == places
    assert len(found.problems) == len(idents) - len(places)


def test_a_list_without_a_box(tree: Tree) -> None:
    none, bad = tree.put("none.json", " []"), tree.put("bad.json", json.dumps([result(bbox=[1, 2])]))
    with pytest.raises(InputError, match=r"none\.json.*no results in it"):
        load_results(none, labels(tree))
    with pytest.raises(InputError, match=r"none\.json.*no results in it"):
        guard(none, labels(tree))
    with pytest.raises(InputError, match=r"no result is a box; bad\.json:1: item 0: bbox"):
        load_results(bad, labels(tree))


def test_beside_other_labels_the_true_reason_is_told(tree: Tree) -> None:
    path = tree.put("preds.json", json.dumps([result()]))
    data = tree.put("yolo/data.yaml", "train: images\nnames: [a]\n")
    tree.put("yolo/labels/a.txt", "0 0.5 0.5 0.1 0.1\n")
    for against, verb in ((data, "is"), (data.parent, "holds")):
        with pytest.raises(InputError) as caught:
            guard(path, against)
        assert f"need the COCO file whose ids they have, and {against} {verb} none" in str(caught.value)


def test_they_need_the_labels(tree: Tree) -> None:
    path = tree.put("preds.json", json.dumps([result()]))
    with pytest.raises(InputError, match="to judge them, give the COCO labels with against"):
        read_label_set(path)
    read = read_label_set(path, against=labels(tree))
    assert read.images == ("7.jpg", "3.jpg") and read.boxes.image_id.tolist() == [1]
    with pytest.raises(InputError, match=r"preds.json:1: not a readable list"):
        load_results(tree.put("preds.json", "[{]"), labels(tree))


def test_the_guard_takes_them(shared: Path) -> None:
    folder = shared / "cases" / "coco_results" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    for against in (folder / "gt.json",):
        done = guard(folder / "preds.json", folder / "gt.json")
        assert done.report.comparison is not None and not done.problems
        assert done.report.proposed.boxes == done.report.comparison.current.boxes == 18
        assert done.report.comparison.changed == 0, against
