"""Masks of Ultralytics' own classes, MobileSAM and FastSAM, with random weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from healtheat.sources.detector.masks import MaskModel

pytest.importorskip("ultralytics", reason="ultralytics is not installed")

SIDE = 128
# Random weights, made sure of their masks; and the boxes that FastSAM itself then gives.
MAKE = """
import json, sys, torch
from ultralytics import YOLO, FastSAM
from ultralytics.models.sam.build import build_mobile_sam
torch.manual_seed(0)
sam = build_mobile_sam()
with torch.no_grad():
    sam.mask_decoder.iou_prediction_head.layers[-1].weight.zero_()
    sam.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(5.0)
    for part in sam.mask_decoder.output_hypernetworks_mlps:
        part.layers[-1].weight.mul_(3000)
torch.save(sam.state_dict(), "mobile_sam.pt")
fast = YOLO("yolov8n-seg.yaml", verbose=False)
for layer in fast.model.model[-1].cv3:
    torch.nn.init.normal_(layer[-1].weight, std=0.3)
    torch.nn.init.normal_(layer[-1].bias, mean=-3.0)
for layer in fast.model.model[-1].cv2:
    torch.nn.init.normal_(layer[-1].weight, std=0.3)
for layer in fast.model.modules():
    if isinstance(layer, torch.nn.BatchNorm2d):
        layer.momentum = None
with torch.no_grad():
    fast.model.train()(torch.rand(4, 3, 128, 128))
fast.model.eval()
fast.save("FastSAM-s.pt")
found = FastSAM("FastSAM-s.pt").predict("photo.png", imgsz=128, conf=0.05, iou=0.7, verbose=False)[0].boxes
print(json.dumps(found.xyxyn.tolist()))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, photo.png and expected.json."""
    home = tmp_path_factory.mktemp("masks")
    blocks = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((SIDE, 80), Image.Resampling.NEAREST).save(home / "photo.png")
    own = {"YOLO_CONFIG_DIR": str(home), "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}
    environment = {**os.environ, **own}
    done = subprocess.run(
        [sys.executable, "-c", MAKE], cwd=home, env=environment, capture_output=True, check=True
    )
    (home / "expected.json").write_bytes(done.stdout.splitlines()[-1])
    return home


def photo(made: Path) -> np.ndarray:
    with Image.open(made / "photo.png") as image:
        return np.asarray(image)


def test_mobile_sam_gives_boxes_on_the_image_alone(made: Path) -> None:
    with MaskModel(made / "mobile_sam.pt", imgsz=SIDE).started() as masks:
        found = masks.boxes(photo(made), 0.2)
    assert len(found)
    assert (found >= 0).all() and (found <= 1).all() and (found[:, 2:] > found[:, :2]).all()
    assert found[:, 3].max() > 0.8  # of the image, not of the square it is padded to


def test_fast_sam_gives_what_ultralytics_gives(made: Path) -> None:
    with MaskModel(made / "FastSAM-s.pt", imgsz=SIDE, conf=0.05).started() as masks:
        found = masks.boxes(photo(made), 0.2)
    expected = np.clip(json.loads((made / "expected.json").read_text(encoding="utf-8")), 0, 1)
    expected = expected[(expected[:, 2:] > expected[:, :2]).all(axis=1)]
    assert len(found) == len(expected) > 5
    assert np.abs(found[:, None] - expected[None]).max(-1).min(1).max() < 1e-4
