"""Nearest crops of an index to any crop, known to it or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import healtheat
from healtheat.building.build import build
from healtheat.cli import run
from healtheat.core.errors import EncoderError, InputError
from healtheat.index import Index
from healtheat.sources import open_source
from healtheat.view.similar import SIMILAR_SCHEMA, similar
from tests.index.small_set import NAMES, FakeEncoder, write_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("similar")
    build(open_source(write_set(root / "set")), root / "index", encoder=FakeEncoder())
    return root


@pytest.fixture
def index(folder: Path):
    with Index.open(folder / "index") as opened:
        yield opened


def test_a_line_of_a_known_image_is_compared_without_an_encoder(index: Index) -> None:
    boxes, images = index.boxes(), index.images()
    vectors = index.vectors(boxes.box_id)
    row = 4
    file = index.image_file(int(boxes.image_id[row]))
    found = similar(index, file, line=int(boxes.line[row]), limit=6)
    assert found.schema == SIMILAR_SCHEMA and found["rank"].to_pylist() == [1, 2, 3, 4, 5, 6]
    similarity = vectors @ vectors[row]
    similarity[boxes.image_id == boxes.image_id[row]] = -2  # the box itself, and what shares its image
    best = np.argsort(-similarity, kind="stable")[:6]
    np.testing.assert_allclose(found["similarity"].to_numpy(), similarity[best], atol=1e-5)
    first = found.to_pylist()[0]
    assert first["box_id"] == boxes.box_id[best[0]] and first["class_id"] == boxes.class_id[best[0]]
    assert first["class_name"] == NAMES[first["class_id"]]
    assert first["image"] == images.path[images.image_id == boxes.image_id[best[0]]][0]
    assert (first["cx"], first["h"]) == (boxes.xywhn[best[0], 0], boxes.xywhn[best[0], 3])


def test_only_the_classes_asked_for_answer(index: Index) -> None:
    file = index.image_file(0)
    found = similar(index, file, line=0, classes=["plain"], limit=50)
    assert len(found) and set(found["class_id"].to_pylist()) == {7}
    assert len(similar(index, file, line=0, classes="never used")) == 0
    with pytest.raises(InputError, match="did you mean 'plain'"):
        similar(index, file, line=0, classes="plane")


def test_an_unknown_image_is_embedded_as_the_index_was(index: Index, tmp_path: Path) -> None:
    boxes = index.boxes()
    known = index.image_file(int(boxes.image_id[0]))
    other = tmp_path / "images" / "새 사진.png"
    other.parent.mkdir()
    with Image.open(known) as image:
        noisy = np.asarray(image.convert("RGB")).copy()
    noisy[0, 0] = 255 - noisy[0, 0]  # another file, nearly the same pixels
    Image.fromarray(noisy).save(other)
    place = boxes.xywhn[0].tolist()
    found = similar(index, other, box=place, limit=3, encoder=FakeEncoder())
    assert found["box_id"][0].as_py() == boxes.box_id[0] and found["similarity"][0].as_py() > 0.999
    label = tmp_path / "labels" / "새 사진.txt"
    label.parent.mkdir()
    label.write_text("\n" + "7 " + " ".join(map(str, place)) + "\n", encoding="utf-8")
    assert similar(index, other, line=1, limit=3, encoder=FakeEncoder()).equals(found)
    with pytest.raises(InputError, match=r":1: there is no box on it"):
        similar(index, other, line=0, encoder=FakeEncoder())
    whole = similar(index, other, limit=3, encoder=FakeEncoder())
    assert len(whole) == 3 and not whole.equals(found)


def test_the_name_that_query_lists_is_enough(index: Index) -> None:
    name = str(index.images().path[0])
    assert not Path(name).is_file()
    assert similar(index, Path(name), line=0).equals(similar(index, index.image_file(0), line=0))


def test_a_copy_of_a_known_file_counts_as_the_file(index: Index, tmp_path: Path) -> None:
    known = index.image_file(0)
    shutil.copy(known, tmp_path / "copy.png")
    assert similar(index, tmp_path / "copy.png", line=0).equals(similar(index, known, line=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": (0.5, 0.5, 0.1, 0.1), "line": 1}, "give one of the two"),
        ({"box": (0.5, 0.5, 0.1)}, "expected four numbers"),
        ({"box": (0.5, 0.5, float("nan"), 0.1)}, "one that is not finite"),
        ({"box": ".1,.1,.1,.1"}, "expected four numbers"),
        ({"box": (120, 80, 30, 30)}, "divide pixels"),
        ({"box": (0.5, 0.5, 0, 0.1)}, "without width or height"),
        ({"line": 99}, "no box on line 100 of its labels; lines with a box, counted from 1: 1, 2, 3"),
        ({"limit": -1}, "at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(index: Index, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        similar(index, index.image_file(0), **options)  # type: ignore[arg-type]


def test_files_that_are_no_images_are_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope\.jpg"):
        similar(index, tmp_path / "nope.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("no image", encoding="utf-8")
    with pytest.raises(InputError, match=r"text\.jpg"):
        similar(index, text, encoder=FakeEncoder())
    with pytest.raises(InputError, match="has no labels"):
        similar(index, text, line=0)


def test_an_encoder_that_cannot_be_had_is_said(index: Index) -> None:
    with pytest.raises(EncoderError, match="fake"):
        similar(index, index.image_file(0))


def test_function_and_command_agree(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = folder / "index"
    with Index.open(where) as index:
        file = index.image_file(0)
    rows = healtheat.similar(file, where, line=0, limit=2)
    command = ["similar", str(file), "--index", str(where), "--line", "1"]
    assert run([*command, "-n", "2", "--format", "csv"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == ",".join(rows.column_names) and len(lines) == 3
    assert lines[1].startswith(f"1,{rows['similarity'][0].as_py()}")
    assert run(["similar", str(file), "--index", str(where), "--line", "1"]) == 0
    assert "similarity" in capfd.readouterr().out
    assert run(["similar", str(file), "--index", str(where), "--box", "1,2"]) == 2
    assert run(["similar", str(file), "--index", str(where), "--box", "a,b,c,d"]) == 2
    assert "expected four numbers" in capfd.readouterr().err


def test_the_table_counts_lines_as_editors_do_and_no_rows_may_be_asked_for(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = folder / "index"
    with Index.open(where) as index:
        file = index.image_file(0)
    (line,) = healtheat.similar(file, where, line=0, limit=1)["line"].to_pylist()
    command = ["similar", str(file), "--index", str(where), "--line", "1"]
    assert run([*command, "-n", "1"]) == 0
    first = capfd.readouterr().out.splitlines()[1].split()
    assert str(line + 1) in first and str(line) not in first
    assert run([*command, "-n", "0"]) == 0
    assert capfd.readouterr() == ("", "")
    assert run([*command[:-1], "0"]) == 2
