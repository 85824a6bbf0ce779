"""What every label format must do with files that nobody expects. A new format adds a maker to `MAKERS`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from healtheat.core.boxes import ProblemCode
from healtheat.core.errors import HealtheatError, InputError
from healtheat.sources import Source, open_source
from healtheat.sources.base import LabelledImage
from healtheat.sources.checked import checked
from healtheat.sources.open import FORMATS
from healtheat.sources.outside import outside_allowed
from tests.sources.reading import Read, Tree

NAMES = {3: "three", 7: "일곱"}
# One box a picture of each class id in the weights, which a stand-in for Ultralytics reads as JSON.
ULTRALYTICS = """
import json
import numpy as np

class Boxes:
    def __init__(self, ids):
        self.cls, self.conf = np.array(ids, float), np.linspace(0.9, 0.5, len(ids))
        self.xywhn = np.array([[0.5, 0.5, 0.2, 0.1 + n / 10] for n in range(len(ids))]).reshape(-1, 4)
    def cpu(self): return self
    def numpy(self): return self

class Result:
    def __init__(self, ids): self.boxes = Boxes(ids)

class YOLO:
    task, names, overrides = "detect", {3: "three", 7: "일곱"}, {}
    def __init__(self, weights, task=None, verbose=True):
        self.ids = json.load(open(weights))
    def predict(self, images, **options):
        return [Result(self.ids) for _ in images]
"""
PATCHES = "import numpy as np\ndef imread(path): return np.zeros((4, 4, 3), np.uint8)\n"

Made = tuple[Path, dict[str, Path], str]  # what is given to open_source, its options, the label file
Make = Callable[[Tree, Sequence[str], Sequence[int]], Made]


def yolo(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    lines = "".join(f"{ident} .5 .5 .2 .{n + 1}\n" for n, ident in enumerate(ids))
    for name in names:
        tree.put(f"labels/{name}".replace(".png", ".txt"), lines)
    tree.put("all.txt", "".join(f"./images/{name}\n" for name in names))
    tree.put("val.txt")
    named = "\n".join(f"  {ident}: {name}" for ident, name in NAMES.items())
    given = tree.put("data.yaml", f"train: all.txt\nval: val.txt\nnames:\n{named}\n")
    return given, {}, f"labels/{names[0]}".replace(".png", ".txt")


def coco(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    box: dict[str, Any] = {"image_id": 0, "bbox": [5, 5, 9, 9]}
    document = {
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names)],
        "annotations": [{**box, "category_id": ident} for ident in ids],
        "categories": [{"id": ident, "name": name} for ident, name in NAMES.items()],
    }
    return tree.put("labels.json", json.dumps(document)), {}, "labels.json"


def detector(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    weights = tree.put("best.pt", json.dumps(ids))
    return tree.root / "images", {"weights": weights}, "best.pt"


def names_file(tree: Tree) -> dict[str, Path]:
    """The option of formats that know classes by name."""
    named = "\n".join(f"  {ident}: {name}" for ident, name in NAMES.items())
    return {"names": tree.put("names.yaml", f"names:\n{named}\n")}


def voc(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    for at, name in enumerate(names):
        objects = "".join(
            f"<object><name>{NAMES.get(ident, 'nobody')}</name><bndbox><xmin>5</xmin><ymin>5</ymin>"
            f"<xmax>14</xmax><ymax>{14 + n}</ymax></bndbox></object>\n"
            for n, ident in enumerate(ids if at == 0 else [])
        )
        size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
        content = f"<annotation>\n<filename>{name}</filename>{size}\n{objects}</annotation>\n"
        tree.put(f"Annotations/{at}.xml", content)
    return tree.root, names_file(tree), "Annotations/0.xml"


def darknet(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    yolo(tree, names, ids)
    (tree.root / "data.yaml").unlink()
    given = tree.put("obj.data", "names = obj.names\ntrain = data/all.txt\n")
    tree.put("obj.names", "".join(f"{NAMES.get(n, n)}\n" for n in range(8)))
    return given, names_file(tree), f"labels/{names[0]}".replace(".png", ".txt")


def labelme(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    for at, name in enumerate(names):
        shapes = [
            {"label": NAMES.get(ident, "nobody"), "shape_type": "rectangle", "points": [[5, 5], [14, 14 + n]]}
            for n, ident in enumerate(ids if at == 0 else [])
        ]
        content = {"shapes": shapes, "imagePath": name, "imageHeight": 30, "imageWidth": 40}
        tree.put(f"labels/{at}.json", json.dumps(content))
    return tree.root, names_file(tree), "labels/0.json"


def cvat(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES.values())
    content = f"<annotations><meta><task><labels>{labels}</labels></task></meta>\n"
    for at, name in enumerate(names):
        boxes = "".join(
            f'<box label="{NAMES.get(ident, "nobody")}" xtl="5" ytl="5" xbr="14" ybr="{14 + n}"/>\n'
            for n, ident in enumerate(ids if at == 0 else [])
        )
        content += f'<image id="{at}" name="{name}" width="40" height="30">{boxes}</image>\n'
    tree.put("annotations.xml", content + "</annotations>")
    return tree.root / "annotations.xml", names_file(tree), "annotations.xml"


def labelstudio(tree: Tree, names: Sequence[str], ids: Sequence[int]) -> Made:
    def result(n: int, ident: int) -> dict[str, Any]:
        place = {"x": 10, "y": 10, "width": 20, "height": 20 + n, "rotation": 0}
        value = {**place, "rectanglelabels": [NAMES.get(ident, "nobody")]}
        return {"type": "rectanglelabels", "original_width": 40, "original_height": 30, "value": value}

    tasks = [
        {
            "data": {"image": f"/data/local-files/?d={quote(f'images/{name}')}"},
            "annotations": [{"result": [result(n, i) for n, i in enumerate(ids if at == 0 else [])]}],
        }
        for at, name in enumerate(names)
    ]
    return tree.put("export.json", json.dumps(tasks)), names_file(tree), "export.json"


MAKERS: dict[str, Make] = {
    "yolo": yolo,
    "coco": coco,
    "detector": detector,
    "voc": voc,
    "darknet": darknet,
    "labelme": labelme,
    "cvat": cvat,
    "labelstudio": labelstudio,
}
by_format = pytest.mark.parametrize("kind", [known.kind for known in FORMATS])


@pytest.fixture
def made(tree: Tree, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Tree:
    home = Tree(tmp_path_factory.mktemp("packages"))
    home.put("ultralytics/__init__.py", ULTRALYTICS)
    home.put("ultralytics/utils/__init__.py")
    home.put("ultralytics/utils/patches.py", PATCHES)
    monkeypatch.setenv("PYTHONPATH", str(home.root))
    monkeypatch.syspath_prepend(str(home.root))
    importlib.invalidate_caches()
    return Tree(tree.root / "set")


def make(tree: Tree, kind: str, names: Sequence[str] = ("a.png",), ids: Sequence[int] = (7, 3)) -> Made:
    """A data set of `kind` with these images; boxes of these classes are on the first of them."""
    assert kind in MAKERS, f"add a maker for {kind} to {__name__}"
    for name in names:
        file = tree.root / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(file)
    return MAKERS[kind](tree, names, ids)


def opened(made: Made, kind: str) -> Source:
    return open_source(made[0], kind=kind, **made[1])  # type: ignore[arg-type]


def files(tree: Tree) -> dict[str, str]:
    return {
        file.relative_to(tree.root).as_posix(): sha256(file.read_bytes()).hexdigest()
        for file in tree.root.rglob("*")
        if file.is_file()
    }


def check_sound(read: Read, source: Source) -> None:
    """Nothing that the last look would have to take out, and only real classes."""
    assert all(set(image.boxes.class_id.tolist()) <= set(source.names) for image in read.images.values())
    seen = [record for record in checked(source) if isinstance(record, LabelledImage)]
    assert [image.path for image in seen] == list(read.images)
    assert [len(image.boxes) for image in seen] == [len(image.boxes) for image in read.images.values()]
    assert all(problem.file and problem.reason for problem in read.problems)


def check_refused_or_sound(made: Made, kind: str) -> None:
    """A damaged file is refused in one line, or what is left of it is sound."""
    try:
        source = opened(made, kind)
        read = Read(source)
    except HealtheatError as error:
        assert "\n" not in str(error)
        return
    check_sound(read, source)


@by_format
def test_the_same_order_twice_names_as_they_are_and_nothing_is_written(made: Tree, kind: str) -> None:
    names = [f"{normalize('NFC', '알약')}.png", f"{normalize('NFD', '알약')}.png", "b c.png"]
    given = make(made, kind, names)
    before = files(made)
    first, again = opened(given, kind), opened(given, kind)
    records = list(first.read())
    assert list(map(repr, records)) == list(map(repr, again.read()))
    read = Read(again)
    assert {path.rpartition("/")[2] for path in read.images} == set(names)
    assert all(image.file.is_file() for image in read.images.values())
    labelled = next(i for i in read.images.values() if i.path.endswith(names[0]))
    assert sorted(labelled.boxes.class_id.tolist()) == [3, 7]
    check_sound(read, again)
    assert files(made) == before


@by_format
def test_an_empty_folder_is_one_clear_line(made: Tree, kind: str) -> None:
    _, options, _ = make(made, kind)
    (made.root / "empty").mkdir()
    with pytest.raises(InputError, match="empty") as error:
        Read(open_source(made.root / "empty", kind=kind, **options))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@by_format
@pytest.mark.parametrize("kept", [0, 0.8], ids=["empty", "truncated"])
def test_a_label_file_that_is_not_whole_is_told(made: Tree, kind: str, kept: float) -> None:
    given = make(made, kind)
    file = made.root / given[2]
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    try:
        source = opened(given, kind)
        read = Read(source)
    except HealtheatError as error:
        assert file.name in str(error) and "\n" not in str(error)
        return
    check_sound(read, source)
    (image,) = read.images.values()
    assert len(image.boxes) == bool(kept)
    assert image.status == "empty" if not kept else given[2] in [problem.file for problem in read.problems]


@by_format
@pytest.mark.parametrize("bad", [-1, 2**31, 2**63, 10**400], ids=["minus", "past the last", "2^63", "10^400"])
def test_a_class_id_that_is_none_is_a_problem_and_the_other_boxes_stay(
    made: Tree, kind: str, bad: int
) -> None:
    given = make(made, kind, ids=(7, bad, 3))
    try:
        source = opened(given, kind)
        read = Read(source)
    except HealtheatError as error:
        assert kind == "detector" and given[2] in str(error)  # weights that give such numbers do not work
        return
    check_sound(read, source)
    (image,) = read.images.values()
    assert sorted(image.boxes.class_id.tolist()) == [3, 7]
    (problem,) = [p for p in read.problems if p.code is not ProblemCode.EMPTY_SPLIT]  # the maker has no val
    assert problem.file in (given[2], image.path) and (problem.line == 1 or not image.label_path)


@by_format
@pytest.mark.parametrize("name", ["../secret.png", "x/../../../secret.png", "/secret.png"])
def test_a_name_that_leads_out_is_never_kept_as_it_is(made: Tree, kind: str, name: str) -> None:
    if kind == "detector":
        pytest.skip("its images are those of a folder, no label names them")
    make(made, kind, ["x/a.png"])
    Image.new("RGB", (40, 30)).save(made.root.parent / "secret.png")
    given = MAKERS[kind](made, ["x/a.png", name], (7,))
    try:
        read = Read(source := opened(given, kind))
    except InputError as error:  # a YOLO list may name images anywhere, if the user says so
        assert "outside of its folder" in str(error)
        with outside_allowed(True):
            read = Read(source := opened(given, kind))
    check_sound(read, source)
    assert [path for path in read.images if path.endswith("x/a.png")]
    # Then the path says where they are.
    outside = [path for path in read.images if path.endswith("secret.png")]
    assert outside == [f"{made.root.parent.as_posix()}/secret.png"] * bool(outside)
    assert outside or {"bad_entry", "missing_image"} & set(read.codes)


TOKENS = [
    b"null",
    b"1e999",
    b'"',
    b"<",
    b">",
    b"{}",
    b"[]",
    b"-1",
    b"\xff",
    b"\\ud800",
    b"&#0;",
    b"",
    b"7" * 400,
]


@by_format
@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(TOKENS)), max_size=3))
def test_no_damage_to_a_label_file_is_a_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, damage: list[tuple[float, int, bytes]]
) -> None:
    """Pieces cut out and others put in, anywhere: boxes and problems, or one clear line."""
    if kind == "detector":
        pytest.skip("weights are read by another program")
    home = Tree(tmp_path_factory.mktemp("set"))
    given_ = make(home, kind)
    file = home.root / given_[2]
    content = file.read_bytes()
    for where, cut, token in damage:
        at = int(where * len(content))
        content = content[:at] + token + content[at + cut :]
    file.write_bytes(content)
    check_refused_or_sound(given_, kind)


@pytest.mark.parametrize("kind", ["coco", "labelme", "labelstudio"])
@given(data=st.data())
def test_no_value_in_a_json_is_a_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """One value, anywhere in the document, is something that nobody expects there."""
    home = Tree(tmp_path_factory.mktemp("set"))
    given_ = make(home, kind)
    file = home.root / given_[2]
    document = json.loads(file.read_bytes())
    at = document
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(
        st.sampled_from([None, True, -1, 1e308, 10**400, "", "x", "\ud800", [], {}, [[]], "../x"])
    )
    file.write_text(json.dumps(document), encoding="utf-8")
    check_refused_or_sound(given_, kind)
