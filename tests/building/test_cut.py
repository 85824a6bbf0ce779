"""Crops cut along the object, from the labels to whoever cuts them again."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from healtheat.building.append import add
from healtheat.building.build import build
from healtheat.cli import run
from healtheat.index import Index
from healtheat.planting.crops import IndexCrops
from healtheat.signals import samples_from
from healtheat.sources import open_source
from healtheat.view.pictures import Pictures
from healtheat.view.similar import similar
from tests.index.small_set import FakeEncoder

SIDE = 60
SLANTED = np.array([[30, 10], [50, 30], [30, 50], [10, 30]])  # a square on its corner
DIAMOND = "0 " + " ".join(f"{value / SIDE}" for value in SLANTED.ravel().tolist())
PENTAGON = f"{DIAMOND} {20 / SIDE} {20 / SIDE}"


def draw(root: Path) -> Path:
    """Three images of a red square on its corner on a green ground: as its four corners, as a polygon, as a
    triangle with the same box around it.
    """
    triangle = np.array([[10, 10], [50, 10], [10, 50]]) / SIDE
    lines = (DIAMOND, PENTAGON, "0 " + " ".join(map(str, triangle.ravel().tolist())))
    for part in ("images", "labels"):
        (root / part / "train").mkdir(parents=True)
    for number, line in enumerate(lines):
        rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
        pixels = np.full((SIDE, SIDE, 3), (0, 200, 0), np.uint8)
        pixels[abs(rows - 30) + abs(columns - 30) < 20] = (200, 0, 0)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(root / f"images/train/{number}.png")
        (root / f"labels/train/{number}.txt").write_text(f"{line}\n", encoding="utf-8")
    names = "names: [a]\ntrain: images/train\nval: images/train\n"
    (root / "data.yaml").write_text(names, encoding="utf-8")
    return root / "data.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """data.yaml of the set."""
    return draw(tmp_path / "set")


@pytest.fixture
def along(tmp_path: Path, data: Path) -> Iterator[Index]:
    """Its index, with crops along the object."""
    built(data, tmp_path / "along", "object")
    with Index.open(tmp_path / "along") as index:
        yield index


def built(data: Path, to: Path, cut: str) -> FakeEncoder:
    encoder = FakeEncoder()
    build(open_source(data), to, encoder=encoder, signals=(), cut=cut)  # type: ignore[arg-type]
    return encoder


def test_vectors_of_both_ways_never_mix(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "index"
    first = built(data, folder, "box").crops_seen
    with Index.open(folder) as index:
        boxes, measures = index.vectors(np.arange(3)), index.measures(np.arange(3))
        assert "cut" not in index.manifest.crop_policy
    assert built(data, folder, "object").crops_seen == first > 0
    with Index.open(folder) as index:
        assert index.manifest.crop_policy["cut"] == "object" and index.verify() == []
        assert (abs(index.vectors(np.arange(3)) - boxes).max(axis=1) > 1e-3).all()
        assert (index.measures(np.arange(3)) == measures).all()
    assert built(data, folder, "object").crops_seen == 0


def test_another_outline_in_the_same_box_is_another_crop(tmp_path: Path, data: Path) -> None:
    for cut, crops in (("box", 0), ("object", 1)):
        built(data, tmp_path / cut, cut)
        label = data.parent / "labels/train/0.txt"
        before = label.read_text(encoding="utf-8")
        label.write_text(f"{PENTAGON}\n", encoding="utf-8")
        assert built(data, tmp_path / cut, cut).crops_seen == crops
        label.write_text(before, encoding="utf-8")


def test_the_self_test_cuts_as_the_build_did(along: Index) -> None:
    crops, samples = IndexCrops(along, FakeEncoder()), samples_from(along)
    for row in range(3):
        made = crops(row, samples.boxes.xywhn[[row]], samples.boxes.corners[[row]])
        assert made is not None and (made[0] == samples.vectors[[row]]).all()
        assert made[1]["dhash"] == samples.measures["dhash"][row]


def test_a_line_of_another_image_is_cut_as_the_build_did(along: Index, tmp_path: Path) -> None:
    other = draw(tmp_path / "other").parent
    for number in range(3):
        image = other / f"images/train/{number}.png"
        with Image.open(image) as opened:
            pixels = np.array(opened)
        pixels[0, 0] = 77  # not a file that the index knows; the crop does not show it
        Image.fromarray(pixels).save(image)
        (best, *_) = similar(along, image, line=0, encoder=FakeEncoder()).to_pylist()
        assert best["box_id"] == number and best["similarity"] > 0.9999


def test_pictures_of_the_page_and_the_report_are_cut_alike(along: Index, tmp_path: Path, data: Path) -> None:
    green = []
    built(data, tmp_path / "box", "box")
    with Index.open(tmp_path / "box") as box:
        for index in (along, box):
            pictures = Pictures(index)
            for box_id in range(3):
                path = tmp_path / "picture.jpg"
                path.write_bytes(pictures.crop(box_id, 200).data)
                with Image.open(path) as opened:
                    pixels = np.asarray(opened).astype(int)
                green.append(((pixels[..., 1] - pixels[..., 0]) > 100).mean())
    assert max(green[:2]) < 0.45 and min(green[3:]) > 0.5  # of the turned square its margin is left
    assert green[1] < 0.05


def test_corners_of_one_box_are_told(along: Index) -> None:
    outline = along.outline(0)
    assert outline is not None and np.allclose(outline * SIDE, SLANTED)
    with pytest.raises(KeyError):
        along.outline(99)


def test_the_command(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "index")
    assert run(["build", str(data), "--index", folder, "--encoder", "imagenet", "--cut", "round"]) == 2
    assert "--cut round: choose from box, object" in capfd.readouterr().err
    given = ["build", str(data), "--index", folder, "--encoder", "imagenet", "--cut", "object"]
    assert run(given) == 0
    assert "3 of 3 boxes cut along their corners" in capfd.readouterr().out
    assert run([*given, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["cut"], told["outlined"], told["embedded"]) == ("object", 3, 0)


def test_a_batch_is_cut_as_the_index_it_joins(tmp_path: Path, data: Path) -> None:
    other = draw(tmp_path / "other")
    for image in other.parent.glob("images/train/*.png"):
        with Image.open(image) as opened:
            pixels = np.array(opened)
        pixels[0, 0] = 99  # other files; the crops do not show it
        Image.fromarray(pixels).save(image)
    built(data, tmp_path / "index", "object")
    add(open_source(other), tmp_path / "index", name="more", encoder=FakeEncoder(), signals=())
    with Index.open(tmp_path / "index") as index:
        assert index.verify() == []
        vectors, corners = index.vectors(np.arange(6)), index.boxes().corners
        assert abs(vectors[:3] - vectors[3:]).max() < 1e-6
        for ours, theirs in zip(corners[:3], corners[3:], strict=True):
            assert (ours == theirs).all()
