"""The planter: what each profile promises, and the same errors as the shared script plants."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.planter import PROFILES, covered, iou, plant
from tests.index.small_set import NAMES, write_set

GROUPS = "3,5,7,13;0,8,10,14;1,4,6,11,12,16;2,9,15"


def truth(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines(folder: Path) -> dict[str, list[str]]:
    """Image → lines of its label file."""
    found = {}
    for file in folder.rglob("labels/*.txt"):
        image = file.relative_to(folder).as_posix().replace("/labels/", "/images/")
        found[image.removesuffix(".txt")] = file.read_text(encoding="utf-8").splitlines()
    return found


def place(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()[1:5]))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("plain") / "set", images=30)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_does_what_it_says_and_nothing_else(data: Path, tmp_path: Path, profile: str) -> None:
    planted = plant(data, tmp_path, profile=profile, rate=0.2, seed=4, groups="0,3")
    rows = truth(tmp_path)
    assert planted == len(rows) and abs(planted - 18) <= 1  # 90 boxes
    before, after = lines(data.parent), lines(tmp_path)
    assert before.keys() == after.keys()
    wrong = {
        (row["image"].removesuffix(".png"), int(row["line"])): row for row in rows if row["line"] != "-1"
    }
    for image, new in after.items():
        kept = [text for n, text in enumerate(new) if (image, n) not in wrong]
        assert all(text in before[image] for text in kept), "a line without an error was changed"
    for (image, n), row in wrong.items():
        given, kind = after[image][n], row["kind"]
        assert given.split()[0] == row["given_class"]
        right = None if kind == "spurious" else tuple(float(row[name]) for name in "xywh")
        others = [place(text) for text in before[image] if place(text) != right]
        if kind in ("flips", "confuse"):
            assert given.split()[1:] == next(t for t in before[image] if place(t) == right).split()[1:]
            assert row["given_class"] != row["true_class"] and int(row["given_class"]) in NAMES
        if kind == "confuse" and row["true_class"] in ("0", "3"):
            assert {row["true_class"], row["given_class"]} == {"0", "3"}
        if kind == "boxes":
            whole = place(given) == (0.5, 0.5, 1, 1)
            assert whole or all(covered(place(given), other) < 0.051 for other in [*others, right])
        if kind == "spurious":
            assert all(covered(place(given), other) < 0.051 for other in others)
        if kind == "loose":
            assert 0.499 <= iou(place(given), right) <= 0.801
    lost = [row for row in rows if row["kind"] == "missing"]
    assert sum(map(len, before.values())) - len(lost) == sum(map(len, after.values())) - sum(
        row["kind"] == "spurious" for row in rows
    )


def test_the_same_seed_plants_the_same_errors(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        plant(data, tmp_path / name, profile="mixed", rate=0.3, seed=seed)
    assert truth(tmp_path / "a") == truth(tmp_path / "b") != truth(tmp_path / "c")
    assert lines(tmp_path / "a") == lines(tmp_path / "b")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_errors_are_those_of_the_shared_script(shared: Path, tmp_path: Path, profile: str) -> None:
    published = shared / "data" / "pushin-pill" / "data.yaml"
    options = ["--profile", profile, "--rate", "0.08", "--seed", "7", "--groups", GROUPS]
    script = [
        sys.executable,
        str(shared / "bench" / "plant_errors.py"),
        str(published),
        str(tmp_path / "theirs"),
    ]
    subprocess.run([*script, *options, "--one-per-source", ".rf."], check=True, stdout=subprocess.DEVNULL)
    plant(
        published, tmp_path / "ours", profile=profile, rate=0.08, seed=7, groups=GROUPS, one_per_source=".rf."
    )
    assert truth(tmp_path / "ours") == truth(tmp_path / "theirs")
    assert lines(tmp_path / "ours") == lines(tmp_path / "theirs")
    for name in lines(tmp_path / "ours"):
        assert (tmp_path / "ours" / f"{name}.jpg").is_file()
