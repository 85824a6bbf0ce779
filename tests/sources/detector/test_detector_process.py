"""The detector's process with a stand-in for Ultralytics: what it is told and where it may write."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from healtheat.core.errors import InputError
from healtheat.sources import DetectorSettings, open_source
from tests.sources.reading import Read, Tree

# One box a picture, in the middle; the class is the number in the weights. Writes into its working folder.
STAND_IN = """
from pathlib import Path
import numpy as np

class Boxes:
    cls, conf = np.array([3.0]), np.array([0.75])
    xywhn = np.array([[0.5, 0.5, 0.25, 0.5]])
    def cpu(self): return self
    def numpy(self): return self

class Result:
    boxes = Boxes()

class YOLO:
    task, names, overrides = "detect", {3: "three"}, {}
    def __init__(self, weights, task=None, verbose=True):
        assert Path(weights).read_text() == "weights", weights
        Path("settings.json").write_text("mine")
        (Path.cwd() / "cache").mkdir()
    def predict(self, images, **options):
        return [Result() for _ in images]
"""
PATCHES = """
import numpy as np
def imread(path):
    return np.zeros((4, 4, 3), np.uint8) if open(path, "rb").read() == b"pixels" else None
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics as the child process finds it."""
    home = tmp_path / "packages"
    (home / "ultralytics" / "utils").mkdir(parents=True)
    (home / "ultralytics" / "__init__.py").write_text(STAND_IN, encoding="utf-8")
    (home / "ultralytics" / "utils" / "__init__.py").write_text("", encoding="utf-8")
    (home / "ultralytics" / "utils" / "patches.py").write_text(PATCHES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(home))
    monkeypatch.syspath_prepend(str(home))
    importlib.invalidate_caches()


@pytest.fixture
def images(tree: Tree) -> Path:
    tree.put("photos/a.jpg", b"pixels")
    tree.put("photos/b.jpg", b"junk")
    tree.put("best.pt", b"weights")
    return tree.root


def test_relative_paths_lead_the_worker_to_the_same_files(
    stand_in: None, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    source = open_source("photos", weights="best.pt", scratch=Path("index/photos/.cache"))
    read = Read(source)
    assert read.images["a.jpg"].boxes.class_id.tolist() == [3] and source.names == {3: "three"}
    assert [(p.code, p.file) for p in read.problems] == [("unreadable_image", "b.jpg")]
    assert not list((images / "index" / "photos" / ".cache").iterdir())  # what it wrote is gone


def test_a_folder_that_takes_no_labels_cannot_be_edited(stand_in: None, images: Path) -> None:
    source = open_source(images / "photos", weights=images / "best.pt", detector=DetectorSettings(batch=1))
    assert source.edits == "none"
    assert all(image.label_path == "" for image in Read(source).images.values())


def test_what_goes_wrong_in_the_worker_names_the_weights(stand_in: None, images: Path) -> None:
    (images / "best.pt").write_bytes(b"other")
    with pytest.raises(InputError, match=r"best\.pt: the detector failed: AssertionError"):
        Read(open_source(images / "photos", weights=images / "best.pt"))
