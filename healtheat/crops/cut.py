"""Boxes of one image → square crops, letterboxed so that long pills keep their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from healtheat.core.corners import Outline
from healtheat.crops.outline import is_oriented_box, masked, turned

Cut = Literal["box", "object"]
CUTS: tuple[Cut, ...] = ("box", "object")
Resample = Literal["bilinear", "bicubic", "lanczos", "box"]
_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
Corners = Sequence[Outline | None] | NDArray[np.object_]  # of each box, None where it is an upright box
Channel = Field(ge=0, le=255)


class CropPolicy(BaseModel):
    """How a box becomes a crop. Part of the manifest and of every crop's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1  # counts up when the same settings would give other pixels
    padding: float = Field(default=0.05, ge=0, le=1)  # added on every side, as a share of the box's side
    fill: tuple[int, int, int] = (124, 116, 104)  # RGB beside the letterboxed box: ImageNet's mean colour
    resample: Resample = "bilinear"  # Pillow's filters, which average when they shrink
    # "object": a box with corners is cut along them. Left out of the manifest and of keys where it is "box",
    # so that vectors from before there was a choice stay valid.
    cut: Cut = Field(default="box", exclude_if=lambda cut: cut == "box")


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


def scaled_part(
    image: Image.Image,
    xyxy_px: Sequence[int],
    policy: CropPolicy,
    longest_px: int,
    outline: Outline | None = None,
    *,
    enlarge: bool = True,
) -> Image.Image:
    """The pixels of one box inside the image, its longer side `longest_px`, or fewer without `enlarge`.

    An outline of four corners is cut as a rectangle turned upright, any other shows the object alone, the
    rest of the box is `policy.fill`. Where it outlines nothing on the image, the box is cut.
    """
    filter_ = _RESAMPLE[policy.resample]
    if outline is not None and is_oriented_box(outline):
        part = turned(image, outline, policy.padding, policy.fill, longest_px)
        if part is not None:
            return part.resize(_size(*part.size, longest_px, enlarge), filter_)
    left, top, right, bottom = (int(v) for v in xyxy_px)
    size = _size(right - left, bottom - top, longest_px, enlarge)
    scaled = image.resize(size, filter_, (left, top, right, bottom))
    if outline is None or is_oriented_box(outline):
        return scaled
    points = (outline * image.size - (left, top)) * size / (right - left, bottom - top)
    return masked(scaled, points, policy.fill) or scaled


def _size(width: int, height: int, longest_px: int, enlarge: bool) -> tuple[int, int]:
    """The same shape, its longer side `longest_px`, or what it is if that is less and not to be enlarged."""
    longest = max(width, height)
    to = longest_px if enlarge else min(longest_px, longest)
    return max(1, round(width * to / longest)), max(1, round(height * to / longest))


def cut_one(
    image: Image.Image,
    xyxy_px: Sequence[int],
    policy: CropPolicy,
    resolution_px: int,
    outline: Outline | None = None,
) -> NDArray[np.uint8]:
    """(R, R, 3): the pixels of one box inside the image, scaled until the longer side is R, centred on
    the fill; with an outline (shares of the image) those along it, by `scaled_part`.
    """
    scaled = scaled_part(image, xyxy_px, policy, resolution_px, outline)
    new_width, new_height = scaled.size
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
    corners: Corners | None = None,
) -> NDArray[np.uint8]:
    """(n, R, R, 3) crops of an RGB image, in the order of `xywhn` (n, 4: centre x, y, width, height as
    shares).

    `corners` are those of each box; they count where the policy cuts along the object. Raises ValueError
    where the image is not RGB or a coordinate is not finite.
    """
    if image.mode != "RGB":
        raise ValueError(f"image: expected mode RGB (see open_image), found {image.mode}")
    boxes = pixel_boxes(xywhn, image.size, policy.padding)
    along = [None] * len(boxes) if corners is None or policy.cut == "box" else corners
    crops = np.empty((len(boxes), resolution_px, resolution_px, 3), np.uint8)
    for crop, box, outline in zip(crops, boxes.tolist(), along, strict=True):
        crop[:] = cut_one(image, box, policy, resolution_px, outline)
    return crops
