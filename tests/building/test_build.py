"""build: what goes in comes out, only what is new is embedded, and what cannot be read is told."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.building.intake import Intake
from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.crops import CropPolicy, cut, open_image
from healtheat.index import Index, cache
from healtheat.sources.base import LabelledImage
from healtheat.sources.yolo.source import YoloSource
from tests.building.conftest import Build
from tests.index.small_set import NAMES, FakeEncoder, tables, write_set

BOXES, TILES = 36, 24


def _label_lines(root: Path) -> dict[str, list[list[str]]]:
    """Image path → its label lines, by a plain loop."""
    return {
        label.relative_to(root).as_posix().replace("labels", "images").replace(".txt", ".png"): [
            line.split() for line in label.read_text(encoding="utf-8").splitlines()
        ]
        for label in sorted(root.rglob("*.txt"))
    }


def test_every_label_line_is_a_box_with_its_own_vector(
    build_small: Build, index_path: Path, data: Path
) -> None:
    before = {p: p.read_bytes() for p in data.parent.rglob("*") if p.is_file()}
    report = build_small()
    assert (report.images, report.boxes, report.background) == (12, BOXES, TILES)
    assert report.problems == () and report.failures == ()
    lines = _label_lines(data.parent)
    encoder = FakeEncoder()
    policy = encoder.spec.crop_policy()
    with Index.open(index_path) as index:
        assert index.names == NAMES
        images, boxes = index.images(), index.boxes()
        assert boxes.box_id.tolist() == list(range(BOXES))
        vectors = index.vectors(boxes.box_id)
        found: dict[str, list[list[str]]] = {path: [] for path in images.path}
        for row in range(len(boxes)):
            path = str(images.path[boxes.image_id[row]])
            class_id, *xywhn = lines[path][int(boxes.line[row])]
            assert int(class_id) == boxes.class_id[row]
            assert [float(v) for v in xywhn] == boxes.xywhn[row].tolist()
            found[path].append([class_id, *xywhn])
            image = open_image((data.parent / path).read_bytes(), path)
            crop = cut(image, boxes.xywhn[row][None], policy, encoder.spec.resolution_px)
            assert np.array_equal(encoder.encode(crop)[0], vectors[row])
        assert found == lines
        assert set(images.split) == {"train", "val"}
        assert (images.width_px == 80).all() and (images.height_px == 60).all()
        shuffled = np.random.default_rng(0).permutation(BOXES)
        assert np.array_equal(index.vectors(shuffled), vectors[shuffled])
        assert index.background().shape == (TILES, 12)
        assert index.measures(boxes.box_id).shape == (BOXES,)
        for class_id in (0, 3, 7):
            mine = boxes.box_id[boxes.class_id == class_id]
            shard = index.shard(class_id)
            nearest = shard.search(vectors[mine[:1]], 1)[1]
            assert shard.ntotal == len(mine) and nearest[0, 0] in mine
        with pytest.raises(KeyError):
            index.vectors(np.array([BOXES]))
        with pytest.raises(KeyError):
            index.shard(12)
        assert index.changed_label_files() == []
    assert {p: p.read_bytes() for p in data.parent.rglob("*") if p.is_file()} == before


def test_building_again_embeds_only_what_changed(build_small: Build, index_path: Path, data: Path) -> None:
    first = FakeEncoder()
    report = build_small(encoder=first)
    assert first.crops_seen == report.embedded == BOXES + TILES
    before = tables(index_path)

    again = FakeEncoder()
    report = build_small(encoder=again)
    assert again.crops_seen == report.embedded == 0 and report.reused == BOXES + TILES
    assert tables(index_path) == before

    label = data.parent / "train" / "labels" / "사진 05.txt"
    lines = label.read_bytes().splitlines(keepends=True)
    label.write_bytes(lines[0].replace(b"0.225000", b"0.230000") + lines[1] + lines[2])
    moved = FakeEncoder()
    report = build_small(encoder=moved)
    # One box moved: its own crop, and at most the tiles of its image, which must stay clear of it.
    assert 1 <= moved.crops_seen == report.embedded <= 1 + 2
    after = tables(index_path)
    assert after["vectors"] != before["vectors"]
    fresh = index_path.parent / "fresh"
    build(YoloSource(data), fresh, encoder=FakeEncoder(), signals=())
    assert tables(fresh) == after


def test_a_class_id_alone_does_not_embed_again(build_small: Build, index_path: Path, data: Path) -> None:
    build_small()
    for label in (data.parent / "train" / "labels").iterdir():
        lines = label.read_bytes().splitlines(keepends=True)
        label.write_bytes(b"".join([b"12 " + lines[0].split(b" ", 1)[1], *lines[:0:-1]]))
    encoder = FakeEncoder()
    report = build_small(encoder=encoder)
    assert encoder.crops_seen == report.embedded == 0
    with Index.open(index_path) as index:
        boxes = index.boxes()
        assert (boxes.class_id == 12).sum() == 9
        assert index.verify() == []


def test_a_new_encoder_or_crop_policy_embeds_everything(build_small: Build, index_path: Path) -> None:
    build_small()
    other = FakeEncoder(dim=7)
    build_small(encoder=other)
    assert other.crops_seen == BOXES + TILES
    with Index.open(index_path) as index:
        assert index.manifest.dim == 7
    wide = FakeEncoder(dim=7)
    build_small(encoder=wide, crop_policy=CropPolicy(padding=0.3))
    assert wide.crops_seen == BOXES + TILES


def test_the_content_does_not_depend_on_threads_or_batches(
    build_small: Build, index_path: Path, data: Path
) -> None:
    build_small(threads=1)
    expected = tables(index_path)
    build(YoloSource(data), index_path.parent / "b", encoder=FakeEncoder(), signals=(), threads=5)
    assert tables(index_path.parent / "b") == expected


def test_an_image_in_two_folders_is_embedded_once(build_small: Build, index_path: Path, data: Path) -> None:
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        shutil.copy(
            data.parent / "train" / folder / f"사진 01.{suffix}",
            data.parent / "valid" / folder / f"copy.{suffix}",
        )
    encoder = FakeEncoder()
    report = build_small(encoder=encoder)
    assert report.boxes == BOXES + 3
    assert encoder.crops_seen == BOXES + TILES
    assert report.reused == 3 + 2


def test_changed_label_files_are_named(build_small: Build, index_path: Path, data: Path) -> None:
    build_small()
    changed = data.parent / "train" / "labels" / "사진 02.txt"
    changed.write_bytes(changed.read_bytes() + b"\n")
    (data.parent / "valid" / "labels" / "사진 00.txt").unlink()
    with Index.open(index_path) as index:
        assert index.changed_label_files() == ["train/labels/사진 02.txt", "valid/labels/사진 00.txt"]


def test_images_that_cannot_be_read_are_problems_and_the_rest_goes_on(
    build_small: Build, index_path: Path, data: Path
) -> None:
    images = data.parent / "train" / "images"
    cut_off = (images / "사진 01.png").read_bytes()
    (images / "사진 01.png").write_bytes(cut_off[: len(cut_off) // 2])
    (images / "사진 02.png").write_bytes(b"")
    label = data.parent / "train" / "labels" / "사진 03.txt"
    label.write_bytes(label.read_bytes() + b"0 nan 0.5 0.1 0.1\n99 0.5 0.5 0.1 0.1\n")
    report = build_small()
    assert report.boxes == BOXES - 6
    with Index.open(index_path) as index:
        problems = index.problems()
        images_ = index.images()
        assert sorted(images_.status.tolist()) == ["labelled"] * 10 + ["unreadable"] * 2
        assert len(index.boxes()) == BOXES - 6
        assert index.verify() == []
        rows = index.sql("SELECT code, file, line, image_id FROM problems ORDER BY problem_id").to_pylist()
        path = dict(zip(images_.image_id.tolist(), images_.path.tolist(), strict=True))
    assert list(report.problems) == problems
    assert [row["code"] for row in rows] == [p.code.value for p in problems]
    assert [(p.code, p.file, p.line) for p in problems] == [
        (ProblemCode.UNREADABLE_IMAGE, "train/images/사진 01.png", None),
        (ProblemCode.UNREADABLE_IMAGE, "train/images/사진 02.png", None),
        (ProblemCode.BAD_LINE, "train/labels/사진 03.txt", 3),
        (ProblemCode.UNKNOWN_CLASS, "train/labels/사진 03.txt", 4),
    ]
    assert "3 labelled boxes are not in the index" in problems[0].reason
    assert [path[row["image_id"]] for row in rows] == [
        "train/images/사진 01.png",
        "train/images/사진 02.png",
        "train/images/사진 03.png",
        "train/images/사진 03.png",
    ]


def test_strict_makes_any_problem_fatal_and_commits_nothing(
    build_small: Build, index_path: Path, data: Path
) -> None:
    build_small()
    before = tables(index_path)
    label = data.parent / "train" / "labels" / "사진 03.txt"
    label.write_bytes(label.read_bytes() + b"0 nan 0.5 0.1 0.1\n")
    with pytest.raises(InputError, match=r"1 problem: train/labels/사진 03\.txt:4: .*without strict"):
        build_small(strict=True)
    assert tables(index_path) == before
    label.write_bytes(b"junk\n" * 50)
    with pytest.raises(InputError, match="at least 10 problems"):
        build_small(strict=True)
    assert tables(index_path) == before


class _Claims:
    """A source whose labels claim the size of the images."""

    kind = "coco"
    edits = "annotations"

    def __init__(self, root: Path, sizes: Sequence[tuple[int, int]]) -> None:
        self.root = self.data = root
        self.names = {5: "five"}
        self._sizes = sizes

    def read(self) -> Iterator[LabelledImage | Problem]:
        yield Problem(ProblemCode.BAD_ENTRY, "labels.json", None, "said before any image", "b.png")
        for name, size in zip(("a.png", "b.png"), self._sizes, strict=True):
            boxes = Boxes.of([0], [5], [[0.5, 0.5, 0.2, 0.2]], [0.75])
            yield LabelledImage(name, self.root / name, "train", "labelled", "labels.json", boxes, size)


def test_an_image_of_another_size_than_the_labels_claim_is_a_problem(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    report = build(
        _Claims(tmp_path, [(40, 30), (30, 40)]), tmp_path / "index", encoder=FakeEncoder(), signals=()
    )
    assert report.boxes == 1
    assert "30×40" in report.problems[1].reason and "40×30" in report.problems[1].reason
    with Index.open(tmp_path / "index") as index:
        assert index.boxes().confidence.tolist() == [0.75]
        assert [p.image for p in index.problems()] == ["b.png", "b.png"]
        assert index.problems()[1].code is ProblemCode.SIZE_CONFLICT


def test_an_image_with_very_many_boxes_is_cut_slice_by_slice(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(0, 255, (200, 300, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    xywhn = np.concatenate([random.uniform(0.2, 0.8, (500, 2)), np.full((500, 2), 0.05)], axis=1)

    class Many(_Claims):
        def read(self) -> Iterator[LabelledImage]:
            boxes = Boxes.of(range(500), [5] * 500, xywhn)
            yield LabelledImage("a.png", self.root / "a.png", "", "labelled", "a.txt", boxes)

    build(Many(tmp_path, []), tmp_path / "index", encoder=FakeEncoder(), signals=())
    encoder = FakeEncoder()
    image = open_image((tmp_path / "a.png").read_bytes(), "a.png")
    with Index.open(tmp_path / "index") as index:
        wanted = encoder.encode(cut(image, xywhn, encoder.spec.crop_policy(), 16))
        assert np.array_equal(index.vectors(np.arange(500)), wanted)


def test_no_box_at_all_is_an_error_that_names_a_problem(build_small: Build, data: Path) -> None:
    for label in data.parent.rglob("*.txt"):
        label.write_bytes(b"junk\n")
    told = r"no labelled box found.*nothing in them can be used as a box; first of 12 problems: .*txt:1"
    with pytest.raises(InputError, match=told):
        build_small()


def test_label_files_without_an_object_are_no_fault_of_paths(build_small: Build, data: Path) -> None:
    labels = list(data.parent.rglob("*.txt"))
    for label in labels:
        label.write_bytes(b"")
    with pytest.raises(InputError, match="the label files were found and hold no object: label some first"):
        build_small()
    labels[0].unlink()
    with pytest.raises(InputError, match=r"1 without a label file.*; check the paths in it"):
        build_small()


@pytest.mark.slow
def test_memory_is_bounded_by_the_batch_while_images_are_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CHUNK_CROPS", 8)
    peaks: list[int] = []
    taking_in = Intake.run

    def measured(intake: Intake, threads: int) -> None:
        tracemalloc.start()
        taking_in(intake, threads)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    monkeypatch.setattr(Intake, "run", measured)
    crop_bytes = 128 * 128 * 3
    for images in (10, 60):
        data = write_set(tmp_path / str(images), images=images)
        encoder = FakeEncoder(resolution_px=128)
        build(YoloSource(data), tmp_path / f"index {images}", encoder=encoder, signals=())
    few, many = peaks
    assert many < few + 40 * crop_bytes  # where 50 × 5 crops more went through
