"""File names as long as a disk takes them, of Hangul: in place, as a copy, as a patch, and back."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.cleanup import Plan, apply_in_place, pending, plan_labels, rollback, write_copy
from healtheat.core.errors import InputError
from healtheat.exporting.run import export
from healtheat.index import Index, NewVerdict
from healtheat.signals.geometry import Geometry
from healtheat.sources import open_source
from tests.cases.folders import case
from tests.cleanup.small_yolo import tree
from tests.exporting.patch.test_unified import applied, tools
from tests.index.small_set import FakeEncoder

LONGEST = 255  # bytes of a name, on nearly every disk
IMAGES = 4


def longest(number: int, suffix: str) -> str:
    """A name of exactly that many bytes."""
    end = f"{number}{suffix}"
    syllables, rest = divmod(LONGEST - len(end), 3)
    return "약" * syllables + "x" * rest + end


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for folder in ("images", "labels"):
        (root / folder / "train").mkdir(parents=True)
    for n in range(IMAGES):
        try:
            Image.effect_noise((64, 48), 60).convert("RGB").save(root / "images/train" / longest(n, ".jpg"))
        except OSError:
            pytest.skip("the disk takes no name of 255 bytes")
        lines = "0 .3 .5 .2 .2\r\n1 .7 .5 .2 .2\n"
        (root / "labels/train" / longest(n, ".txt")).write_bytes(lines.encode())
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/train\nnames: [a, b]\n", encoding="utf-8"
    )
    return root


def decided(data: Path, folder: Path) -> Index:
    """An index; the first box is dropped, the last relabelled to class 0."""
    build(open_source(data), folder, encoder=FakeEncoder(), signals=(Geometry(),))
    index = Index.open(folder)
    rows = index.sql(
        "select box_id, min(issue) as issue from findings group by box_id order by box_id"
    ).to_pylist()
    for row, to in ((rows[0], None), (rows[-1], 0)):
        verdict = "drop" if to is None else "relabel"
        index.judging.append(NewVerdict(**row, verdict=verdict, relabel_to=to, who="a"))
    return index


def in_place_and_back(root: Path, plan: Plan) -> None:
    before = tree(root)
    apply_in_place(plan)
    after = tree(root)
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed == {edit.path for edit in plan.edits} and changed
    rollback(root)
    assert tree(root) == before


def test_in_place_and_back(yolo: Path, tmp_path: Path) -> None:
    with decided(yolo, tmp_path / "index") as index:
        in_place_and_back(yolo, plan_labels(index))


def test_a_whole_image_in_place_and_back(yolo: Path, tmp_path: Path) -> None:
    with decided(yolo, tmp_path / "index") as index:
        plan = plan_labels(index, drop="images")
        assert any(edit.path.startswith("images/") for edit in plan.edits)
        in_place_and_back(yolo, plan)


def test_the_case_in_place_and_back(shared: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(case(shared, "long_names"), tmp_path / "data"))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    before = tree(root)
    with decided(root / "data.yaml", tmp_path / "index") as index:
        plan = plan_labels(index)
        if pending(root) is not None:  # a cleanup that once failed at such names lies in it
            with pytest.raises(InputError, match="run `healtheat rollback` again"):
                apply_in_place(plan)
            assert rollback(root).left == [] and tree(root) == before
        in_place_and_back(root, plan)


def test_a_copy(yolo: Path, tmp_path: Path) -> None:
    with decided(yolo, tmp_path / "index") as index:
        write_copy(plan_labels(index), tmp_path / "clean")
    names = {len(os.fsencode(file.name)) for file in (tmp_path / "clean").rglob("약*")}
    assert names == {LONGEST}
    lines = [file.read_bytes() for file in sorted((tmp_path / "clean").rglob("*0.txt"))]
    assert lines == [b"1 .7 .5 .2 .2\n"]


def test_a_patch(yolo: Path, tmp_path: Path) -> None:
    with decided(yolo, tmp_path / "index") as index:
        export(index, tmp_path / "fixes.patch")
    for tool in tools()[:1]:
        applied(tool, yolo, (tmp_path / "fixes.patch").read_bytes())
    assert (yolo / "labels/train" / longest(0, ".txt")).read_bytes() == b"1 .7 .5 .2 .2\n"


def test_a_patch_for_each_coco_file(tmp_path: Path) -> None:
    """The patch of a file whose name is as long as it can be has a shorter one, of its own."""
    root = tmp_path / "coco"
    root.mkdir()
    for n in range(2):
        Image.effect_noise((64, 48), 60).convert("RGB").save(root / longest(n, ".png"))
        boxes = [{"image_id": 1, "category_id": c, "bbox": [5, 5, 9 + c, 9]} for c in (0, 1)]
        image = {"id": 1, "file_name": longest(n, ".png"), "width": 64, "height": 48}
        categories = [{"id": c, "name": "ab"[c]} for c in (0, 1)]
        content = {"images": [image], "annotations": boxes, "categories": categories}
        (root / longest(n, ".json")).write_text(json.dumps(content), encoding="utf-8")
    with decided(root, tmp_path / "index") as index:
        in_place_and_back(root, plan_labels(index))
        done = export(index, tmp_path / "fixes", "patch")
    assert len(set(done.files)) == 2 and all(file.is_file() for file in done.files)
    assert all(file.name.startswith("약약") and file.name.endswith(".patch.json") for file in done.files)
