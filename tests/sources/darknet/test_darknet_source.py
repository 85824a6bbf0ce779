"""Darknet sets, which CVAT calls YOLO 1.1; their lines are edited as those of a YOLO set."""

from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.cleanup import apply_in_place, plan_labels, rollback, write_copy
from healtheat.core.boxes import ProblemCode as Code
from healtheat.core.errors import InputError
from healtheat.index import Index, NewVerdict
from healtheat.sources import open_source
from tests.index.small_set import NAMES, FakeEncoder, write_set
from tests.sources.reading import Read, Tree

BOX = "1 .5 .5 .1 .1\n"


def darknet(tree: Tree, data: str = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n") -> Path:
    tree.put("obj.names", "가\nb c\n")
    tree.put("obj_train_data/a.jpg")
    tree.put("obj_train_data/a.txt", BOX)
    tree.put("train.txt", "data/obj_train_data/a.jpg\n")
    return tree.put("obj.data", data)


def test_what_cvat_writes(tree: Tree) -> None:
    darknet(tree)
    source = open_source(tree.root)
    found = Read(source)
    assert (source.kind, source.edits, source.names) == ("darknet", "lines", {0: "가", 1: "b c"})
    assert source.ids_from == "the order of obj.names"
    image = found.images["obj_train_data/a.jpg"]
    assert (image.split, image.label_path) == ("train", "obj_train_data/a.txt")
    assert (image.boxes.class_id.tolist(), found.codes) == ([1], [])
    assert set(found.files) == {"obj.names", "obj.data", "train.txt", "obj_train_data/a.txt"}


def test_what_is_wrong_in_a_list_for_darknet_too(tree: Tree) -> None:
    darknet(tree)
    tree.put("train.txt", "data\\\\obj_train_data\\\\a.jpg\n obj_train_data/a.jpg\n".replace("\\\\", "\\"))
    codes = Read(open_source(tree.root)).codes
    assert codes == [Code.MISSING_IMAGE, Code.UNFOUND_PATH]


def test_names_may_be_given(tree: Tree) -> None:
    data = darknet(tree, "train = train.txt\n")
    with pytest.raises(InputError, match="'names' is missing"):
        open_source(data)
    assert open_source(data, names=tree.root / "obj.names").names == {0: "가", 1: "b c"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("classes = 3\ntrain = train.txt\nnames = obj.names\n", ":1: 'classes' is 3 but obj.names has 2"),
        ("train = gone.txt\nnames = obj.names\n", ":1: 'train = gone.txt' not found"),
        ("train = train.txt\nnames = a\0b\n", ":2: 'names = .*' not found"),
        ("names = obj.names\n", "no list of images"),
        ("", "'names' is missing"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_bad_obj_data(tree: Tree, data: str, reason: str) -> None:
    path = darknet(tree)
    path.write_bytes(data.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=reason) as error:
        open_source(path)
    assert "\n" not in str(error.value)


def test_lines_are_dropped_in_place_and_in_a_copy(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_set(root).unlink()
    images = sorted(root.rglob("*.png"))
    lists = {"train.txt": [], "valid.txt": []}
    for image in images:
        lists[f"{image.relative_to(root).parts[0]}.txt"].append(f"./{image.relative_to(root).as_posix()}\n")
    for name, lines in lists.items():
        (root / name).write_text("".join(lines), encoding="utf-8")
    names = "".join(f"{NAMES.get(ident, f'unused {ident}')}\n" for ident in range(13))
    (root / "obj.names").write_text(names, encoding="utf-8")
    (root / "obj.data").write_text("train=train.txt\nvalid=valid.txt\nnames=obj.names\n", encoding="utf-8")
    build(open_source(root / "obj.data"), tmp_path / "index", encoder=FakeEncoder())
    with Index.open(tmp_path / "index") as index:
        boxes = index.boxes()
        assert len(boxes) == 36
        index.judging.append(NewVerdict(box_id=0, issue="background", verdict="drop", who="a"))
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        write_copy(plan_labels(index), tmp_path / "copy")
        apply_in_place(plan_labels(index))
    assert sum(len(i.boxes) for i in Read(open_source(root / "obj.data")).images.values()) == 35
    assert sum(len(i.boxes) for i in Read(open_source(tmp_path / "copy")).images.values()) == 35
    rollback(root)
    assert {path: path.read_bytes() for path in before} == before
