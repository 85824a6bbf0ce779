"""Is here the middle of an object, and where are its sides? Two small networks over features of places."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from healtheat.core.overlap import iou
from healtheat.signals.regions.pyramid import CELL_PX, Level

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

COMPONENTS = 96
_HIDDEN = (64,)
_SPREAD = 0.18  # of the middle, in sides of the box
_FARTHEST = 0.6  # a place farther from the middle is none
_IN_RANGE = 1.6  # times larger or smaller than its level's size a box may be
_MIDDLE, _SIDES_FROM = 0.5, 0.3  # likeness to the middle from which a place is one, or tells the sides
_OTHERS = 300  # places of a level that are no middle
_LEAST = 0.05
_WINDOW = 5  # places in which one peak stands
_MOST = 60  # of a level
OVERLAP = 0.4  # IoU from which two places are one object


@dataclass(frozen=True, slots=True)
class Lessons:
    """Places to learn from: `features` (m, f), `heat` (m,) 1 in the middle of a box, `sides` (m, 4) how far
    left, top, right and bottom are, in sides of the level's object; NaN far from a middle.
    """

    features: Rows
    heat: Floats
    sides: Floats

    @classmethod
    def of(cls, level: Level, xyxyn: Floats, rng: np.random.Generator) -> Lessons:
        """From a level of an image with the boxes (b, 4)."""
        heat, sides, out_of_range = targets(level, xyxyn * level.size)
        flat = heat.ravel()
        middle = np.flatnonzero(flat > _MIDDLE)
        edge = np.flatnonzero((flat > 0) & (flat <= _MIDDLE))
        other = np.flatnonzero((flat == 0) & ~out_of_range.ravel())
        edge = rng.choice(edge, min(len(edge), 2 * len(middle)), replace=False)
        other = rng.choice(other, min(len(other), _OTHERS), replace=False)
        at = np.concatenate([middle, edge, other])
        far = flat[at] <= _SIDES_FROM
        told = sides.reshape(-1, 4)[at] / level.object_px
        told[far] = np.nan
        features = level.features.reshape(len(level.features), -1)[:, at].T
        return cls(np.ascontiguousarray(features), flat[at], told)

    @classmethod
    def join(cls, parts: Sequence[Lessons]) -> Lessons:
        """All of them, one after the other."""
        return cls(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("features", "heat", "sides"))
        )


def targets(level: Level, xyxy_px: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """`heat` (h, w), `sides` (h, w, 4) in pixels, and where boxes of other levels are (h, w)."""
    x, y = level.centres()
    heat, sides = np.zeros(x.shape), np.full((*x.shape, 4), np.nan)
    other = np.zeros(x.shape, bool)
    for left, top, right, bottom in xyxy_px:
        width, height = max(right - left, 1e-6), max(bottom - top, 1e-6)
        away = np.hypot((x - (left + right) / 2) / width, (y - (top + bottom) / 2) / height)
        near = away <= _FARTHEST
        if abs(np.log(np.sqrt(width * height) / level.object_px)) > np.log(_IN_RANGE):
            other |= near
            continue
        here = np.where(near, np.exp(-((away / _SPREAD) ** 2) / 2), 0.0)
        mine = here > heat
        heat[mine] = here[mine]
        sides[mine] = np.stack([x - left, y - top, right - x, bottom - y], axis=-1)[mine]
    return heat, sides, other


@dataclass(frozen=True, slots=True)
class Heads:
    """Fitted: `axes` of the features, and what is regressed on them."""

    centre: Rows
    axes: Rows  # (f, k)
    middle: MLPRegressor
    sides: MLPRegressor

    @classmethod
    def fit(cls, lessons: Lessons, seed: int = 0) -> Heads:
        """Needs some places that tell sides."""
        x = lessons.features.astype(np.float32)
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        k = min(COMPONENTS, *x.shape)
        pca = PCA(k, svd_solver="randomized", random_state=seed).fit((x[::2] - mean) / scale)
        level = float(np.sqrt(pca.explained_variance_).mean())
        axes = (pca.components_ / level / scale).T.astype(np.float32)
        z = (x - mean) @ axes
        near = ~np.isnan(lessons.sides[:, 0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop is good enough here
            middle = _network(len(z), seed, rounds=40).fit(z, lessons.heat.astype(np.float32))
            sides = _network(int(near.sum()), seed, rounds=100)
            sides.fit(z[near], lessons.sides[near].astype(np.float32))
        return cls(mean, axes, middle, sides)

    def propose(
        self, levels: Sequence[Level], most: int, others: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Boxes (m, 4) left, top, right, bottom as shares of the image, and heat (m,); m <= most.

        Of `others`, boxes (k, 4) from elsewhere, the hottest that overlap none of these join them: most more.
        """
        z = [self._projected(level) for level in levels]
        heats = [
            self.middle.predict(at).reshape(level.features.shape[1:]).astype(np.float64)
            for at, level in zip(z, levels, strict=True)
        ]
        found = [self._peaks(*one) for one in zip(levels, z, heats, strict=True)]
        boxes, heat = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
        kept = suppress(boxes, heat, most)
        boxes, heat = boxes[kept], heat[kept]
        if others is None or not len(others):
            return boxes, heat
        theirs = heat_of(levels, heats, others)
        more = suppress(others, theirs, most, beside=boxes)
        return np.concatenate([boxes, others[more]]), np.concatenate([heat, theirs[more]])

    def _projected(self, level: Level) -> Rows:
        return np.asarray(
            (level.features.reshape(len(level.features), -1).T - self.centre) @ self.axes, np.float32
        )

    def _peaks(self, level: Level, z: Rows, heat: Floats) -> tuple[Floats, Floats]:
        peak = np.flatnonzero((heat == maximum_filter(heat, _WINDOW)) & (heat > _LEAST))
        peak = peak[np.argsort(-heat.ravel()[peak], kind="stable")][:_MOST]
        if not len(peak):
            return np.empty((0, 4)), np.empty(0)
        x, y = (axis.ravel()[peak] for axis in level.centres())
        left, top, right, bottom = self.sides.predict(z[peak]).T * level.object_px
        boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1) / level.size
        boxes = np.clip(boxes, 0, 1)
        wide = ((boxes[:, 2:] - boxes[:, :2]) * level.size[:2] >= 0.25 * level.object_px).all(axis=1)
        return boxes[wide], heat.ravel()[peak][wide]


def _network(rows: int, seed: int, rounds: int) -> MLPRegressor:
    return MLPRegressor(
        hidden_layer_sizes=_HIDDEN,
        alpha=1e-2,
        batch_size=min(512, rows),
        learning_rate_init=3e-3,
        max_iter=rounds,
        random_state=seed,
    )


def heat_of(levels: Sequence[Level], heats: Sequence[Floats], boxes: Floats) -> Floats:
    """(k,) of boxes (k, 4): the highest of the 3 × 3 places in their middle, at the level of their size."""
    out = np.empty(len(boxes))
    for row, box in enumerate(boxes):
        pixels = [box * level.size for level in levels]
        side = [
            np.sqrt((p[2] - p[0]) * (p[3] - p[1])) / v.object_px for p, v in zip(pixels, levels, strict=True)
        ]
        at = int(np.argmin(np.abs(np.log(np.maximum(side, 1e-6)))))
        x, y = ((pixels[at][k] + pixels[at][k + 2]) / 2 / CELL_PX for k in (0, 1))
        h, w = heats[at].shape
        column, line = min(int(x), w - 1), min(int(y), h - 1)
        out[row] = heats[at][max(line - 1, 0) : line + 2, max(column - 1, 0) : column + 2].max()
    return out


def suppress(boxes: Floats, score: Floats, most: int, beside: Floats | None = None) -> NDArray[np.int64]:
    """Rows of the boxes (m, 4) to keep, best first: none overlaps a better one, or one of `beside` (k, 4),
    by OVERLAP.
    """
    kept: list[int] = []
    free = np.ones(len(boxes), bool)
    if beside is not None and len(beside) and len(boxes):
        free = iou(boxes, beside).max(axis=1) <= OVERLAP
    for row in np.argsort(-score, kind="stable").tolist():
        if len(kept) >= most:
            break
        if not free[row]:
            continue
        if not kept or iou(boxes[row : row + 1], boxes[kept]).max() <= OVERLAP:
            kept.append(row)
    return np.array(kept, np.int64)
