"""Boxes of one image → square crops, letterboxed so that long pills keep their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

Resample = Literal["bilinear", "bicubic", "lanczos", "box"]
_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
Channel = Field(ge=0, le=255)


class CropPolicy(BaseModel):
    """How a box becomes a crop. Part of the manifest and of every crop's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1  # counts up when the same settings would give other pixels
    padding: float = Field(default=0.05, ge=0, le=1)  # added on every side, as a share of the box's side
    fill: tuple[int, int, int] = (124, 116, 104)  # RGB beside the letterboxed box: ImageNet's mean colour
    resample: Resample = "bilinear"  # Pillow's filters, which average when they shrink


def pixel_boxes(
    xywhn: NDArray[Any] | Sequence[Sequence[float]], size_px: tuple[int, int], padding: float = 0.0
) -> NDArray[np.int64]:
    """(n, 4) left, top, right, bottom in whole pixels, right and bottom exclusive.

    Padding grows every side; what sticks out of the image is clipped; part of a pixel counts as the pixel;
    every box keeps at least one pixel, wherever it lies. `size_px` is (width, height). Raises ValueError for
    NaN or inf.
    """
    boxes = np.asarray(xywhn, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("xywhn: expected finite numbers, found NaN or inf")
    size = np.array(size_px, np.float64)
    half = np.abs(boxes[:, 2:]) * (0.5 + padding)
    # A thousandth of a pixel of slack, so that a box on a pixel border does not take the next pixel by
    # rounding error.
    low = np.floor((boxes[:, :2] - half) * size + 1e-3)
    high = np.ceil((boxes[:, :2] + half) * size - 1e-3)
    low = np.clip(low, 0, size - 1)
    high = np.clip(np.maximum(high, low + 1), 1, size)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def cut_one(
    image: Image.Image, xyxy_px: Sequence[int], policy: CropPolicy, resolution_px: int
) -> NDArray[np.uint8]:
    """(R, R, 3): the pixels of one box inside the image, scaled until the longer side is R, centred on
    the fill.
    """
    left, top, right, bottom = (int(v) for v in xyxy_px)
    width, height = right - left, bottom - top
    longest = max(width, height)
    new_width = max(1, round(width * resolution_px / longest))
    new_height = max(1, round(height * resolution_px / longest))
    scaled = image.resize((new_width, new_height), _RESAMPLE[policy.resample], (left, top, right, bottom))
    crop = np.empty((resolution_px, resolution_px, 3), np.uint8)
    crop[:] = policy.fill
    x, y = (resolution_px - new_width) // 2, (resolution_px - new_height) // 2
    crop[y : y + new_height, x : x + new_width] = np.asarray(scaled)
    return crop


def cut(
    image: Image.Image,
    xywhn: NDArray[Any] | Sequence[Sequence[float]],
    policy: CropPolicy,
    resolution_px: int,
) -> NDArray[np.uint8]:
    """(n, R, R, 3) crops of an RGB image, in the order of `xywhn` (n, 4: centre x, y, width, height as
    shares).

    Raises ValueError where the image is not RGB or a coordinate is not finite.
    """
    if image.mode != "RGB":
        raise ValueError(f"image: expected mode RGB (see open_image), found {image.mode}")
    boxes = pixel_boxes(xywhn, image.size, policy.padding)
    crops = np.empty((len(boxes), resolution_px, resolution_px, 3), np.uint8)
    for crop, box in zip(crops, boxes.tolist(), strict=True):
        crop[:] = cut_one(image, box, policy, resolution_px)
    return crops
