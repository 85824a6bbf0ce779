"""The contents signal in a whole build: its rule comes from the user and stays with the index."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.core.errors import InputError
from healtheat.findings.inputs import Inputs, contents_of
from healtheat.findings.score import rescore
from healtheat.index import Index
from healtheat.listing import ChosenRule
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder

SETUP = "_0_2_0_2_70_000_200"
IMAGES = {
    "K-001900-010224": [0, 1],
    "K-010224-016551": [1],
    "K-001900-016551": [0, 1],
    "K-016551-099999": [2],
}


@pytest.fixture
def aihub(tmp_path: Path) -> Path:
    """AI Hub names: an image that lacks a box, one with a wrong class, one that lists an unknown code."""
    random = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for name, classes in IMAGES.items():
        pixels = random.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{name}{SETUP}.png")
        lines = [f"{c} {0.25 + 0.5 * i} 0.5 0.3 0.3\n" for i, c in enumerate(classes)]
        (tmp_path / "set" / "labels" / f"{name}{SETUP}.txt").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "set" / "data.yaml").write_text(
        "path: .\ntrain: images\nnames: {0: 가, 1: 나, 2: 다}\n", encoding="utf-8"
    )
    (tmp_path / "classes.csv").write_text(
        "class_id,drug_code,name\n0,001900,가\n1,010224,나\n2,016551,다\n", encoding="utf-8"
    )
    return tmp_path


def found(index: Path) -> set[tuple[str, str, int, int]]:
    with Index.open(index) as opened:
        rows = opened.sql(
            "SELECT i.path, f.issue, f.line, f.class_id FROM findings f JOIN images i USING (image_id) "
            "WHERE f.flagged AND f.signal IN ('contents', 'label')"
        ).to_pylist()
    return {
        (Path(r["path"]).name.removesuffix(f"{SETUP}.png"), r["issue"], r["line"], r["class_id"])
        for r in rows
    }


EXPECTED = {
    ("K-010224-016551", "missing_box", -1, 2),
    ("K-001900-016551", "mislabel", 1, 1),  # one error, one finding
}


def test_the_rule_finds_what_is_missing_and_stays_with_the_index(
    aihub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = aihub / "index"
    monkeypatch.chdir(aihub)
    inputs = Inputs(ChosenRule("aihub", Path("classes.csv")))
    build(open_source(aihub / "set" / "data.yaml"), index, encoder=FakeEncoder(), inputs=inputs)
    assert found(index) == EXPECTED
    monkeypatch.chdir(aihub / "set")  # the class map is found from anywhere
    with Index.open(index) as opened:
        assert contents_of(opened) == ("aihub", aihub / "classes.csv")
        again = Inputs(ChosenRule(*contents_of(opened)))
    rescore(index, inputs=again)
    assert found(index) == EXPECTED


def test_without_a_class_map_nothing_is_guessed(aihub: Path) -> None:
    index = aihub / "index"
    build(open_source(aihub / "set" / "data.yaml"), index, encoder=FakeEncoder())
    assert found(index) == set()
    with Index.open(index) as opened:
        assert contents_of(opened) == ("auto", None)
        runs = opened.sql("SELECT status, settings FROM runs WHERE signal = 'contents'").to_pylist()
    settings = {"classes": "", "compare_crops": True, "rule": "auto"}
    assert runs[0]["status"] == "ok" and json.loads(runs[0]["settings"]) == settings


def test_a_class_map_that_is_not_there_is_bad_input(aihub: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        ChosenRule("aihub", aihub / "typo.csv")
