"""What Ultralytics' own loader reads of a data set, the oracle for YOLO. Needs PyTorch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ["YOLO_OFFLINE"] = "true"
os.environ["YOLO_VERBOSE"] = "false"
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="healtheat-yolo-"))

from ultralytics.data import dataset, utils
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils import LOGGER

utils.check_font = lambda *args: None  # would download one
dataset.check_file_speeds = lambda *args, **more: None


@dataclass(frozen=True, slots=True)
class Trained:
    """One image as it is trained on: its file, classes (n,) and places (n, 4), xywh as shares."""

    file: str
    classes: NDArray[np.int64]
    places: NDArray[np.float64]


class Refused(Exception):
    """The trainer takes nothing of a split, or of the whole set."""


def trainer_reads(data: Path, task: str) -> dict[str, list[Trained]]:
    """Split → its images as the trainer reads them, repeats included. Raises Refused for the whole set, or
    where one split has labels that the task cannot use.

    A split of which the trainer takes no image is empty.
    """
    LOGGER.setLevel("CRITICAL")
    try:
        described = check_det_dataset(str(data), autodownload=False)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    return {
        split: _split(described, split, task) for split in ("train", "val", "test") if described.get(split)
    }


def _split(described: dict[str, object], split: str, task: str) -> list[Trained]:
    try:
        found = YOLODataset(
            img_path=described[split], data=described, task=task, imgsz=32, augment=False, cache=False
        )
    except RuntimeError as error:
        if "No valid images found" not in str(error):
            raise
        return []
    except (TypeError, ValueError) as error:
        raise Refused(f"{split}: {error}") from None
    except FileNotFoundError:  # a list or folder without an image
        return []
    return [
        Trained(
            os.path.normpath(label["im_file"]),
            label["cls"].ravel().astype(np.int64),
            label["bboxes"].astype(np.float64).reshape(-1, 4),
        )
        for label in found.labels
    ]


def trainer_crop(data: Path, side: int) -> NDArray[np.uint8]:
    """The first box of the first image of `train`, cut from the RGB pixels that are trained on.

    `side` is the longer one of the image, so that nothing is scaled.
    """
    described = check_det_dataset(str(data), autodownload=False)
    found = YOLODataset(img_path=described["train"], data=described, task="detect", imgsz=side, augment=False)
    pixels, *_ = found.load_image(0)
    height, width = pixels.shape[:2]
    cx, cy, w, h = found.labels[0]["bboxes"][0] * [width, height, width, height]
    left, top, right, bottom = (round(value) for value in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
    crop: NDArray[np.uint8] = pixels[top:bottom, left:right, ::-1]
    return crop


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Paths that count from the working folder must lead nowhere by chance."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
