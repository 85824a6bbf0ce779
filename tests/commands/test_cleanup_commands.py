"""What `export --format yolo` and `apply --to` say about what they wrote, and how to train on it."""

from pathlib import Path
from typing import Any

import pytest

from healtheat.cli import run
from healtheat.commands import _options as options
from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

LINES = ["0 0.5 0.5 0.1 0.1", "1 0.2 0.2 0.1 0.1"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = MadeIndex(
        tmp_path / "index",
        names={0: "a", 1: "b"},
        root=tmp_path / "data",
        labels={"images/train/a.jpg": LINES, "images/val/b.jpg": LINES},
        findings=[{"image": "images/train/a.jpg", "line": 1, "issue": "mislabel", "score": 0.9}],
    )
    data = "train: images/train\nval: images/val\nnames: [a, b]\n"
    (made.root / "data.yaml").write_text(data, encoding="utf-8")
    made.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="drop", who="김"))
    monkeypatch.setattr("healtheat.commands._options.which_index", lambda given: made)
    return str(made.path)


def test_every_file_that_was_written_is_named(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "lists"
    write = ["--to", str(to), "--format", "yolo", "--write", "--max-share", "1", "--drop", "boxes"]
    assert run(["export", "--index", index, *write]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("written to"))
    named = {name.removesuffix("/") for name in line.rpartition(": ")[2].split(", ")}
    assert named == {path.name for path in to.iterdir()} and "edited/" in line


def test_a_patch_that_empties_a_label_file_is_told(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = ["export", "--index", index, "--format", "patch", "--to"]
    assert run([*patch, str(tmp_path / "one.patch")]) == 0
    assert "background" not in capsys.readouterr().err
    made: Any = options.which_index(None)
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="drop", who="김"))
    assert run([*patch, str(tmp_path / "both.patch")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert (
        "warning: no box would be left in labels/train/a.txt, and the image would train as background" in told
    )


def test_a_patch_of_an_added_box_alone_is_told(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: Any = options.which_index(None)
    place = (0.8, 0.8, 0.1, 0.1)
    made.judging.append(
        NewVerdict("missing_box", "added", "김", image_id=1, about=place, box=place, relabel_to=0)
    )
    to = tmp_path / "one.patch"
    assert run(["export", "--index", index, "--to", str(to), "--verdict", "added"]) == 0
    told = capsys.readouterr()
    assert "nothing to patch" not in told.err and "0 dropped, 1 added in 1 label file" in told.out
    assert "+0 0.8 0.8 0.1 0.1" in to.read_text(encoding="utf-8")


def test_apply_says_how_to_train_on_the_copy(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "copy"
    assert run(["apply", "--index", index, "--to", str(to), "--max-share", "1"]) == 0
    command = f"train with: yolo detect train data={(to / 'data.yaml').as_posix()} model=yolo11n.pt"
    assert command in capsys.readouterr().out.splitlines()


def test_a_copy_that_cannot_be_trained_on_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data/data.yaml"
    data.parent.mkdir()
    data.write_text("train: images/train\nval: images/val\nnames: {0: a, 7: b}\n", encoding="utf-8")
    made = MadeIndex(
        tmp_path / "sparse",
        names={0: "a", 7: "b"},
        root=tmp_path / "data",
        labels={"images/train/a.jpg": [LINES[0], "7 0.2 0.2 0.1 0.1"], "images/val/b.jpg": LINES[:1]},
        findings=[],
    )
    monkeypatch.setattr("healtheat.commands._options.which_index", lambda given: made)
    to = tmp_path / "copy"
    assert run(["apply", "--index", str(made.path), "--to", str(to)]) == 0
    told = capsys.readouterr()
    assert "train with" not in told.out and "it cannot be trained on as it is: Ultralytics takes" in told.err


def test_a_val_that_is_named_and_holds_no_image_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"images/train/a.jpg": LINES[:1]}
    made = MadeIndex(tmp_path / "index", names={0: "a"}, root=tmp_path / "data", labels=labels, findings=[])
    (made.root / "images/val").mkdir()
    yaml = made.root / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [a]\n", encoding="utf-8")
    monkeypatch.setattr("healtheat.commands._options.which_index", lambda given: made)
    to, index = tmp_path / "out", ["--index", str(made.path)]
    for command in (["export", "--format", "yolo", "--write"], ["apply"]):
        assert run([*command, *index, "--to", str(to)]) == 2
        assert "no image of val would be left" in " ".join(capsys.readouterr().err.split())
        assert not to.exists()
    yaml.write_text("train: images/train\nnames: [a]\n", encoding="utf-8")  # never named one: a warning
    assert run(["export", "--format", "yolo", "--write", *index, "--to", str(to)]) == 0
    assert "there is no val" in " ".join(capsys.readouterr().err.split()) and to.exists()
