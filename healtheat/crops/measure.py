"""Plain measures of a crop: what a copy detector compares, and whether anything can be seen on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.crops.cut import CropPolicy

CROP_MEASURES = np.dtype(
    [
        ("dhash", np.uint64),  # 64-bit difference hash: copies differ in few bits
        ("sharpness", np.float32),  # [0, 1]: steepest edges over contrast; a sharp edge is near 1
        ("brightness", np.float32),  # [0, 1]: mean luma of the pill's centre
        ("contrast", np.float32),  # [0, 1]: range of luma inside the box, without the outer 2 %
    ]
)
_FILL = CropPolicy().fill


def measure(crops: NDArray[np.uint8], fill: tuple[int, int, int] = _FILL) -> NDArray[Any]:
    """(n,) CROP_MEASURES of (n, R, R, 3) crops. Letterbox bars (rows and columns of `fill`) are left out."""
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise ValueError(f"crops: expected uint8 (n, R, R, 3), found {crops.dtype} {crops.shape}")
    found = np.zeros(len(crops), CROP_MEASURES)
    for row, crop in enumerate(crops):
        top, bottom, left, right = content(crop, fill)
        grey = luma(crop)
        found["dhash"][row] = dhash(grey)
        inside = grey[top:bottom, left:right].astype(np.float32)
        low, high = np.percentile(inside[::2, ::2], (2, 98))
        found["contrast"][row] = (high - low) / 255
        found["brightness"][row] = _middle(inside, 0.25).mean() / 255
        found["sharpness"][row] = _sharpness(inside)
    return found


def content(crop: NDArray[np.uint8], fill: tuple[int, int, int] = _FILL) -> tuple[int, int, int, int]:
    """top, bottom, left, right of what is not letterbox bar; the whole crop where everything is fill."""
    differs = (crop != np.array(fill, np.uint8)).any(2)
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    if not len(rows):
        return 0, crop.shape[0], 0, crop.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def luma(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(R, R) ITU-R BT.601 luma in whole numbers."""
    channels = crop.astype(np.uint32)
    grey = (channels[..., 0] * 19595 + channels[..., 1] * 38470 + channels[..., 2] * 7471 + 32768) >> 16
    return grey.astype(np.uint8)


def dhash(grey: NDArray[np.uint8]) -> int:
    """64-bit difference hash (N. Krawetz, 2013): 8 × 9 mean cells, a bit where the right one is brighter.

    Cells are exact sums of whole numbers, so the bits do not depend on the order of summation.
    """
    rows, columns = _cells(grey.shape[0], 8), _cells(grey.shape[1], 9)
    cells = rows @ grey.astype(np.float64) @ columns.T
    return int(np.packbits(cells[:, 1:] > cells[:, :-1]).view(">u8")[0])


def image_dhash(image: Image.Image) -> int:
    """The same hash of a whole photo."""
    return dhash(np.asarray(image.convert("L").resize((72, 64), Image.Resampling.BOX)))


def _cells(length: int, count: int) -> NDArray[np.float64]:
    """(count, length) how much of each pixel lies in each of `count` equal cells, in units of 1/count
    pixel.
    """
    pixel = np.arange(length) * count
    cell = np.arange(count)[:, None] * length
    overlap = np.minimum(pixel + count, cell + length) - np.maximum(pixel, cell)
    return np.asarray(overlap.clip(0, None), np.float64)


def _middle(inside: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """`inside` without `share` of its side on either side; at least one pixel."""
    dy, dx = (int(side * share) for side in inside.shape)
    return inside[dy : inside.shape[0] - dy, dx : inside.shape[1] - dx]


def _sharpness(inside: NDArray[np.float32]) -> float:
    """Steepest edges relative to contrast, so that a plain pill on a plain ground is not called blurred.

    The outline or imprint is enough: only the steepest half per cent of all steps counts. A step of the full
    contrast from one pixel to the next but one is 1. The box's rim is left out: a cut-off neighbour may lie
    there.
    """
    middle = _middle(inside, 0.05)
    if min(middle.shape) < 3:
        return 0.0
    across = np.abs(middle[1:-1, 2:] - middle[1:-1, :-2])
    down = np.abs(middle[2:, 1:-1] - middle[:-2, 1:-1])
    steps = np.maximum(across, down).ravel()
    steepest = np.partition(steps, -max(1, len(steps) // 200))[-max(1, len(steps) // 200)]
    low, high = np.percentile(middle[::2, ::2], (2, 98))
    return float(min(1.0, steepest / max(high - low, 16.0)))
