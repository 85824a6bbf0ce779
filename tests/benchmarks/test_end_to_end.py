"""The training sets of the end-to-end benchmark, on the real images; nothing is trained here."""

from __future__ import annotations

import random
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.end_to_end import prepare
from benchmarks.end_to_end_data import (
    all_lines,
    at_random,
    counts,
    label_of,
    plant,
    planted,
    split_sources,
    write_arm,
    write_split,
)
from benchmarks.end_to_end_report import report
from benchmarks.end_to_end_runs import (
    ARMS,
    ARMS_FILE,
    RESULT,
    SPLIT_FILE,
    finished,
    key,
    prepared,
    side_by_side,
    write_json,
)
from benchmarks.end_to_end_runs import run as run_arm
from healtheat.sources.groups import group_key
from tests.made_index import MadeIndex

SETTINGS = {
    "epochs": 40,
    "imgsz": 192,
    "batch": 8,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "bf16": True,
    "device": "cpu",
    "torch": "2",
    "ultralytics": "8",
}


@pytest.fixture(scope="module")
def split(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("split")
    write_split(shared / "data" / "pushin-pill", out, share=0.25, seed=0)
    return out


def labels(folder: Path, part: str = "train") -> dict[str, list[str]]:
    found = sorted((folder / "labels" / part).glob("*.txt"))
    return {path.stem: path.read_text(encoding="utf-8").splitlines() for path in found}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), unique=True), st.integers(0, 5))
def test_no_source_is_on_both_sides(images: list[tuple[int, int]], seed: int) -> None:
    names = [f"images/train/IMG_{source}.rf.{copy}.jpg" for source, copy in images]
    random.Random(seed).shuffle(names)
    train, test = split_sources(names, 0.25, seed)
    assert sorted(train + test) == sorted(names)
    assert not {group_key(name) for name in train} & {group_key(name) for name in test}
    sources = {group_key(name) for name in names}
    assert len({group_key(name) for name in test}) == round(0.25 * len(sources))
    assert (train, test) == split_sources(sorted(names), 0.25, seed)  # whatever order they come in


def test_the_split_keeps_every_image_and_label(shared: Path, split: Path) -> None:
    pushin = shared / "data" / "pushin-pill"
    published = {path.stem: path.read_bytes() for path in pushin.glob("labels/*/*.txt")}
    copied = {path.stem: path.read_bytes() for path in split.glob("labels/*/*.txt")}
    assert copied == published
    train, test = labels(split, "train"), labels(split, "test")
    assert not {name.split(".rf.")[0] for name in train} & {name.split(".rf.")[0] for name in test}
    for side in (train, test):  # a class without images would have no AP
        assert {line.split()[0] for lines in side.values() for line in lines} == {str(c) for c in range(17)}
    assert counts(split)["test_images"] == len(test) and counts(split)["train_images"] == len(train)


def test_errors_are_planted_in_training_labels_alone(split: Path, tmp_path: Path) -> None:
    before = labels(split, "train"), labels(split, "test")
    plant(split, tmp_path / "planted", 0.15, 10)
    assert (labels(split, "train"), labels(split, "test")) == before  # the copy is dirty, not the split
    assert not (tmp_path / "planted" / "labels" / "test").exists()
    assert not (tmp_path / "planted" / "images" / "test").exists()
    errors, missing = planted(tmp_path / "planted")
    boxes = sum(len(lines) for lines in before[0].values())
    assert len(errors) + missing == pytest.approx(0.15 * boxes, abs=3)
    assert errors <= set(all_lines(tmp_path / "planted"))


def test_arms_lose_what_they_are_told_and_nothing_else(split: Path, tmp_path: Path) -> None:
    every = all_lines(split)
    drop = at_random(split, 40, 3)
    assert drop == at_random(split, 40, 3) != at_random(split, 40, 4)
    assert len(set(drop)) == 40 and set(drop) <= set(every)
    write_arm(split, tmp_path / "arm", split, drop)
    for image in {image for image, _ in every}:
        before = (split / label_of(image)).read_text(encoding="utf-8").splitlines()
        kept = (tmp_path / "arm" / label_of(image)).read_text(encoding="utf-8").splitlines()
        assert kept == [line for number, line in enumerate(before) if (image, number) not in set(drop)]
    assert {p.name for p in (tmp_path / "arm/images/train").iterdir()} == {f"{n}.jpg" for n in labels(split)}


def test_a_line_that_is_not_there_is_refused(split: Path, tmp_path: Path) -> None:
    image, _ = all_lines(split)[0]
    with pytest.raises(SystemExit, match="no such line"):
        write_arm(split, tmp_path / "arm", split, [(image, 999)])


def indexed(dirty: Path, folder: Path, flagged: Sequence[tuple[str, int]]) -> MadeIndex:
    """An index of the planted set in which these lines are flagged, the first of them for two issues."""
    images = {image: [] for image, _ in all_lines(dirty)}
    findings = [
        {"image": image, "line": line, "issue": issue, "score": 0.9}
        for n, (image, line) in enumerate(flagged)
        for issue in (("mislabel", "bad_box") if n == 0 else ("mislabel",))
    ]
    return MadeIndex(
        folder,
        names={number: str(number) for number in range(17)},
        root=dirty,
        labels={i: (dirty / label_of(i)).read_text(encoding="utf-8").splitlines() for i in images},
        pixels={i: (dirty / i).read_bytes() for i in images},
        findings=findings,
    )


def test_what_each_arm_loses(split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags: list[tuple[str, int]] = []

    def made_index(dirty: Path, index_dir: Path, encoder: str) -> MadeIndex:
        errors, _ = planted(dirty)
        others = [row for row in all_lines(dirty) if row not in errors]
        flags[:] = [*sorted(errors)[:30], *others[:: len(others) // 8][:9]]
        return indexed(dirty, index_dir, flags)

    monkeypatch.setattr("benchmarks.end_to_end.index_of", made_index)
    args = Namespace(rate=0.15, encoder="pill", again=False)
    made = prepare(0, tmp_path, split, args)
    arms, every = made["arms"], all_lines(tmp_path / "planted")
    sizes = {arm: sum(len(lines) for lines in labels(tmp_path / arm).values()) for arm in ARMS}
    assert sizes == {arm: made["boxes"] - arms[arm]["dropped"] for arm in ARMS} | {"clean": sizes["clean"]}
    assert (arms["boxes"]["dropped"], arms["boxes"]["dropped_errors"]) == (len(flags), 30)
    assert arms["mask"]["dropped"] == arms["random"]["dropped"] == len(flags)
    whole = {image for image, _ in flags}
    assert arms["images"]["dropped"] == sum(image in whole for image, _ in every)
    assert arms["images"]["images_out"] == len(whole)
    assert made["issues"].keys() == {"mislabel", "bad_box"}, "one line, one issue"
    assert sum(n for n, _ in made["issues"].values()) == len(flags)
    assert labels(tmp_path / "dirty") == labels(tmp_path / "planted")
    assert labels(tmp_path / "clean") == labels(split)
    assert labels(tmp_path / "mask") == labels(tmp_path / "boxes")
    image = next(image for image, _ in flags if (tmp_path / "boxes" / image).is_file())
    same = [
        (tmp_path / arm / image).read_bytes() == (split / image).read_bytes() for arm in ("boxes", "mask")
    ]
    assert same == [True, False], "greyed out in a copy alone"
    assert len({arm["data_sha256"] for arm in arms.values()}) == len(ARMS)
    monkeypatch.delattr("benchmarks.end_to_end.index_of")
    assert prepare(0, tmp_path, split, args) == made  # from the file


@pytest.fixture
def made() -> dict[str, Any]:
    about = {"boxes": 100, "errors": 20, "missing": 3, "issues": {"mislabel": [10, 9]}}
    lost = {"dropped": 10, "dropped_errors": 9, "images_out": 2}
    arms = {arm: dict(lost) for arm in ("boxes", "images", "mask", "random")}
    split = dict.fromkeys(("train_images", "train_sources", "test_images", "test_sources", "test_boxes"), 7)
    split |= {"rate": 0.15, "encoder": "pill"}
    return {"split": split, "seeds": {seed: {**about, "arms": arms} for seed in (0, 1)}}


def run(seed: int, arm: str, map50: float, **settings: Any) -> dict[str, Any]:
    figures = {"map50": map50, "map50_95": 0.1, "seconds": 60, "cpu_seconds": 60, "processor": "2 CPUs"}
    return {"seed": seed, "arm": arm, **figures, "settings": {**SETTINGS, **settings}}


def test_the_report_pairs_by_seed_and_stands_gaps(made: dict[str, Any]) -> None:
    results = [run(1, "dirty", 0.5), run(0, "dirty", 0.25), run(0, "boxes", 0.5), run(1, "boxes", 0.25)]
    text = report(results, made, "machine")
    assert "| boxes − dirty | +0.250 | -0.250 | +0.000 | 0.354 |" in text
    assert "boxes − random" not in text
    assert "| 0 | `mask` | 100 | 20 | 3 | 10 | 9 | 0.90 | 0.45 | 2 |" in text
    partial = report([*results, run(0, "random", 0.3)], made, "machine")
    assert "| boxes − random | +0.200 |  | +0.200 |  |" in partial


def test_settings_are_not_mixed(made: dict[str, Any]) -> None:
    results = [run(0, "dirty", 0.25, epochs=9), run(0, "boxes", 0.5), run(0, "dirty", 0.4)]
    text = report(results, made, "machine")
    assert text.index("40 epochs at 192 px") < text.index("9 epochs at 192 px")
    assert text.count("| boxes − dirty |") == 1 and "| boxes − dirty | +0.100 |" in text


def test_only_runs_on_the_very_same_labels_count(tmp_path: Path) -> None:
    made = {"seeds": {0: {"arms": {"dirty": {"data_sha256": "new"}}}}}
    for name, seed, sha in (("seed-0-dirty", 0, "new"), ("seed-0-old", 0, "old"), ("seed-7-dirty", 7, "new")):
        (tmp_path / "runs-1" / name).mkdir(parents=True)
        write_json(tmp_path / "runs-1" / name / RESULT, {"seed": seed, "arm": "dirty", "data_sha256": sha})
    (tmp_path / "runs-1" / "seed-1-dirty").mkdir()  # killed before it was done
    assert list(finished(tmp_path, made)) == [tmp_path / "runs-1" / "seed-0-dirty"]


def test_a_run_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(data: Path, *rest: Any) -> dict[str, Any]:
        trained.append(data.name)
        return {"map50": 0.5, "seconds": 60}

    monkeypatch.setattr("benchmarks.end_to_end_runs.train", train)
    write_json(tmp_path / SPLIT_FILE, {})
    (tmp_path / "seed-0").mkdir()

    def prepare_with(sha256: str) -> None:
        arms = {"dirty": {"data_sha256": "same"}, "mask": {"data_sha256": sha256}}
        write_json(tmp_path / "seed-0" / ARMS_FILE, {"arms": arms})

    def run_all() -> list[str]:
        trained.clear()
        for arm in ("dirty", "mask"):
            run_arm(0, arm, tmp_path, SETTINGS)
        return list(trained)

    prepare_with("old")
    assert run_all() == ["dirty", "mask"]
    assert run_all() == []
    prepare_with("new")  # flagged again by other code: only what has changed
    assert run_all() == ["mask"]
    runs = tmp_path / f"runs-{key(SETTINGS)}"
    (runs / "seed-0-dirty" / RESULT).unlink()  # killed
    with FileLock(runs / "seed-0-dirty.lock"):
        assert run_all() == []  # another call is at it
    assert run_all() == ["dirty"]
    assert list(prepared(tmp_path)["seeds"]) == [0]


def test_a_failed_run_beside_others_is_told(tmp_path: Path) -> None:
    write_json(tmp_path / SPLIT_FILE, {})
    assert not side_by_side(tmp_path, [(0, "dirty"), (1, "clean")], 2, [])  # nothing is prepared there


@pytest.mark.torch
def test_bfloat16_changes_rounding_alone() -> None:
    pytest.importorskip("ultralytics", reason="training needs the extra `detector`")
    import torch

    from benchmarks.end_to_end_train import Bf16Model

    torch.manual_seed(0)
    model = Bf16Model("yolo11n.yaml", nc=17, ch=3, verbose=False).train()
    images = torch.nn.functional.interpolate(torch.rand(4, 3, 8, 8), 160)
    got = model(images)
    expected = super(Bf16Model, model).predict(images)
    assert got.keys() == expected.keys()
    for name in ("boxes", "scores"):
        assert got[name].dtype == torch.float32  # the loss is computed in float32
        assert not torch.equal(got[name], expected[name])
        assert torch.corrcoef(torch.stack([got[name].flatten(), expected[name].flatten()]))[0, 1] > 0.95
    got["scores"].sum().backward()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    model.eval()
    with torch.no_grad():
        evaluated, plain = model(images)[0], super(Bf16Model, model).predict(images)[0]
    assert torch.equal(evaluated, plain)
