"""A Segment Anything model in its process: what it is asked and what counts, with a stand-in."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from healtheat.core.errors import InputError
from healtheat.sources.detector.masks import MaskModel

# Answers with the corners of what is not black; what it was asked with is the confidence of the first box.
STAND_IN = """
from pathlib import Path
import numpy as np

class Boxes:
    def __init__(self, xyxy, conf):
        self.xyxy, self.conf = np.array(xyxy, float).reshape(-1, 4), np.array(conf)
    def cpu(self): return self
    def numpy(self): return self
    def __len__(self): return len(self.xyxy)

class Result:
    def __init__(self, boxes): self.boxes = boxes

class Predictor:
    def __init__(self, overrides): self.imgsz = overrides["imgsz"]
    def setup_model(self, model, verbose): Path("settings.json").write_text("mine")
    def __call__(self, bgr, points_stride=0, points_batch_size=0):
        assert max(bgr.shape) <= self.imgsz
        if bgr[0, 0, 2] == 255: raise RuntimeError("out of memory\\nand more")
        if bgr[0, 0, 0] == 255: return [Result(None)]
        y, x = np.nonzero(bgr[..., 1])
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        odd = [[np.nan] * 4, [-5, -5, 999, 999], [3, 3, 3, 3], [0, 0, points_stride, 1]]
        return [Result(Boxes([*odd, box], [.1, .2, .3, .4, .5]))]

class Model:
    task, model = "segment", None
    task_map = {"segment": {"predictor": Predictor}}
    def __init__(self, weights):
        text = Path(weights).read_text()
        if text == "junk": raise KeyError("model\\nof many lines")
        self.task = text

class SAM(Model): pass
class FastSAM(Model): pass
"""
MAP = "sam_model_map = {'sam_b.pt': None}"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for weights, and Ultralytics as the child process finds it."""
    home = tmp_path / "packages" / "ultralytics"
    (home / "models" / "sam").mkdir(parents=True)
    for folder, text in ((home, STAND_IN), (home / "models", ""), (home / "models" / "sam", "")):
        (folder / "__init__.py").write_text(text, encoding="utf-8")
    (home / "models" / "sam" / "build.py").write_text(MAP, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(home.parent))
    monkeypatch.syspath_prepend(str(home.parent))
    importlib.invalidate_caches()
    return tmp_path


def weights(folder: Path, name: str, text: str = "segment") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def bright(width: int, height: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 200
    return pixels


@pytest.mark.parametrize(("name", "points"), [("sam_b.pt", 10), ("FastSAM-s.pt", 0)])
def test_masks_become_boxes_as_shares_of_the_image(stand_in: Path, name: str, points: int) -> None:
    scratch = stand_in / "scratch"
    model = MaskModel(weights(stand_in, name), scratch)
    with model.started() as masks:
        found = masks.boxes(bright(100, 50, 10, 20, 30, 30), 0.1)
        assert found[0] == pytest.approx([0.1, 0.4, 0.3, 0.6])  # the surest first
        assert found[-1].tolist() == [0, 0, 1, 1]  # cut to the image; no box of zero area
        assert len(found) == (3 if points else 2)
        if points:
            assert found[1] == pytest.approx([0, 0, points / 100, 1 / 50]), "points along a side"
        again = masks.boxes(bright(4096, 2048, 512, 512, 2048, 1024), 0.001)  # shrunk to 1024
        assert again[0] == pytest.approx([0.125, 0.25, 0.5, 0.5], abs=0.01)
        blue = np.zeros((9, 9, 3), np.uint8)
        blue[..., 2] = 255
        assert masks.boxes(blue, 0.1).shape == (0, 4)
        red = np.ascontiguousarray(blue[..., ::-1])
        with pytest.raises(InputError, match=r"Segment Anything model failed: RuntimeError: out of m"):
            masks.boxes(red, 0.1)
    assert not list(scratch.iterdir())  # what it wrote is gone


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sam_b.pt", "junk", "no weights of such a model .KeyError: 'model.*; a SAM keeps the name"),
        ("best.pt", "detect", "a model for detect, which gives no masks; a SAM keeps the name"),
        ("it's.pt", "segment", "opens no file with ' in its path"),
    ],
)
def test_what_is_no_such_model_is_one_clear_line(stand_in: Path, name: str, text: str, message: str) -> None:
    file = weights(stand_in, name, text)
    with pytest.raises(InputError, match=message) as error:
        MaskModel.of(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_such_a_model_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"sam_b\.pt: weights not found; nothing is downloaded"):
        MaskModel.of(tmp_path / "sam_b.pt")
    with pytest.raises(InputError, match=r"give a \.pt file"):
        MaskModel.of(weights(tmp_path, "sam.onnx"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'healtheat\[detector\]'"):
        MaskModel.of(weights(tmp_path, "sam_b.pt"))
