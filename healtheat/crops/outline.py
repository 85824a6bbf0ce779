"""The part of an image inside an outline: an oriented box turned upright, a polygon on a plain ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from healtheat.core.corners import Outline

_BOX_CORNERS = 4  # an outline of so many points is an oriented box
_SPARE = 2  # pixels taken for one that is kept, along each side; the rest is averaged before it is turned


def turned(
    image: Image.Image, outline: Outline, padding: float, fill: tuple[int, int, int], longest_px: int
) -> Image.Image | None:
    """The smallest rectangle around the outline, upright, its longer side across; None beside the image.

    `padding` is added on every side, as a share of the side; what lies outside of the image is `fill`. The
    sides are those on the image, or smaller ones, yet at least twice `longest_px`: to be scaled once more.
    """
    centre, across, sides = least_rectangle(outline * image.size)
    sides = np.maximum(sides * (1 + 2 * padding), 1.0)
    down = np.array([-across[1], across[0]])
    halves = np.array([across, down]) * sides[:, None] / 2
    reach = np.abs(halves).sum(axis=0)
    low = np.floor(np.clip(centre - reach, 0, image.size)).astype(np.int64)
    high = np.ceil(np.clip(centre + reach, 0, image.size)).astype(np.int64)
    if (high <= low).any():
        return None
    shrink = max(1, int(sides.max() // (_SPARE * longest_px)))
    part = image.reduce(shrink, (int(low[0]), int(low[1]), int(high[0]), int(high[1])))
    centre, halves, sides = (centre - low) / shrink, halves / shrink, sides / shrink
    width, height = (max(1, round(float(side))) for side in sides)
    a, d = 2 * halves[0] / width
    b, e = 2 * halves[1] / height
    c, f = centre - halves.sum(axis=0)
    return part.transform(
        (width, height),
        Image.Transform.AFFINE,
        (a, b, c, d, e, f),
        Image.Resampling.BICUBIC,
        fillcolor=fill,
    )


def masked(
    part: Image.Image, outline_px: NDArray[np.float64], fill: tuple[int, int, int]
) -> Image.Image | None:
    """A part of an image with `fill` outside of the polygon (k, 2; its pixels); None where it is empty."""
    mask = Image.new("1", part.size)
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in (outline_px - 0.5).tolist()], fill=1)
    if mask.getbbox() is None:
        return None
    return Image.composite(part, Image.new("RGB", part.size, fill), mask)


def is_oriented_box(outline: Outline) -> bool:
    """Whether the outline is that of a box at any angle: four corners."""
    return len(outline) == _BOX_CORNERS


def least_rectangle(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centre (2,), direction (2,) and sides (2,) of the smallest rectangle around (k, 2) points.

    The direction is that of the longer side, at most 90° from the x axis; where both are equally long, the
    one nearer to the x axis. One side lies along an edge of the convex hull (Freeman and Shapira, 1975), so
    the directions of all pairs of points are tried: for the four points of a box.
    """
    first, second = np.triu_indices(len(points), 1)
    along = points[second] - points[first]
    angles = np.unique(np.r_[0.0, np.arctan2(along[:, 1], along[:, 0])])
    angles = (angles + np.pi / 4) % (np.pi / 2) - np.pi / 4  # the same rectangle, turned least
    angles = angles[np.argsort(np.abs(angles), kind="stable")]
    axes = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)], 1).reshape(-1, 2, 2)
    placed = axes @ points.T  # (angles, 2, k)
    sides = placed.max(axis=2) - placed.min(axis=2)
    area = sides.prod(axis=1)
    best = int(np.flatnonzero(area <= area.min() * (1 + 1e-9) + 1e-12)[0])
    centre = (placed[best].max(axis=1) + placed[best].min(axis=1)) / 2 @ axes[best]
    across, (width, height) = axes[best, 0], sides[best]
    if height > width * 1.001:
        down = axes[best, 1]
        across = -down if down[0] < 0 else down
        return centre, across, np.array([height, width])
    return centre, across, sides[best]
