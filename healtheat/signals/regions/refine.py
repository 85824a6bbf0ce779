"""Where does the object in this box end, and is there one? Linear models over the feature maps of a crop.

A box is moved to its object as detectors with two stages do it (bounding box regression: Girshick et al.,
Rich feature hierarchies for accurate object detection, 2014, appendix C), learned from labelled boxes that
were shifted and scaled on purpose.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from healtheat.embedding.feature_maps import CHANNELS, FeatureMaps

Floats = NDArray[np.float64]
Crops = NDArray[np.float16]

CROP_PX = 112
_AROUND = 1.6  # sides of the box that a crop shows
_CELLS = 7  # of a crop, along a side
_SHIFT, _SCALE = 0.25, 0.3  # how far boxes are moved to learn from, in sides and in log sides
_BOX_AXES, _OBJECT_AXES = 200, 128
_RIDGE, _LOGISTIC = 3000.0, 0.003
_LONGEST = 1.0  # log of how much a side grows or shrinks at most
CROP_FEATURES = _CELLS * _CELLS * (CHANNELS[16] + CHANNELS[8])


def crop_features(pixels: NDArray[np.uint8], xyxyn: Floats, maps: FeatureMaps) -> Crops:
    """(n, CROP_FEATURES) of what is in and around boxes (n, 4) of an RGB image (height, width, 3)."""
    if not len(xyxyn):
        return np.empty((0, CROP_FEATURES), np.float16)
    height, width = pixels.shape[:2]
    image, size = Image.fromarray(pixels), np.array([width, height] * 2, np.float64)
    crops = []
    for left, top, right, bottom in xyxyn * size:
        x, y = (left + right) / 2, (top + bottom) / 2
        w, h = (max(right - left, 2.0) * _AROUND / 2, max(bottom - top, 2.0) * _AROUND / 2)
        part = image.transform(
            (CROP_PX, CROP_PX),
            Image.Transform.EXTENT,
            (x - w, y - h, x + w, y + h),
            Image.Resampling.BILINEAR,
        )
        crops.append(np.asarray(part))
    _, fine, coarse = maps(np.stack(crops))
    n, c = fine.shape[:2]
    fine = fine.reshape(n, c, _CELLS, 2, _CELLS, 2).mean(axis=(3, 5))
    return np.concatenate([coarse.reshape(n, -1), fine.reshape(n, -1)], axis=1).astype(np.float16)


def shaken(xyxyn: Floats, rng: np.random.Generator) -> Floats:
    """(n, 4) the boxes, each shifted and scaled at random."""
    side = xyxyn[:, 2:] - xyxyn[:, :2]
    centre = (xyxyn[:, 2:] + xyxyn[:, :2]) / 2 + rng.uniform(-_SHIFT, _SHIFT, side.shape) * side
    side = side * np.exp(rng.uniform(-_SCALE, _SCALE, side.shape))
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1)


def steps(boxes: Floats, goals: Floats) -> Floats:
    """(n, 4) what moves boxes (n, 4) to goals (n, 4): shift in sides, log of the growth of each side."""
    side, end = boxes[:, 2:] - boxes[:, :2], goals[:, 2:] - goals[:, :2]
    shift = (goals[:, 2:] + goals[:, :2] - boxes[:, 2:] - boxes[:, :2]) / 2 / side
    return np.concatenate([shift, np.log(end / side)], axis=1)


def stepped(boxes: Floats, moves: Floats) -> Floats:
    """(n, 4) the boxes after the moves of `steps`, inside the image."""
    side = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2 + np.clip(moves[:, :2], -1, 1) * side
    side = side * np.exp(np.clip(moves[:, 2:], -_LONGEST, _LONGEST))
    return np.asarray(np.clip(np.concatenate([centre - side / 2, centre + side / 2], axis=1), 0, 1))


@dataclass(frozen=True, slots=True)
class _Linear:
    """`centre` (f,), `weights` (f, k), `offset` (k,)."""

    centre: NDArray[np.float32]
    weights: NDArray[np.float32]
    offset: Floats

    def __call__(self, crops: Crops) -> Floats:
        return np.asarray((crops.astype(np.float32) - self.centre) @ self.weights + self.offset, np.float64)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Principal axes of scaled features: `weights` (f, k) after `centre` (f,) is taken off."""

    centre: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def fit(cls, crops: Crops, k: int) -> _Axes:
        x = crops.astype(np.float32)
        centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-3)
        pca = PCA(min(k, *x.shape), svd_solver="randomized", random_state=0).fit((x - centre) / scale)
        return cls(centre, (pca.components_ / scale).T.astype(np.float32))

    def __call__(self, crops: Crops) -> NDArray[np.float32]:
        return np.asarray((crops.astype(np.float32) - self.centre) @ self.weights)


@dataclass(frozen=True, slots=True)
class Refiner:
    """Moves boxes to the objects in them."""

    linear: _Linear

    @classmethod
    def fit(cls, crops: Crops, moves: Floats) -> Refiner:
        """From crops (n, f) of boxes that `moves` (n, 4) lead to their objects."""
        axes = _Axes.fit(crops, _BOX_AXES)
        model = Ridge(alpha=_RIDGE).fit(axes(crops), moves)
        weights = (axes.weights @ model.coef_.T).astype(np.float32)
        return cls(_Linear(axes.centre, weights, np.asarray(model.intercept_, np.float64)))

    def __call__(self, boxes: Floats, crops: Crops) -> Floats:
        """(n, 4) the boxes (n, 4) after one step."""
        return stepped(boxes, self.linear(crops))


@dataclass(frozen=True, slots=True)
class Selector:
    """Tells objects of the set from other places that look worth a crop."""

    linear: _Linear
    of_heat: float

    @classmethod
    def fit(cls, crops: Crops, heat: Floats, is_one: NDArray[np.bool_]) -> Selector:
        """From crops (n, f), the heat (n,) of their places, and which hold a labelled object (some do)."""
        axes = _Axes.fit(crops, _OBJECT_AXES)
        z = axes(crops)
        level = float(np.sqrt(z.var(axis=0)).mean()) or 1.0
        data = np.concatenate([z / level, logit(heat)[:, None]], axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=_LOGISTIC, max_iter=500).fit(data, is_one)
        weights = (axes.weights @ model.coef_[0, :-1, None] / level).astype(np.float32)
        return cls(_Linear(axes.centre, weights, np.asarray(model.intercept_)), float(model.coef_[0, -1]))

    def __call__(self, crops: Crops, heat: Floats) -> Floats:
        """(n,) logits that a labelled object is there."""
        return np.asarray(self.linear(crops)[:, 0] + self.of_heat * logit(heat))


def logit(heat: Floats) -> Floats:
    """(n,) of heat, which a regression may put a little outside of 0 and 1."""
    p = np.clip(heat, 1e-3, 1 - 1e-2)
    return np.asarray(np.log(p / (1 - p)))
