"""The folders of ../shared/cases that are COCO sets or those of other tools, and the same in small."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from healtheat.building.build import build
from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from tests.cases.folders import case
from tests.index.small_set import FakeEncoder
from tests.sources.reading import Read, Tree

ROOT = Path(__file__).resolve().parents[2]


def boxes(found: Read) -> int:
    return sum(len(image.boxes) for image in found.images.values())


# Read whole: kind, images, boxes, problems


@pytest.mark.parametrize(
    ("name", "kind", "images", "count", "problems"),
    [
        ("coco_two_subsets", "coco", 10, 30, {}),
        ("coco_wrong_pair", "coco", 6, 18, {Code.MISSING_IMAGE: 1}),
        ("roboflow_coco_pair", "coco", 8, 24, {Code.MISSING_IMAGE: 2}),
        ("coco_with_yaml", "coco", 6, 18, {}),
        ("ls_coco_win", "coco", 6, 18, {}),
        ("ls_coco_116", "coco", 6, 18, {Code.UNFOUND_PATH: 1}),
        ("iscrowd_forms", "coco", 6, 18, {}),
        ("pandas_float_ids", "coco", 6, 18, {}),
        ("nfd_coco", "coco", 6, 18, {Code.UNFOUND_PATH: 1}),
        ("aihub_raw_drug", "coco", 6, 18, {Code.ONE_CLASS: 1}),
        ("coco_results", "coco", 6, 18, {Code.BAD_LABEL_FILE: 1}),
        ("roboflow_no_test", "yolo", 8, 24, {Code.UNFOUND_PATH: 1}),
        ("voc_folder", "voc", 6, 0, {}),
        ("labelme_folder", "labelme", 6, 6, {}),
        ("cvat_yolo11", "darknet", 6, 18, {}),
    ],
)
def test_a_case(
    shared: Path, name: str, kind: str, images: int, count: int, problems: dict[Code, int]
) -> None:
    source = open_source(case(shared, name))
    found = Read(source)
    assert (source.kind, len(found.images), boxes(found)) == (kind, images, count)
    assert dict(Counter(found.codes)) == problems


@pytest.mark.parametrize(
    "name", ["ls_coco_win", "ls_coco_116", "nfd_coco", "iscrowd_forms", "coco_with_yaml"]
)
def test_the_file_alone_gives_the_same(shared: Path, name: str) -> None:
    folder = case(shared, name)
    (file,) = folder.glob("*.json")
    whole, alone = Read(open_source(folder)), Read(open_source(file))
    assert {p: i.boxes.xywhn.tolist() for p, i in whole.images.items()} == {
        p: i.boxes.xywhn.tolist() for p, i in alone.images.items()
    }
    assert whole.reasons == alone.reasons


@pytest.mark.parametrize("name", ["coco_two_subsets", "coco_wrong_pair", "roboflow_coco_pair"])
def test_boxes_of_an_image_are_those_of_its_split(shared: Path, name: str) -> None:
    folder = case(shared, name)
    wanted: dict[tuple[str, str], list[list[float]]] = {}
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        split = "train" if "train" in file.relative_to(folder).as_posix() else "val"
        names = {image["id"]: image["file_name"] for image in content["images"]}
        for one in content["annotations"]:
            wanted.setdefault((split, names[one["image_id"]]), []).append(one["bbox"])
    for path, image in Read(open_source(folder)).images.items():
        found = [
            [(cx - w / 2) * 320, (cy - h / 2) * 240, w * 320, h * 240]
            for cx, cy, w, h in image.boxes.xywhn.tolist()
        ]
        assert found == [pytest.approx(box) for box in wanted[image.split, path.rpartition("/")[2]]]


def test_sides_that_exif_exchanges_are_told(shared: Path, tmp_path: Path) -> None:
    """Three of the six are stored lying; their labels speak of the lying image."""
    report = build(open_source(case(shared, "exif_coco")), tmp_path / "index", encoder=FakeEncoder())
    turned = [p for p in report.problems if p.code == Code.SIZE_CONFLICT]
    assert len(turned) == 3 and all("EXIF orientation" in p.reason for p in turned)


# The same kinds in small


def coco(*names: str, **changes: object) -> str:
    images = [{"id": n, "file_name": name, "width": 100, "height": 50} for n, name in enumerate(names)]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 20 + n, 20]} for n in range(len(names))
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    return json.dumps({**content, **changes})


def of_images(found: Read) -> dict[str, int]:
    return {path: len(image.boxes) for path, image in found.images.items()}


def test_a_name_that_only_another_split_has(tree: Tree) -> None:
    tree.put("train/a.jpg")
    tree.put("valid/b.jpg")
    tree.put("train/_annotations.coco.json", coco("a.jpg", "b.jpg"))
    tree.put("valid/_annotations.coco.json", coco("b.jpg"))
    found = Read(open_source(tree.root))
    assert of_images(found) == {"train/a.jpg": 1, "valid/b.jpg": 1}
    assert [(p.code, p.file) for p in found.problems] == [
        (Code.MISSING_IMAGE, "train/_annotations.coco.json")
    ]
    assert "valid/b.jpg is that of another split" in found.reasons[0]


def test_a_name_that_lies_beside_another_coco_file(tree: Tree) -> None:
    """Folders of two batches, whose names say nothing of a split."""
    tree.put("batch 1/a.jpg")
    tree.put("batch 2/b.jpg")
    tree.put("batch 1/labels.json", coco("a.jpg", "b.jpg"))
    tree.put("batch 2/labels.json", coco("b.jpg"))
    found = Read(open_source(tree.root))
    assert of_images(found) == {"batch 1/a.jpg": 1, "batch 2/b.jpg": 1}
    assert found.codes == [Code.MISSING_IMAGE]


def test_paths_of_other_machines(tree: Tree) -> None:
    for name in ("images/a.jpg", "images/b.jpg", "images/x/c.jpg", "images/y/c.jpg", "other/x/d.jpg"):
        tree.put(name)
    names = ("..\\..\\media\\a.jpg", "/data/upload/b.jpg", "D:\\set\\x\\c.jpg", "\\c.jpg", "C:/gone.jpg")
    found = Read(open_source(tree.put("result.json", coco(*names))))
    assert of_images(found) == {"images/a.jpg": 1, "images/b.jpg": 1, "images/x/c.jpg": 1}
    told = Counter(found.codes)
    assert told == {Code.UNFOUND_PATH: 1, Code.AMBIGUOUS_IMAGE: 1, Code.MISSING_IMAGE: 1}
    assert any("is absolute" in reason and "gone.jpg" in reason for reason in found.reasons)


def test_backslashes_are_no_other_machine(tree: Tree) -> None:
    for name in ("images/a.jpg", "images/x/b.jpg", "other/a.jpg"):
        tree.put(name)
    found = Read(open_source(tree.put("result.json", coco("images\\a.jpg", ".\\images\\x\\b.jpg"))))
    assert of_images(found) == {"images/a.jpg": 1, "images/x/b.jpg": 1} and not found.codes


def test_names_in_the_other_unicode_form(tree: Tree) -> None:
    nfc, nfd = (unicodedata.normalize(form, "알약") for form in ("NFC", "NFD"))
    tree.put(f"images/{nfd}1.jpg")
    tree.put(f"images/{nfd}2.jpg")
    tree.put(f"images/{nfc}2.jpg")
    found = Read(open_source(tree.put("a.json", coco(f"{nfc}1.jpg", f"{nfc}2.jpg"))))
    assert of_images(found) == {f"images/{nfd}1.jpg": 1, f"images/{nfc}2.jpg": 1}
    assert found.codes == [Code.UNFOUND_PATH] and "NFD" in found.reasons[0]


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("iscrowd", None, 1),
        ("iscrowd", "0", 1),
        ("iscrowd", False, 1),
        ("iscrowd", 0.0, 1),
        ("iscrowd", 1, 0),
        ("iscrowd", "1", 0),
        ("score", None, 1),
        ("image_id", 0.0, 1),
        ("image_id", 0.5, 0),
        ("category_id", 1.0, 1),
        ("category_id", "1", 0),
    ],
)
def test_forms_with_one_meaning(tree: Tree, field: str, value: object, kept: int) -> None:
    tree.put("a.jpg")
    one = {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20], field: value}
    found = Read(open_source(tree.put("a.json", coco("a.jpg", annotations=[one]))))
    assert (boxes(found), len(found.problems)) == (kept, 1 - kept)


@pytest.mark.parametrize(
    ("yaml", "kind"),
    [("stages: {}\n", "coco"), ("names: [a]\ntrain: .\n", "yolo"), ("nc: 1\ntrain: .\n", "yolo")],
)
def test_a_yaml_that_is_none_of_yolo(tree: Tree, yaml: str, kind: str) -> None:
    tree.put("a.jpg")
    tree.put("a.json", coco("a.jpg"))
    tree.put("dvc.yaml", yaml)
    assert open_source(tree.root).kind == kind


def test_a_yaml_alone_is_told_as_before(tree: Tree) -> None:
    tree.put("a.jpg")
    tree.put("dvc.yaml", "stages: {}\n")
    with pytest.raises(InputError, match="'names' is missing"):
        open_source(tree.root)


@pytest.mark.parametrize(("orientation", "told"), [(1, False), (6, True)])
def test_why_sides_are_exchanged(tree: Tree, orientation: int, told: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (100, 50) if told else (50, 100)
    for name, pixels in (("a.jpg", size), ("b.jpg", (100, 50))):
        Image.new("RGB", pixels, "red").save(tree.put(name), exif=exif if name == "a.jpg" else b"")
    source = open_source(tree.put("a.json", coco("a.jpg", "b.jpg")))
    (problem,) = build(source, tree.root / "index", encoder=FakeEncoder()).problems
    assert (problem.code, problem.image) == (Code.SIZE_CONFLICT, "a.jpg")
    assert ("EXIF" in problem.reason) is told


def drug(tree: Tree, code: str, ident: int, folder: str = "", **more: str) -> None:
    image = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50, "drug_N": code, **more}
    one = {"image_id": 1, "category_id": ident, "bbox": [10, 10, 20, 20 + int(code[-3:]) % 20]}
    categories = [{"id": ident, "name": "Drug"}]
    tree.put(f"{folder}{code}.json", coco(images=[image], annotations=[one], categories=categories))


def test_raw_drugs_are_told_once(tree: Tree) -> None:
    tree.put("a.jpg")
    for code in ("K-001900", "K-016548"):
        drug(tree, code, 1)
    found = Read(open_source(tree.root))
    assert [(p.code, p.file) for p in found.problems] == [(Code.ONE_CLASS, "K-001900.json")]
    drug(tree, "K-016548", 16548)
    assert not Read(open_source(tree.root)).problems


def with_drugs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The folder `raw` in `folder`, read by the copies that the script of docs/formats.md makes."""
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(folder)
    exec(script, {})
    source = open_source("labels", images="raw")
    read = Read(source)
    assert set(source.names) == {int(i) for im in read.images.values() for i in im.boxes.class_id}
    return read


def test_the_script_for_raw_drugs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Path(shutil.copytree(case(shared, "aihub_raw_drug"), tmp_path / "raw"))
    before = {file: file.read_bytes() for file in raw.rglob("*") if file.is_file()}
    for path in (raw, *raw.rglob("*")):
        path.chmod(0o755)
    found = with_drugs(tmp_path, monkeypatch)
    assert not found.problems and (len(found.images), boxes(found)) == (6, 18)
    for image in found.images.values():
        files = {f"{path.parent.name}": path for path in raw.rglob(f"{Path(image.path).stem}.json")}
        drugs = [
            int(json.loads(files[name].read_text(encoding="utf-8"))["images"][0]["dl_idx"])
            for name in sorted(files)
        ]
        assert image.boxes.class_id.tolist() == drugs
    assert before == {file: file.read_bytes() for file in raw.rglob("*") if file.is_file()}


def test_the_script_for_raw_drugs_in_small(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.put("raw/a.jpg")
    for code, name in (("K-001900", "가"), ("K-016548", "나")):
        drug(tree, code, 1, dl_idx=str(int(code[2:]) - 1), dl_name=name, folder="raw/")
    assert Read(open_source(tree.root / "raw")).codes == [Code.ONE_CLASS]
    found = with_drugs(tree.root, monkeypatch)
    assert not found.problems
    assert found.images["raw/a.jpg"].boxes.class_id.tolist() == [1899, 16547]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 0.9}], "a detector's results"),
        ([{"id": 1, "data": {}, "annotations": []}], "a Label Studio export"),
        ([1], "found a list"),
    ],
)
def test_a_list_is_named_for_what_it_is(tree: Tree, content: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_source(tree.put("a.json", json.dumps(content)), kind="coco")


Placed = tuple[str, int, float, float, float, float]


def as_pycocotools(file: Path) -> list[Placed]:
    """Image, class and place (pixels, rounded) of every box that pycocotools holds, crowds left out."""
    tools = pytest.importorskip("pycocotools.coco")
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = tools.COCO(str(file))
    return sorted(
        (
            theirs.imgs[one["image_id"]]["file_name"],
            int(one["category_id"]),
            *(round(float(value), 6) for value in one["bbox"]),
        )
        for ident in theirs.getAnnIds(iscrowd=None)
        for one in theirs.loadAnns(ident)
        if not one.get("iscrowd")
    )


def as_read(found: Read, sizes: dict[str, tuple[int, int]]) -> list[Placed]:
    """The same of what was read."""
    out: list[Placed] = []
    for path, image in found.images.items():
        name = path.rpartition("/")[2]
        width, height = sizes[name]
        for ident, (cx, cy, w, h) in zip(
            image.boxes.class_id.tolist(), image.boxes.xywhn.tolist(), strict=True
        ):
            place = ((cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height)
            out.append((name, ident, *(round(value, 6) for value in place)))
    return sorted(out)


@pytest.mark.parametrize("name", ["pandas_float_ids", "coco_with_yaml"])
def test_pycocotools_holds_the_same(shared: Path, name: str) -> None:
    (file,) = case(shared, name).glob("*.json")
    read = Read(open_source(file))
    assert as_read(read, {f"m{n}.jpg": (320, 240) for n in range(6)}) == as_pycocotools(file)


numbers = st.integers(0, 4) | st.just(9)  # 9: an image that is not listed
edges = st.sampled_from([0, 0.0, 50, 100, 49.99, 99.5, -1, 1e-7, 12])
sides = st.one_of(st.floats(0, 60).map(lambda x: round(x, 2)), st.integers(0, 60), edges)
annotations = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": numbers | numbers.map(float),
            "category_id": st.sampled_from([1, 1899, 7.0, 5]),
            "bbox": st.tuples(*[sides] * 4).map(list),
        },
        optional={
            "iscrowd": st.sampled_from([0, 1, False, None, 0.0]),
            "score": st.sampled_from([None, 0.5]),
        },
    ),
    max_size=8,
)


@settings(max_examples=int(os.environ.get("HEALTHEAT_ORACLE_SETS", "200")))
@given(annotations)
def test_pycocotools_holds_the_same_or_a_problem_says_why(
    tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, object]]
) -> None:
    tree = Tree(tmp_path_factory.mktemp("set"))
    names = [f"{n}.jpg" for n in range(5)]
    for name in names:
        tree.put(name)
    items = [{**item, "id": number, "area": 1.0} for number, item in enumerate(items, 1)]
    categories = [{"id": ident, "name": str(ident)} for ident in (1, 7, 1899)]
    file = tree.put("a.json", coco(*names, annotations=items, categories=categories))
    found = Read(open_source(file))
    lost = {p.line for p in found.problems if p.line is not None}
    assert {p.code for p in found.problems} <= {Code.BAD_LINE, Code.REPEATED_LINE, Code.UNKNOWN_CLASS}
    kept = [item for line, item in enumerate(items) if line not in lost]
    rest = tree.put("kept.json", coco(*names, annotations=kept, categories=categories))
    assert as_read(found, dict.fromkeys(names, (100, 50))) == as_pycocotools(rest)
    assert len(as_pycocotools(rest)) == len(kept)  # nothing was lost without a problem
