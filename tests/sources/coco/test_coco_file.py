"""COCO JSON: joined by id, ids kept, every named kind of bad input a problem or one clear error."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.sources.coco import file as coco_file
from healtheat.sources.coco.file import load_coco

GOOD = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 200, "height": 100},
        {"id": "b", "file_name": "sub/나.png", "width": 100.0, "height": 100},
    ],
    "annotations": [
        {"id": 1, "image_id": "b", "category_id": 33877, "bbox": [0, 0, 100, 100]},
        {"id": 2, "image_id": 7, "category_id": 1899, "bbox": [10, 20, 100, 50], "iscrowd": 0},
        {"id": 3, "image_id": "b", "category_id": 1899, "bbox": [1.5, 2, 3, 4], "score": 0.25},
    ],
    "categories": [{"id": 33877, "name": "보령부스파정 5mg"}, {"id": 1899, "name": "b"}],
}


def load(tmp_path: Path, document) -> coco_file.CocoFile:
    path = tmp_path / "labels.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return load_coco(path, file="labels.json")


def changed(**changes):
    """GOOD with one more item in the named lists."""
    document = copy.deepcopy(GOOD)
    for key, item in changes.items():
        document[key].append(item)
    return document


def test_good_file(tmp_path):
    coco = load(tmp_path, GOOD)
    assert not coco.problems
    assert coco.names == {33877: "보령부스파정 5mg", 1899: "b"}
    assert [i.size_px for i in coco.images] == [(200, 100), (100, 100)]
    a, b = (coco.boxes[coco.boxes.image_id == i] for i in (0, 1))
    assert a.line.tolist() == [1] and a.class_id.tolist() == [1899]
    np.testing.assert_allclose(a.xywhn, [[0.3, 0.45, 0.5, 0.5]])
    assert math.isnan(a.confidence[0])
    assert b.line.tolist() == [0, 2] and b.class_id.tolist() == [33877, 1899]
    assert b.confidence[1] == 0.25
    assert coco.entries.tolist() == [1, 2]


def test_annotations_before_images_give_the_same(tmp_path):
    turned = load(tmp_path, {key: GOOD[key] for key in ("annotations", "categories", "images")})
    straight = load(tmp_path, GOOD)
    np.testing.assert_equal(turned.boxes.xywhn, straight.boxes.xywhn)
    assert turned.boxes.class_id.tolist() == straight.boxes.class_id.tolist()
    assert turned.names == straight.names


def annotation(**fields):
    return {"image_id": 7, "category_id": 1899, "bbox": [1, 1, 5, 5]} | fields


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (annotation(bbox=[math.nan, 1, 5, 5]), "bbox x is nan"),
        (annotation(bbox=[1, 1, math.inf, 5]), "bbox width is inf"),
        (annotation(bbox=[1, 1, 10**400, 5]), "not a usable finite number"),
        (annotation(bbox=[1, 1, 0, 5]), "zero or negative area"),
        (annotation(bbox=[1, 1, 5, -5]), "zero or negative area"),
        (annotation(bbox=[1, 1, 5e-324, 5]), "zero area"),
        (annotation(bbox=[1, 1, 5]), "not a list of 4 numbers"),
        (annotation(bbox=[]), "not a list of 4 numbers"),
        (annotation(bbox=None), "not a list of 4 numbers"),
        (annotation(bbox=[1, 1, "5", 5]), "bbox width is '5', not a number"),
        (annotation(bbox=[1, 1, [[5]], 5]), "bbox width is a list"),
        (annotation(bbox=[1, 1, True, 5]), "bbox width is True"),
        (annotation(bbox=[190, 1, 30, 5]), "lies outside or is larger than its image of 200 x 100 px"),
        (annotation(bbox=[1, 1, 300, 5]), "lies outside or is larger"),
        (annotation(bbox=[-20, 1, 5, 5]), "lies outside or is larger"),
        (annotation(category_id=5), "category_id 5 is absent from categories"),
        (annotation(category_id="1899"), "category_id is '1899', not an integer"),
        (annotation(category_id=1899.5), "category_id is 1899.5, not an integer"),
        (annotation(category_id=1e300), "category_id is 1e+300, not an integer"),
        (annotation(iscrowd="1"), "crowd"),
        (annotation(iscrowd=[0]), "iscrowd is a list"),
        (annotation(category_id=True), "category_id is True"),
        (annotation(category_id=-1), "category_id is -1"),
        (annotation(category_id=2**40), "not an integer from 0 up to"),
        (annotation(image_id=99), "image_id is that of no image"),
        (annotation(image_id="7"), "image_id is that of no image"),
        (annotation(image_id=None), "image_id is missing"),
        (annotation(image_id=[7]), "image_id is a list"),
        (annotation(iscrowd=1), "crowd"),
        (annotation(score=1.5), "score 1.5 lies outside"),
        (annotation(score="high"), "score is 'high'"),
        (annotation(bbox=[10, 20, 100, 50]), "exact duplicate of annotations[1]"),
        ([1, 2], "not an object"),
        (None, "not an object"),
    ],
)
def test_bad_annotation_is_a_problem_and_the_rest_stays(tmp_path, item, reason):
    coco = load(tmp_path, changed(annotations=item))
    assert len(coco.boxes) == 3
    assert [(p.file, p.line) for p in coco.problems] == [("labels.json", 3)]
    assert coco.problems[0].reason.startswith("annotations[3]: ") and reason in coco.problems[0].reason
    if isinstance(item, dict) and item["image_id"] == 7:
        assert coco.problems[0].image == "a.png"
        assert coco.entries.tolist() == [2, 2]


def image(**fields):
    return {"id": 9, "file_name": "c.png", "width": 10, "height": 10} | fields


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (image(width=0), "width is 0"),
        (image(width=None), "width is missing"),
        (image(height=math.nan), "height is nan"),
        (image(height=10.5), "height is 10.5, not a whole number"),
        (image(height=-5), "height is -5"),
        (image(height="10"), "height is '10'"),
        (image(height=10**9), "from 1 to"),
        (image(file_name="c\0.png"), "control character"),
        (image(file_name="\ud800.png"), "not valid Unicode"),
        (image(file_name=""), "empty"),
        (image(file_name="."), "names a folder"),
        (image(file_name=None), "file_name is missing"),
        (image(file_name="a.png"), "already that of images[0]"),
    ],
)
def test_bad_image_takes_its_boxes_out_with_one_problem(tmp_path, item, reason):
    coco = load(tmp_path, changed(images=item, annotations=annotation(image_id=9)))
    assert len(coco.images) == 2 and len(coco.boxes) == 3
    assert all(p.line is None for p in coco.problems)
    assert coco.problems[0].reason.startswith("images[2]: ") and reason in coco.problems[0].reason
    assert coco.problems[1].reason.startswith("1 box left out")


def test_image_ids(tmp_path):
    coco = load(tmp_path, changed(images=image(id=7)))
    assert "image id 7 is given twice" in coco.problems[0].reason and len(coco.boxes) == 3
    coco = load(tmp_path, changed(images=image(id=1.5)))
    assert "id is 1.5" in coco.problems[0].reason


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"id": 1899, "name": "c"}, "category id 1899 is given twice; the first name, b, holds"),
        ({"id": "x", "name": "c"}, "id is 'x'"),
        ({"name": "c"}, "id is missing"),
        ({"id": 3}, "category 3 has no name"),
        ({"id": 3, "name": ""}, "category 3 has no name"),
        ({"id": 3, "name": "\udc00"}, "not valid Unicode"),
        (3, "not an object"),
    ],
)
def test_bad_category(tmp_path, item, reason):
    coco = load(tmp_path, changed(categories=item))
    assert coco.names == {33877: "보령부스파정 5mg", 1899: "b"}
    assert len(coco.problems) == 1
    assert coco.problems[0].reason.startswith("categories[2]: ") and reason in coco.problems[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: not a readable COCO JSON: expected an object"),
        ('{"images": [],\n"annotations": [}', ":2: not a readable COCO JSON: Expecting value"),
        ('[{"image_id": 1}]', "found a list"),
        ('{"images": [], "categories": []}', "the list 'annotations' is missing"),
        ('{"images": {}, "annotations": [], "categories": []}', "'images' is not a list"),
        ('{"images": [' + "[" * 200_000, "nested too deeply"),
        ('{"images": [{"id": ' + "1" * 5000 + "}]}", "too many digits"),
    ],
)
def test_no_coco_file_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        load(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert str(tmp_path / "labels.json") in str(error.value)


def test_missing_file_and_limits(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="not found"):
        load_coco(tmp_path / "none.json")
    monkeypatch.setattr(coco_file, "MAX_PROBLEMS", 2)
    document = copy.deepcopy(GOOD)
    document["annotations"] += [None] * 5
    problems = load(tmp_path, document).problems
    assert [p.line for p in problems] == [3, 4, None] and "3 more problems" in problems[2].reason


def test_empty_lists(tmp_path):
    coco = load(tmp_path, {"images": [], "annotations": [], "categories": []})
    assert len(coco.boxes) == 0 and not coco.problems and coco.boxes.xywhn.shape == (0, 4)
    coco = load(tmp_path, {"images": [], "annotations": [annotation()], "categories": []})
    assert "that of no image" in coco.problems[0].reason


px = st.integers(-20, 120) | st.floats(-20, 120)
some_annotations = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": st.integers(0, 3),
            "category_id": st.integers(0, 3),
            "bbox": st.lists(px, min_size=4, max_size=4),
        }
    ),
    max_size=12,
)


@settings(deadline=None)
@given(some_annotations, st.permutations(["images", "annotations", "categories"]))
def test_agrees_with_a_slow_obvious_loop(tmp_path_factory, annotations, order):
    sizes = {0: (100, 50), 1: (50, 100), 2: (0, 10)}  # image 2 is bad, 3 is missing
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": w, "height": h} for i, (w, h) in sizes.items()
        ],
        "annotations": annotations,
        "categories": [{"id": i, "name": str(i)} for i in (0, 1, 3)],
    }
    coco = load(tmp_path_factory.mktemp("coco"), {key: document[key] for key in order})
    expected, seen = {0: [], 1: []}, set()
    for line, item in enumerate(annotations):
        (x, y, w, h), i, c = item["bbox"], item["image_id"], item["category_id"]
        if i > 1 or c == 2 or w <= 0 or h <= 0:
            continue
        row = ((x + w / 2) / sizes[i][0], (y + h / 2) / sizes[i][1], w / sizes[i][0], h / sizes[i][1])
        if min(row) < 0 or max(row) > 1 or min(row[2:]) <= 0 or (i, c, x, y, w, h) in seen:
            continue
        seen.add((i, c, x, y, w, h))
        expected[i].append((line, c, row))
    for i in (0, 1):
        boxes = coco.boxes[coco.boxes.image_id == i]
        found = zip(
            boxes.line.tolist(), boxes.class_id.tolist(), map(tuple, boxes.xywhn.tolist()), strict=True
        )
        assert list(found) == expected[i]
    lines = set(coco.boxes.line.tolist()) | {p.line for p in coco.problems if p.line is not None}
    lost = {k for k, item in enumerate(annotations) if item["image_id"] == 2}
    assert lines | lost == set(range(len(annotations)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "image_id", "category_id", "bbox", "file_name", "width", "height", "name"]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("images", "annotations", "categories"), json_values)))
def test_wrong_types_never_crash(tmp_path_factory, document):
    try:
        coco = load(tmp_path_factory.mktemp("coco"), document)
    except InputError:
        return
    assert np.isfinite(coco.boxes.xywhn).all()


def test_real_failed_relabelling(shared):
    path = shared / "data" / "clip-collapse" / "pseudo_labels.json"
    coco = load_coco(path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert (len(coco.images), len(coco.boxes), len(coco.names)) == (651, 2547, 54)
    assert not coco.problems
    in_file_order = coco.boxes[np.argsort(coco.boxes.line)]
    assert in_file_order.class_id.tolist() == [a["category_id"] for a in raw["annotations"]]


def test_one_polygon_is_kept_as_corners(tmp_path):
    kept = [[10, 10, 20, 10, 15, 30]]
    other = [None, [], {"counts": "x", "size": [5, 5]}, [[1, 2]], [*kept, *kept], [[1, 2, 3, 4, 5]]]
    odd = [[["1", 2, 3, 4, 5, 6]], [[1, 2, 3, 4, 5, None]], [[1, 2, 3, 4, 5, 10**400]], "abcdef", [kept]]
    shapes = [*other, kept, *odd]
    annotations = [annotation(id=n, bbox=[1 + n, 1, 5, 5], segmentation=s) for n, s in enumerate(shapes)]
    read = load(tmp_path, {**GOOD, "annotations": annotations})
    assert read.problems == [] and len(read.boxes) == len(shapes)
    size = read.images[0].size_px
    assert [outline is None for outline in read.boxes.corners] == [shape is not kept for shape in shapes]
    assert (read.boxes.corners[6] * size).round(9).tolist() == [[10, 10], [20, 10], [15, 30]]


def test_corners_end_where_their_room_does(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_file, "MOST_NUMBERS", 12)
    points = [[10, 10, 20, 10, 15, 30]]
    annotations = [annotation(id=n, bbox=[1 + n, 1, 5, 5], segmentation=points) for n in range(4)]
    read = load(tmp_path, {**GOOD, "annotations": annotations})
    assert [outline is None for outline in read.boxes.corners] == [False, False, True, True]
    assert [(p.code, p.line) for p in read.problems] == [("shape_left_out", 2)]
