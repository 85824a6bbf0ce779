"""truth.csv says exactly what is wrong with the label files: replay it and the right labels come out."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from healtheat.drawing import KINDS, PRODUCTS, DemoSet, Truth, look_alikes, read_truth
from healtheat.drawing.plan import HEIGHT_PX, WIDTH_PX, Scene, plan_scenes
from healtheat.drawing.plant import ErrorPlan, choose, image_path, with_blur
from healtheat.drawing.render import take_image

SEED, IMAGES = 5, 48  # of the fixture `demo`
BY_CLASS = {p.class_id: p for p in PRODUCTS}


def lines_of(demo: DemoSet, image: str) -> list[str]:
    path = (demo.root / image.replace("images/", "labels/", 1)).with_suffix(".txt")
    return path.read_text(encoding="utf-8").splitlines()


def listed(image: str) -> list[int]:
    """Class ids that a file name lists."""
    found = re.match(r"K((?:-\d{6})+)_", Path(image).name)
    return [] if found is None else [int(code) - 1 for code in found.group(1)[1:].split("-")]


def scenes_and_plan() -> tuple[list[Scene], ErrorPlan]:
    scenes = plan_scenes(SEED, IMAGES, PRODUCTS)
    return scenes, choose(SEED, scenes)


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    def corners(c: tuple[float, ...]) -> tuple[float, ...]:
        return c[0] - c[2] / 2, c[1] - c[3] / 2, c[0] + c[2] / 2, c[1] + c[3] / 2

    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = corners(a), corners(b)
    both = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def box_of(line: str) -> tuple[float, ...]:
    return tuple(float(v) for v in line.split()[1:5])


def test_every_kind_is_planted(demo: DemoSet) -> None:
    assert set(KINDS) == {t.kind for t in demo.truth}
    assert read_truth(demo.truth_csv) == list(demo.truth)
    first = demo.truth_csv.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("kind,image,line,true_class,given_class")


def test_undoing_the_truth_gives_what_the_file_names_list(demo: DemoSet) -> None:
    by_image: dict[str, list[Truth]] = {}
    for t in demo.truth:
        by_image.setdefault(t.image, []).append(t)
    scenes, plan = scenes_and_plan()
    for image in [image_path(s) for s in scenes if s.labelled] + list(plan.copies.values()):
        right = {
            i: line.split()[0] for i, line in enumerate(lines_of(demo, image)) if line.strip()
        }  # line → class as text
        added = []
        for t in by_image.get(image, []):
            if t.line >= 0 and t.kind != "broken_line":
                assert right[t.line] == str(t.given_class)
            if t.kind in ("spurious", "duplicate_box"):
                del right[t.line]
            elif t.line >= 0:
                right[t.line] = str(t.true_class)
            elif t.kind == "missing":
                added.append(str(t.true_class))
        assert sorted([*right.values(), *added]) == sorted(str(c) for c in listed(image)), image


def test_classes_of_each_kind(demo: DemoSet) -> None:
    for t in demo.truth:
        if t.kind in ("flips", "confuse", "swap"):
            assert t.true_class != t.given_class and t.given_class in BY_CLASS
        if t.kind == "confuse":
            assert t.true_class is not None
            assert t.given_class in {p.class_id for p in look_alikes(BY_CLASS[t.true_class])}
        if t.kind == "swap":
            assert t.given_class in listed(t.image)
        if t.kind == "spurious":
            assert t.true_class is None
    assert len({(t.image, t.line, t.kind) for t in demo.truth if t.line >= 0}) == sum(
        t.line >= 0 for t in demo.truth
    )


def test_boxes_are_tight_where_no_error_moved_them(demo: DemoSet) -> None:
    scenes, plan = scenes_and_plan()
    moved = {(t.image, t.line) for t in demo.truth if t.kind in ("whole_image", "shifted", "spurious")}
    moved |= {(t.image, t.line) for t in demo.truth if t.kind in ("duplicate_box", "broken_line")}
    checked = 0
    for scene in scenes[::10]:
        _, boxes = take_image(with_blur(scene, plan))
        tight = [
            ((x0 + x1) / 2 / WIDTH_PX, (y0 + y1) / 2 / HEIGHT_PX, (x1 - x0) / WIDTH_PX, (y1 - y0) / HEIGHT_PX)
            for x0, y0, x1, y1 in boxes.tolist()
        ]
        for number, line in enumerate(lines_of(demo, image_path(scene))):
            if line.strip() and (image_path(scene), number) not in moved:
                assert max(iou(box_of(line), t) for t in tight) > 0.999
                checked += 1
    assert checked > 8


def test_moved_boxes_lie_where_their_kind_says(demo: DemoSet) -> None:
    scenes, plan = scenes_and_plan()
    by_path = {image_path(s): s for s in scenes}
    for t in demo.truth:
        if t.kind == "whole_image":
            assert box_of(lines_of(demo, t.image)[t.line]) == (0.5, 0.5, 1.0, 1.0)
        if t.kind in ("shifted", "spurious", "duplicate_box"):
            _, boxes = take_image(with_blur(by_path[t.image], plan))
            tight = [
                (
                    (x0 + x1) / 2 / WIDTH_PX,
                    (y0 + y1) / 2 / HEIGHT_PX,
                    (x1 - x0) / WIDTH_PX,
                    (y1 - y0) / HEIGHT_PX,
                )
                for x0, y0, x1, y1 in boxes.tolist()
            ]
            best = max(iou(box_of(lines_of(demo, t.image)[t.line]), b) for b in tight)
            low, high = {"shifted": (0, 0.3), "spurious": (0, 0.03), "duplicate_box": (0.8, 1)}[t.kind]
            assert low <= best <= high, (t, best)


def test_twins_point_at_the_other_half(demo: DemoSet) -> None:
    for t in demo.truth:
        if t.kind == "duplicate_box":
            image, line = t.twin.split("#")
            assert image == t.image and int(line) != t.line
            lines = lines_of(demo, image)
            assert lines[int(line)].split()[0] == str(t.true_class)
            assert iou(box_of(lines[int(line)]), box_of(lines[t.line])) > 0.8
        if t.kind == "duplicate_image":
            with Image.open(demo.root / t.image) as a, Image.open(demo.root / t.twin) as b:
                apart = np.asarray(a, np.int16) - np.asarray(b, np.int16)
            assert np.abs(apart).mean() < 4
            assert t.image.split("/")[1] != t.twin.split("/")[1]
            assert lines_of(demo, t.image) == lines_of(demo, t.twin)


def test_unreadable_things_cannot_be_read(demo: DemoSet) -> None:
    for t in demo.truth:
        if t.kind == "truncated_image":
            try:
                with Image.open(demo.root / t.image) as image:
                    image.load()
                raise AssertionError(f"{t.image} can be read")
            except OSError:
                pass
        if t.kind == "broken_line":
            fields = lines_of(demo, t.image)[t.line].split()
            try:
                good = (
                    len(fields) == 5 and int(fields[0]) >= 0 and all(0 <= float(v) <= 1 for v in fields[1:])
                )
            except ValueError:
                good = False
            assert not good


def test_harmless_oddities_are_there(demo: DemoSet) -> None:
    texts = [p.read_bytes() for p in sorted((demo.root / "labels").rglob("*.txt"))]
    assert any(b"\r\n" in t for t in texts)
    assert any(t.startswith((b"\n", b"\r\n")) for t in texts)
    assert any(t and not t.endswith(b"\n") for t in texts)
    assert texts.count(b"") == 1
    images = {p.stem for p in (demo.root / "images").rglob("*.*")}
    labels = {p.stem for p in (demo.root / "labels").rglob("*.txt")}
    assert len(images - labels) == 1 and not labels - images


def test_every_kind_is_planted_for_many_seeds_and_no_box_twice() -> None:
    for seed in range(12):
        for images in (12, 40):
            scenes = plan_scenes(seed, images, PRODUCTS)
            plan = choose(seed, scenes)
            kinds = Counter(plan.boxes.values())
            box_kinds = set(KINDS) - {"duplicate_image", "truncated_image"}
            assert set(kinds) == box_kinds, (seed, images)
            assert plan.copies and plan.truncated
            assert kinds["swap"] % 2 == 0
            paths = [image_path(s) for s in scenes] + list(plan.copies.values())
            assert len({p.rsplit("/", 1)[1].rsplit(".", 1)[0] for p in paths}) == len(paths)
            assert not {s for s, _ in plan.boxes} & (set(plan.copies) | plan.truncated)


def test_names_list_the_pills_drawn() -> None:
    for scene in plan_scenes(8, 60, PRODUCTS):
        assert sorted(listed(image_path(scene))) == sorted(p.product.class_id for p in scene.pills)
        assert len(scene.pills) <= 4


def test_trays_stay_in_one_split() -> None:
    splits: dict[str, set[str]] = {}
    for scene in plan_scenes(8, 60, PRODUCTS):
        splits.setdefault(scene.stem.split("_")[0], set()).add(scene.split)
    assert all(len(s) == 1 for s in splits.values())
    assert {"train", "val"} == set().union(*splits.values())


def test_no_stray_bytes_depend_on_the_place(demo: DemoSet) -> None:
    marker = (demo.root / ".healtheat-demo.json").read_text(encoding="utf-8")
    assert str(demo.root.parent) not in marker
    truth = hashlib.sha256(demo.truth_csv.read_bytes()).hexdigest()
    assert truth in marker
