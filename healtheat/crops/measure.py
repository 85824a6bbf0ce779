"""Plain measures of a crop: what a copy detector compares, and whether anything can be seen on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.crops.cut import Corners, CropPolicy, cut

CROP_MEASURES = np.dtype(
    [
        ("dhash", np.uint64),  # 64-bit difference hash: copies differ in few bits
        ("sharpness", np.float32),  # [0, 1]: steepest edges over contrast; a sharp edge is near 1
        ("brightness", np.float32),  # [0, 1]: mean luma of the pill's centre
        ("contrast", np.float32),  # [0, 1]: range of luma inside the box, without the outer 2 %
    ]
)
_FILL = CropPolicy().fill
LEAST_CONTRAST = 16  # grey levels; below this, noise would pass for sharp edges


def measure(crops: NDArray[np.uint8], fill: tuple[int, int, int] = _FILL) -> NDArray[Any]:
    """(n,) CROP_MEASURES of (n, R, R, 3) crops. Letterbox bars (rows and columns of `fill`) are left out."""
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise ValueError(f"crops: expected uint8 (n, R, R, 3), found {crops.dtype} {crops.shape}")
    found = np.zeros(len(crops), CROP_MEASURES)
    for row, crop in enumerate(crops):
        top, bottom, left, right = content(crop, fill)
        grey = luma(crop)
        inside = grey[top:bottom, left:right]
        found["dhash"][row] = dhash(grey)
        found["contrast"][row] = _range(inside) / 255
        found["brightness"][row] = _middle(inside, 0.25).mean() / 255
        found["sharpness"][row] = _sharpness(inside)
    return found


def cut_and_measure(
    image: Image.Image,
    xywhn: NDArray[Any] | Sequence[Sequence[float]],
    policy: CropPolicy,
    resolution_px: int,
    corners: Corners | None = None,
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The crops of `cut`, and (n,) CROP_MEASURES of what is in the boxes.

    Measures are those of the box, however its crop is cut: the rim of a mask would pass for sharpness.
    """
    crops = cut(image, xywhn, policy, resolution_px, corners)
    if corners is None or policy.cut == "box":
        return crops, measure(crops, policy.fill)
    boxes = policy.model_copy(update={"cut": "box"})
    return crops, measure(cut(image, xywhn, boxes, resolution_px), policy.fill)


def content(crop: NDArray[np.uint8], fill: tuple[int, int, int] = _FILL) -> tuple[int, int, int, int]:
    """top, bottom, left, right of what is not letterbox bar; the whole crop where everything is fill."""
    height, width = crop.shape[:2]
    colour = np.array(fill, np.uint8)
    if (crop[0] == colour).all() or (
        crop[-1] == colour
    ).all():  # most crops have no bars: one look at the rim
        rows = np.flatnonzero((crop != colour).any((1, 2)))
        return (int(rows[0]), int(rows[-1]) + 1, 0, width) if len(rows) else (0, height, 0, width)
    if (crop[:, 0] == colour).all() or (crop[:, -1] == colour).all():
        columns = np.flatnonzero((crop != colour).any((0, 2)))
        return 0, height, int(columns[0]), int(columns[-1]) + 1
    return 0, height, 0, width


def luma(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(R, R) ITU-R BT.601 luma in whole numbers."""
    return np.asarray(Image.fromarray(crop).convert("L"))


def dhash(grey: NDArray[np.uint8]) -> int:
    """64-bit difference hash (N. Krawetz, 2013): 8 × 9 mean cells, a bit where the right one is brighter.

    Cells are exact sums of whole numbers, so the bits do not depend on the order of summation.
    """
    rows, columns = _cells(grey.shape[0], 8), _cells(grey.shape[1], 9)
    cells = rows @ grey.astype(np.float64) @ columns.T
    return int(np.packbits(cells[:, 1:] > cells[:, :-1]).view(">u8")[0])


def image_dhash(image: Image.Image) -> int:
    """The same hash of a whole image."""
    return dhash(np.asarray(image.convert("L").resize((72, 64), Image.Resampling.BOX)))


def _cells(length: int, count: int) -> NDArray[np.float64]:
    """(count, length) how much of each pixel lies in each of `count` equal cells, in units of 1/count
    pixel.
    """
    pixel = np.arange(length) * count
    cell = np.arange(count)[:, None] * length
    overlap = np.minimum(pixel + count, cell + length) - np.maximum(pixel, cell)
    return np.asarray(overlap.clip(0, None), np.float64)


def _middle(inside: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """`inside` without `share` of its side on either side; at least one pixel."""
    dy, dx = (int(side * share) for side in inside.shape)
    return inside[dy : inside.shape[0] - dy, dx : inside.shape[1] - dx]


def _range(grey: NDArray[np.uint8]) -> int:
    """Grey levels between the darkest and the brightest 2 %; every fourth pixel is looked at."""
    total = np.cumsum(np.bincount(grey[::2, ::2].ravel(), minlength=256))
    low, high = np.searchsorted(total, (0.02 * total[-1], 0.98 * total[-1]))
    return int(high - low)


def _sharpness(inside: NDArray[np.uint8]) -> float:
    """Steepest edges relative to contrast, so that a plain pill on a plain ground is not called blurred.

    The outline or imprint is enough: the step that only half a per cent of all steps exceeds is taken. A step
    of the full contrast over two pixels is 1. The box's rim is left out: a cut-off neighbour may lie there.
    """
    middle = _middle(inside, 0.05)
    if min(middle.shape) < 3:
        return 0.0
    grey = middle.astype(np.int16)
    across = np.abs(grey[1:-1, 2:] - grey[1:-1, :-2])
    down = np.abs(grey[2:, 1:-1] - grey[:-2, 1:-1])
    total = np.cumsum(np.bincount(np.maximum(across, down).ravel(), minlength=256))
    steepest = int(np.searchsorted(total, 0.995 * total[-1]))
    return min(1.0, steepest / max(_range(middle), LEAST_CONTRAST))
