"""A detector's results: boxes that name images by number, read with the COCO file that knows the numbers."""

import json
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


def test_they_need_the_labels(tree: Tree) -> None:
    path = tree.put("preds.json", json.dumps([result()]))
    with pytest.raises(InputError, match="give the COCO labels with against"):
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
