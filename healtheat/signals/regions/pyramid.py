"""An image at the scales at which the set's boxes have one size, and the features of every place of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from healtheat.embedding.feature_maps import CHANNELS, FeatureMaps

Floats = NDArray[np.float64]

OBJECT_PX = 40.0  # side of an object at its level: five cells
CELL_PX = 8
_STEP = 2.0  # from level to level
_TAILS = (0.02, 0.98)  # of the sizes of boxes, which levels must reach
_MOST_LEVELS = 4
_MOST_PX = 1_600_000  # of an image at a level
_ENLARGED = 2.0  # at most
_MULTIPLE = 32  # sides of a level, in pixels

FEATURES = 4 * CHANNELS[4] + 2 * CHANNELS[8] + 2 * CHANNELS[16]


@dataclass(frozen=True, slots=True)
class Level:
    """`features` (f, h, w) of the places of an image of `width_px` × `height_px`, every CELL_PX pixels.

    Objects of this level have sides of about `object_px`.
    """

    features: NDArray[np.float32]
    width_px: int
    height_px: int
    object_px: float

    @property
    def size(self) -> Floats:
        """(4,) width, height, width, height: from shares of the image to pixels here."""
        return np.array([self.width_px, self.height_px] * 2, np.float64)

    def centres(self) -> tuple[Floats, Floats]:
        """x and y (h, w) of the middle of every place, in pixels of this level."""
        y, x = np.mgrid[: self.features.shape[1], : self.features.shape[2]]
        return x * CELL_PX + CELL_PX / 2, y * CELL_PX + CELL_PX / 2


@dataclass(frozen=True, slots=True)
class Pyramid:
    """`sizes` of objects that a level is for, as shares of the image's side; ascending."""

    sizes: tuple[float, ...]

    @classmethod
    def of(cls, xywhn: Floats) -> Pyramid:
        """Levels for the boxes (n, 4) of a set, n >= 1."""
        side = np.sqrt(np.maximum(xywhn[:, 2] * xywhn[:, 3], 1e-8))
        low, high = np.quantile(side, _TAILS)
        count = 1 + int(np.ceil(np.log(max(high / low, 1.0) / _STEP) / np.log(_STEP) - 1e-9))
        count = min(max(count, 1), _MOST_LEVELS)
        middle = np.sqrt(low * high)
        powers = np.arange(count) - (count - 1) / 2
        return cls(tuple(float(middle * _STEP**p) for p in powers))

    def levels(self, pixels: NDArray[np.uint8], maps: FeatureMaps) -> Sequence[Level]:
        """The levels of an RGB image (height, width, 3), one for each size."""
        height, width = pixels.shape[:2]
        image = Image.fromarray(pixels)
        out = []
        for size in self.sizes:
            factor = OBJECT_PX / (size * np.sqrt(width * height))
            factor = min(factor, _ENLARGED, np.sqrt(_MOST_PX / (width * height)))
            sides = [max(_MULTIPLE, round(s * factor / _MULTIPLE) * _MULTIPLE) for s in (width, height)]
            scaled = np.asarray(
                image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
            )
            object_px = size * np.sqrt(sides[0] * sides[1])
            out.append(Level(_features(maps(scaled[None])), sides[0], sides[1], object_px))
        return out


def _features(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(f, h, w) of all strides side by side on the grid of stride 8, and their means over an object."""
    fine, middle, coarse = (one[0] for one in maps)
    h, w = middle.shape[1:]
    fine = fine.reshape(len(fine), h, 2, w, 2).transpose(0, 2, 4, 1, 3).reshape(-1, h, w)
    coarse = np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2)
    near = np.concatenate([middle, coarse])
    window = (1, round(OBJECT_PX / CELL_PX), round(OBJECT_PX / CELL_PX))
    return np.concatenate([fine, near, uniform_filter(near, window, mode="nearest")])
