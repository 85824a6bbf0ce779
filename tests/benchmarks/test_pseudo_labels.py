"""The pseudo-label loop: its sets, what counts as right, its tables, and that finished arms are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import pseudo_labels
from benchmarks.pseudo_labels import Loop, arms_of, parse, write_pseudo
from benchmarks.pseudo_labels_data import (
    PARTS,
    Box,
    Found,
    OneImage,
    count_right,
    draw,
    judged,
    most_confident,
    read_set,
    split_parts,
    tables,
    write_arm_yaml,
    write_parts,
    write_predictions,
)
from healtheat.core.paths import yolo_label_path
from healtheat.sources.groups import group_key

TRUE: Box = (3, 0.5, 0.5, 0.2, 0.2)
HALF: Box = (3, 0.5, 0.55, 0.2, 0.3)  # holds TRUE: IoU 2/3
LOOSE: Box = (3, 0.5, 0.5, 0.3, 0.3)  # IoU 4/9
OTHER: Box = (4, 0.5, 0.5, 0.2, 0.2)


@given(st.sets(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=40, max_size=50), st.integers(0, 5))
def test_a_source_is_in_one_part(shots: set[tuple[int, int]], seed: int) -> None:
    names = [f"images/train/IMG_{source}.rf.{copy}.jpg" for source, copy in shots]
    parts = split_parts(names, 0.33, 0.2, seed)
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    sources = {part: {group_key(name) for name in parts[part]} for part in PARTS}
    total = len({group_key(name) for name in names})
    assert sum(map(len, sources.values())) == total
    assert len(sources["held_out"]) == round(0.2 * total)
    assert len(sources["labelled"]) == round(0.33 * (total - len(sources["held_out"])))
    assert parts == split_parts(names[::-1], 0.33, 0.2, seed)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(SystemExit, match="no image would be held_out"):
        split_parts(["images/a.jpg", "images/b.jpg"], 0.5, 0.2, 0)


@pytest.mark.parametrize(
    ("boxes", "right"),
    [
        ([TRUE], 1),
        ([HALF], 1),
        ([LOOSE], 0),
        ([OTHER], 0),
        ([TRUE, TRUE], 1),  # a double is no second right box
        ([OTHER, HALF], 1),
        ([], 0),
    ],
)
def test_right_is_class_and_place(boxes: list[Box], right: int) -> None:
    found = [Found("a.jpg", box, 0.5) for box in boxes]
    assert count_right(found, {"a.jpg": [TRUE]}) == right
    assert count_right(found, {"b.jpg": [TRUE]}) == 0


def test_two_objects_want_two_boxes() -> None:
    apart: Box = (3, 0.5, 0.52, 0.2, 0.2)
    found = [Found("a.jpg", HALF, 0.9), Found("a.jpg", TRUE, 0.8)]
    assert count_right(found, {"a.jpg": [TRUE, apart]}) == 2
    assert count_right(found, {"a.jpg": [TRUE, (3, 0.1, 0.1, 0.1, 0.1)]}) == 1


def test_accepted_stand_beside_as_many_of_the_most_confident() -> None:
    truth = {"a.jpg": [TRUE], "b.jpg": [TRUE], "c.jpg": []}
    found = [
        Found("c.jpg", TRUE, 0.9),
        Found("a.jpg", TRUE, 0.8, accepted=True),
        Found("b.jpg", OTHER, 0.8),
        Found("b.jpg", HALF, 0.2, accepted=True),
    ]
    assert [one.image for one in most_confident(found, 3)] == ["c.jpg", "a.jpg", "b.jpg"]
    counted = {"boxes": 4, "true": 2, "accepted": 2, "right": 2, "right_of_confident": 1}
    assert judged(found, truth) == counted


def result(arm: str, turn: int, seed: int, map50: float, **counts: int) -> dict[str, Any]:
    return {"arm": arm, "round": turn, "seed": seed, "map50": map50, **counts}


def test_tables_stand_gaps_and_no_accepted_box() -> None:
    counts = {"boxes": 10, "true": 9, "accepted": 4, "right": 4, "right_of_confident": 3}
    nothing = {"boxes": 10, "true": 9, "accepted": 0, "right": 0, "right_of_confident": 0}
    text = tables(
        [
            result("labelled", 0, 0, 0.25),
            result("labelled", 0, 1, 0.5),
            result("vetted", 1, 0, 0.5, **counts),
            result("vetted", 2, 1, 0.5, **nothing),
        ]
    )
    assert "| labelled |  | 0.250 | 0.500 | 0.375 |" in text
    assert "| vetted | 1 | 0.500 |  | 0.500 |" in text
    assert "| vetted | 1 | 0 | 10 | 9 | 4 | 1.000 | 0.750 |" in text
    assert "| vetted | 2 | 1 | 10 | 9 | 0 |  |  |" in text
    assert "accepted" not in tables([result("true", 0, 0, 0.5)])


@pytest.fixture
def images(tmp_path: Path) -> dict[str, OneImage]:
    found = {}
    for number in range(9):
        file = tmp_path / "set" / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
        found[f"images/{number}.png"] = OneImage(file, (TRUE, OTHER) if number % 2 else ())
    return found


def test_the_rest_has_no_labels_and_the_others_their_own(images: dict[str, OneImage], tmp_path: Path) -> None:
    parts, out = split_parts(sorted(images), 0.33, 0.3, 0), tmp_path / "parts"
    write_parts(images, parts, dict(enumerate("abcde")), out)
    for part, folder in zip(PARTS, ("labelled", "true", "held_out"), strict=True):
        written = sorted((out / folder / "images" / "train").iterdir())
        assert [path.name for path in written] == sorted(Path(path).name for path in parts[part])
        for path in written:
            lines = yolo_label_path(path).read_text(encoding="utf-8").splitlines()
            assert [int(line.split()[0]) for line in lines] == ([3, 4] if int(path.stem) % 2 else [])
    rest = sorted(path.name for path in (out / "rest").rglob("*"))
    assert rest == sorted(Path(path).name for path in parts["rest"])
    again, names = read_set(out / "labelled" / "data.yaml")
    assert len(again) == len(parts["labelled"]) and names == dict(enumerate("abcde"))


def test_an_arm_trains_on_what_there_is(images: dict[str, OneImage], tmp_path: Path) -> None:
    write_parts(
        images, split_parts(sorted(images), 0.33, 0.3, 0), dict(enumerate("abcde")), tmp_path / "parts"
    )
    full, empty = tmp_path / "train.txt", tmp_path / "partly.txt"
    full.write_text("a.png\n", encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    write_arm_yaml(tmp_path / "parts", tmp_path / "arm", [full, empty, tmp_path / "absent.txt"])
    spec = yaml.safe_load((tmp_path / "arm" / "data.yaml").read_text(encoding="utf-8"))
    assert spec["train"] == [str(tmp_path / "parts/labelled/images/train"), str(full)]
    assert spec["val"] == str(tmp_path / "parts/held_out/images/train")


def test_pseudo_labels_are_written_where_something_was_found(
    images: dict[str, OneImage], tmp_path: Path
) -> None:
    found = [Found("1.png", TRUE, 0.75), Found("1.png", OTHER, 0.5), Found("4.png", TRUE, 0.9)]
    folder = write_pseudo(found, tmp_path / "set", tmp_path / "pseudo")
    assert sorted(path.name for path in folder.iterdir()) == ["1.png", "4.png"]
    lines = yolo_label_path(folder / "1.png").read_text(encoding="utf-8").splitlines()
    assert lines == ["3 0.500000 0.500000 0.200000 0.200000", "4 0.500000 0.500000 0.200000 0.200000"]
    write_predictions(found, tmp_path / "predictions")
    text = (tmp_path / "predictions" / "1.txt").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "3 0.500000 0.500000 0.200000 0.200000 0.750000"


def test_sparse_class_ids_are_refused(images: dict[str, OneImage], tmp_path: Path) -> None:
    write_parts(images, split_parts(sorted(images), 0.33, 0.3, 0), {3: "c", 4: "d"}, tmp_path / "parts")
    with pytest.raises(SystemExit, match="as Ultralytics wants them"):
        read_set(tmp_path / "parts" / "labelled" / "data.yaml")


def test_arms_and_rounds() -> None:
    args = parse(["--arms", "true,vetted", "--rounds", "2"])
    assert arms_of(args) == [("true", 0), ("vetted", 1), ("vetted", 2)]
    with pytest.raises(SystemExit, match="no arm all"):
        arms_of(parse(["--arms", "all"]))


def test_a_finished_arm_is_kept_and_one_that_is_missing_comes_first(
    images: dict[str, OneImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    asked: list[tuple[str, float]] = []

    def train(data: Path, *rest: Any) -> dict[str, Any]:
        trained.append(data.name)
        return {"map50": 0.5}

    def predict(weights: Path, rest: Path, conf: float, settings: Any) -> list[Found]:
        asked.append((weights.parents[2].name, conf))
        return [Found(path.name, TRUE, 0.75) for path in sorted(rest.iterdir())]

    monkeypatch.setattr(pseudo_labels, "train", train)
    monkeypatch.setattr(pseudo_labels, "predict", predict)
    args = parse(["--held-out", "0.3"])
    pseudo_labels.prepare(images, dict(enumerate("abcde")), tmp_path, 0, args)
    loop = Loop(tmp_path, 0, {"conf": 0.1})
    loop.result("confidence", 2)
    assert trained == ["labelled", "confidence-1", "confidence-2"]
    assert asked == [("labelled", 0.5), ("confidence-1", 0.5)]
    kept = loop.result("confidence", 1)
    assert len(trained) == 3 and kept["accepted"] == len(loop.truth())
    (tmp_path / "confidence-1" / "result.json").unlink()  # killed
    loop.result("confidence", 1)
    assert trained[3:] == ["confidence-1"]
    monkeypatch.setattr(pseudo_labels, "predict", lambda *_: [])
    assert loop.result("vetted", 1)["boxes"] == 0  # nothing to vet
    spec = json.loads((tmp_path / "parts.json").read_text(encoding="utf-8"))
    assert len(spec["rest"]) == len(loop.truth())


@pytest.mark.slow
def test_the_drawn_set_is_clean_and_dense(tmp_path: Path) -> None:
    data = draw(tmp_path / "demo", 15)
    found, names = read_set(data)
    assert set(names) == set(range(len(names)))
    for image, one in found.items():  # a name lists the products on the image
        codes = Path(image).name.split("_")[0].split("-")[1:]
        assert len(one.boxes) == len(codes), image
    assert sum(not one.boxes for one in found.values()) == 1, "an empty tray has no box"
    before = data.stat().st_mtime_ns
    assert draw(tmp_path / "demo", 15) == data and data.stat().st_mtime_ns == before
