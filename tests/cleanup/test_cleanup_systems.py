"""Copies on disks of Windows and macOS: nothing is written over, and no image gets the labels of another."""

import io
from pathlib import Path

import pytest
from PIL import Image

from healtheat.cleanup import plan_labels, write_copy
from healtheat.core import portable
from healtheat.core.errors import InputError
from healtheat.exporting.run import export
from tests.cleanup.small_yolo import tree
from tests.made_index import MadeIndex


def made(folder: Path, *images: str, held: bool = False) -> MadeIndex:
    """An index of images with one box each; the first has one more, a finding."""
    file = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(file, "PNG")
    labels = {image: [f"{n} 0.5 0.5 0.25 0.25"] for n, image in enumerate(images)}
    labels[images[0]].append("0 0.2 0.2 0.1 0.1")
    return MadeIndex(
        folder / "index",
        names={0: "Aspirin", 1: "aspirin", 2: "NUL"},
        root=folder / "data",
        labels=labels,
        pixels=dict.fromkeys(images, file.getvalue()),
        findings=[] if held else [{"image": images[0], "line": 1, "issue": "bad_box", "score": 0.9}],
        held={(images[0], 1)} if held else None,
    )


@pytest.mark.parametrize("other", ["images/train/A.png", "images/train/A.jpg", "images/TRAIN/a.png"])
def test_a_disk_that_folds_names(other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a.png and A.jpg the labels would be one file: one image would train with the other's."""
    if portable.folds_names(tmp_path):
        pytest.skip("this disk folds names, so no such data set can be made")
    index = made(tmp_path, "images/train/a.png", other)
    before = tree(index.root)
    with monkeypatch.context() as patch:
        patch.setattr(portable, "folds_names", lambda _: True)
        with pytest.raises(InputError, match="one file on this disk"):
            write_copy(plan_labels(index), tmp_path / "copy")
    assert not (tmp_path / "copy").exists() and tree(index.root) == before
    write_copy(plan_labels(index), tmp_path / "copy")
    assert {"images/train/a.png", other} <= tree(tmp_path / "copy").keys()


@pytest.mark.parametrize("name", ["NUL.png", "a..png", "con.png"])
def test_names_of_windows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = made(tmp_path, f"images/train/{name}")
    monkeypatch.setattr(portable, "on_windows", lambda: True)
    if name == "a..png":  # its label file is a..txt, which Windows takes
        write_copy(plan_labels(index), tmp_path / "copy")
        return
    with pytest.raises(InputError, match="Windows takes no such name"):
        write_copy(plan_labels(index), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_vetted_batch_keeps_them_apart_on_every_disk(tmp_path: Path) -> None:
    if portable.folds_names(tmp_path):
        pytest.skip("this disk folds names, so no such data set can be made")
    index = made(tmp_path, "images/train/a.png", "images/train/A.png", held=True)
    export(index, tmp_path / "out", format="vetted-yolo")
    written = list(tree(tmp_path / "out"))
    assert len({portable.folded(path) for path in written}) == len(written)


def test_no_file_is_named_after_a_class(tmp_path: Path) -> None:
    index = made(tmp_path, "images/train/a.png", "images/train/b.png", "images/train/c.png")
    write_copy(plan_labels(index), tmp_path / "copy")
    export(index, tmp_path / "lists", format="yolo", write=True, max_share=0.5)
    for folder in ("copy", "lists"):
        for path in tree(tmp_path / folder):
            assert not {part.split(".")[0].lower() for part in Path(path).parts} & {"aspirin", "nul"}
