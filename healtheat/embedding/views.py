"""A crop seen from several sides: pills lie at any angle, so vectors are averaged over rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def turned(batch: NDArray[np.uint8], degrees: float, fill: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The (n, R, R, 3) crops turned counter-clockwise; multiples of 90° move pixels, others interpolate.

    At other angles the corners leave the square and `fill` comes in.
    """
    quarters, rest = divmod(degrees, 90)
    if rest == 0:
        return np.ascontiguousarray(np.rot90(batch, int(quarters) % 4, axes=(1, 2)))
    rotated = np.empty_like(batch)
    for crop, out in zip(batch, rotated, strict=True):
        image = Image.fromarray(crop).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)
        out[:] = np.asarray(image)
    return rotated
