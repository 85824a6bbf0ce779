"""`healtheat build FOLDER --weights FILE` in the first minute: no index named, everything relative."""

import importlib
import json
from pathlib import Path

import pytest
from PIL import Image

from healtheat.cli import run

# Ultralytics as the worker finds it: two boxes in each image. It writes where it is told to run.
STAND_IN = """
from pathlib import Path
import numpy as np

class Boxes:
    cls, conf = np.array([0.0, 2.0]), np.array([0.75, 0.5])
    xywhn = np.array([[0.25, 0.5, 0.25, 0.5], [0.75, 0.5, 0.25, 0.5]])
    def cpu(self): return self
    def numpy(self): return self

class Result:
    boxes = Boxes()

class YOLO:
    task, names, overrides = "detect", {0: "pill", 2: "capsule"}, {}
    def __init__(self, weights, task=None, verbose=True):
        assert Path(weights).read_text() == "weights", weights
        Path("settings.json").write_text("mine")
    def predict(self, images, **options):
        return [Result() for _ in images]
"""
PATCHES = """
import numpy as np
def imread(path):
    return np.zeros((4, 4, 3), np.uint8)
"""


@pytest.mark.slow
def test_the_default_index_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "packages/ultralytics"
    (package / "utils").mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN, encoding="utf-8")
    (package / "utils/__init__.py").write_text("", encoding="utf-8")
    (package / "utils/patches.py").write_text(PATCHES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()
    here = tmp_path / "here"
    (here / "shelf").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (80, 60), (40 * number, 90, 120)).save(here / f"shelf/{number}.png")
    (here / "best.pt").write_bytes(b"weights")
    monkeypatch.chdir(here)

    assert run(["build", "shelf", "--weights", "best.pt", "--encoder", "imagenet", "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert (built["index"], built["images"], built["boxes"], built["problems"]) == ("index/shelf", 3, 6, 0)
    assert sorted(path.name for path in here.iterdir()) == ["best.pt", "index", "shelf"]
    assert run(["problems"]) == 0
