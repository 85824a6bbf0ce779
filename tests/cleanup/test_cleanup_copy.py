"""A cleaned copy reads back as the data set without what was dropped; the data set itself is only read."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from healtheat.building.build import build
from healtheat.cleanup import apply_in_place, plan_labels, rollback, write_copy
from healtheat.core.errors import InputError
from healtheat.index import Index, NewVerdict
from healtheat.signals.geometry import Geometry
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage
from tests.cleanup.small_yolo import LABELS, NAMES, RAW, tree
from tests.index.small_set import FakeEncoder
from tests.made_index import MadeIndex


def images_of(data: Path) -> dict[str, LabelledImage]:
    return {r.path: r for r in open_source(data).read() if isinstance(r, LabelledImage)}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_copy(decided: MadeIndex, tmp_path: Path) -> None:
    before = tree(decided.root)
    to = tmp_path / "정리"
    write_copy(plan_labels(decided), to)
    assert tree(decided.root) == before
    found = images_of(to / "data.yaml")
    assert found.keys() == LABELS.keys() - {"images/val/a.jpg"}
    assert {path: image.split for path, image in found.items()} == {
        path: path.split("/")[1] for path in found
    }
    copied = tree(to)
    for path in found:  # what lost nothing is as it was, images and labels
        label = Path(path.replace("images/", "labels/", 1)).with_suffix(".txt").as_posix()
        assert copied[path] == before[path]
        if label in ("labels/train/empty.txt", "labels/val/b.txt"):
            assert copied[label] == before[label]
    assert (to / "labels/train/a.txt").read_bytes() == RAW["images/train/a.jpg"].replace(
        b"7\t0.2 0.5 0.250 0.125 \r", b""
    )
    content = yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8"))
    assert content["names"] == NAMES
    assert content["kpt_shape"] == [4, 2]
    assert "download" not in content
    lists = to / "healtheat-apply"
    removed = read_csv(lists / "removed.csv")
    assert {(r["image"], r["line"], r["class_id"], r["left_out"], r["decided_by"]) for r in removed} == {
        ("images/train/a.jpg", "1", "7", "box", "김"),
        ("images/train/deep/a.jpg", "1", "7", "box", "이"),
        ("images/train/가 나.jpg", "1", "", "box", "이"),
        ("images/val/a.jpg", "-1", "3", "image", "이"),
    }
    relabel = read_csv(lists / "relabel.csv")
    assert [(r["line"], r["class_id"], r["relabel_to"], r["relabel_name"]) for r in relabel] == [
        ("2", "40", "3", "타이레놀")
    ]
    assert json.loads((lists / "apply.json").read_text(encoding="utf-8"))["lines_removed"] == 3


def test_where_a_copy_may_go(decided: MadeIndex, tmp_path: Path) -> None:
    plan = plan_labels(decided)
    before = tree(tmp_path)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for place in (
        decided.root / "images/train/copy",
        decided.root / "labels/val/x",
        decided.root / "labels/x",  # holds folders of label files, and training would find what is new in it
        decided.root / "images",
        tmp_path / "index/copy",
        tmp_path / "file",
        decided.root,
    ):
        with pytest.raises(InputError):
            write_copy(plan, place)
    (tmp_path / "file").unlink()
    assert tree(tmp_path) == before


def test_a_file_that_changes_between_plan_and_copy(decided: MadeIndex, tmp_path: Path) -> None:
    plan = plan_labels(decided)
    (decided.root / "images/val/b.jpg").write_bytes(b"another image")
    with pytest.raises(InputError, match=r"images/val/b\.jpg: the image changed"):
        write_copy(plan, tmp_path / "copy")
    assert {f.name for f in tmp_path.iterdir()} == {"data", "index"}


@pytest.mark.torch
def test_ultralytics_reads_the_copy(decided: MadeIndex, tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="needs the extra `detector`")
    from ultralytics.data.base import BaseDataset
    from ultralytics.data.utils import img2label_paths

    to = tmp_path / "copy"
    write_copy(plan_labels(decided), to)
    reader = BaseDataset.__new__(BaseDataset)
    reader.prefix, reader.fraction = "", 1.0
    files = reader.get_img_files(str(to / "train.txt"))
    assert len(files) == 4
    for image, label in zip(files, img2label_paths(files), strict=True):
        assert Path(image).is_file() and Path(label).is_file()
        assert Path(image).is_relative_to(to)


def coco(images: list[tuple[int, str]], boxes: list[tuple[int, int, int, list[float]]]) -> dict[str, object]:
    return {
        "info": {"year": 2026, "x": 1.50},
        "images": [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in images],
        "categories": [{"id": 0, "name": "정"}, {"id": 90, "name": "<b>"}],
        "annotations": [
            {"id": i, "image_id": image, "category_id": c, "bbox": b, "segmentation": [], "mine": {"a": [i]}}
            for i, image, c, b in boxes
        ],
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        Image.effect_noise((64, 48), 60).convert("RGB").save(root / folder / "p.png")
    return root


def built(data: Path, folder: Path) -> Index:
    build(open_source(data), folder, encoder=FakeEncoder(), signals=(Geometry(),))
    return Index.open(folder)


def drop(index: Index, image: str, line: int) -> None:
    query = (
        "select box_id, f.issue from findings f join images i using (image_id) where i.path = ? and line = ?"
    )
    row = index.sql(query, [image, line]).to_pylist()[0]
    index.judging.append(NewVerdict(box_id=row["box_id"], issue=row["issue"], verdict="drop", who="a"))


def test_one_coco_json(pictures: Path, tmp_path: Path) -> None:
    content = coco(
        [(7, "a/p.png"), (5, "b/p.png")],
        [(10, 7, 90, [1, 2, 9.5, 8]), (11, 5, 0, [3, 2, 30, 20]), (12, 7, 0, [20, 20, 10, 10.25])],
    )
    file = pictures / "labels.json"
    text = json.dumps(content, ensure_ascii=False, indent=1)
    file.write_text(text, encoding="utf-8")
    index = built(file, tmp_path / "index")
    drop(index, "b/p.png", 1)
    plan = plan_labels(index)
    write_copy(plan, tmp_path / "copy")
    assert file.read_text(encoding="utf-8") == text
    now = json.loads((tmp_path / "copy/labels.json").read_text(encoding="utf-8"))
    kept = [a for a in content["annotations"] if a["id"] != 11]  # type: ignore[attr-defined]
    assert now == {**content, "annotations": kept}
    apply_in_place(plan)
    assert file.read_bytes() == (tmp_path / "copy/labels.json").read_bytes()
    rollback(pictures)
    assert file.read_text(encoding="utf-8") == text


def test_one_json_a_pill(pictures: Path, tmp_path: Path) -> None:
    boxes = [[1, 2, 9.5, 8], [20, 20, 10, 10.25], [40, 3, 12, 30]]
    for n, box in enumerate(boxes):
        content = coco([(1, "p.png")], [(1, 1, 90 if n % 2 else 0, box)])  # type: ignore[list-item]
        (pictures / f"a/pill{n}.json").write_text(json.dumps(content), encoding="utf-8")
    index = built(pictures, tmp_path / "index")
    lines = index.boxes().line.tolist()
    assert lines == [0, 1, 2]
    drop(index, "a/p.png", 1)
    apply_in_place(plan_labels(index))
    left = [
        len(json.loads((pictures / f"a/pill{n}.json").read_text(encoding="utf-8"))["annotations"])
        for n in range(3)
    ]
    assert left == [1, 0, 1]


def test_commands(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way on the command line: dry run, copy, in place, rollback."""
    from healtheat.cli import run

    shutil.copytree(built, tmp_path / "own")
    pills, index_path = tmp_path / "own/pills", tmp_path / "own/index/pills"
    from healtheat.index.locate import opened

    assert run(["build", str(pills / "data.yaml"), "--index", str(index_path)]) == 0
    with opened(index_path) as index:
        rows = index.sql(
            "select box_id, issue from findings where flagged and box_id >= 0 limit 3"
        ).to_pylist()
        for row in rows:
            index.judging.append(NewVerdict(**row, verdict="drop", who="a"))
    (pills / "labels/train.cache").write_bytes(b"\x93NUMPY and more")
    before = tree(pills)
    option = ["--index", str(index_path)]
    assert run(["apply", *option]) == 0
    said = capsys.readouterr().out
    assert "dry run: nothing was written" in said
    assert re.search(r"^caches .*: labels/train\.cache$", said, re.M)
    counted = re.search(r"^lines     (\d+) taken out, for (\d+) places: (.*)$", said, re.M)
    assert counted is not None
    assert int(counted[2]) == sum(int(part.rpartition(" ")[2]) for part in counted[3].split(", "))
    both = f"left out: {counted[1]} lines of single boxes, and 0 whole images"
    assert both in said.splitlines()
    for drop, words in (
        ("boxes", " lines of single boxes, and "),
        ("images", " whole images, with their good"),
    ):
        for command in (["apply", "--flagged"], ["export", "--format", "yolo", "--to", str(tmp_path / "no")]):
            assert run([*command, *option, "--drop", drop]) == 0
            (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("left out: ")]
            assert words in line
    assert tree(pills) == before
    assert run(["apply", *option, "--to", str(tmp_path / "copy"), "--max-share", "1"]) == 0
    assert "caches" not in capsys.readouterr().out, "a copy has none"
    assert tree(pills) == before
    assert run(["apply", *option, "--in-place", "--max-share", "1"]) == 0
    after = tree(pills)
    assert after != before
    assert {k: v for k, v in tree(tmp_path / "copy").items() if k.startswith("labels/")} == {
        k: v for k, v in after.items() if k.startswith("labels/")
    }
    assert run(["apply", *option]) == 2
    assert "changed since the build" in capsys.readouterr().err
    assert run(["rollback", *option]) == 0
    assert tree(pills) == before
    assert run(["rollback", str(pills)]) == 2
    assert "no cleanup to roll back" in capsys.readouterr().err
    assert run(["apply", *option, "--in-place", "--to", "x"]) == 2
