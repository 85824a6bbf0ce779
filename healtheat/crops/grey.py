"""Boxes of one image as small grey squares, and as a copy of the image would show them.

For comparing pixels: unlike the crops that are embedded they are stretched to a square, so that two pictures
of one thing lie on each other whatever the size of the image.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY_PX = 64

Greys = NDArray[np.uint8]
Floats = NDArray[np.float64]


def grey_crops(image: Image.Image, xywhn: Floats, side_px: int = GREY_PX) -> Greys:
    """(m, side, side) grey values of the boxes (m, 4; shares of the image), stretched, inside the image."""
    grey = image if image.mode == "L" else image.convert("L")
    width, height = grey.size
    out = np.empty((len(xywhn), side_px, side_px), np.uint8)
    for crop, (x, y, w, h) in zip(out, np.asarray(xywhn, np.float64).tolist(), strict=True):
        left, right = _span(x, w, width)
        top, bottom = _span(y, h, height)
        box = (left, top, right, bottom)
        crop[:] = np.asarray(grey.resize((side_px, side_px), Image.Resampling.BILINEAR, box))
    return out


def grey_copies(image: Image.Image, xywhn: Floats, seed: int, side_px: int = GREY_PX) -> Greys:
    """(m, side, side) the same boxes on a copy of the image: smaller, re-encoded as JPEG, in other light, and
    with the box drawn again a little off. The same seed gives the same copies.
    """
    grey = image if image.mode == "L" else image.convert("L")
    random = np.random.default_rng(seed)
    rows = [_copy(grey, box, random, side_px) for box in np.asarray(xywhn, np.float64)]
    return np.stack(rows) if rows else np.zeros((0, side_px, side_px), np.uint8)


def _copy(grey: Image.Image, xywhn: Floats, random: np.random.Generator, side_px: int) -> Greys:
    width, height = grey.size
    x, y, w, h = xywhn.tolist()
    left, right = (round(v) for v in _span(x, 1.4 * w, width))
    top, bottom = (round(v) for v in _span(y, 1.4 * h, height))
    part = grey.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    shrink = random.uniform(0.6, 1.0)
    size = (max(8, round(part.width * shrink)), max(8, round(part.height * shrink)))
    light = np.asarray(part.resize(size, Image.Resampling.LANCZOS), np.float64)
    light = light * random.uniform(0.85, 1.15) + random.uniform(-15, 15)
    file = io.BytesIO()
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(
        file, "JPEG", quality=int(random.integers(60, 96))
    )
    off = random.uniform(-0.03, 0.03, 4)
    scale = np.array([width / part.width, height / part.height])
    corner = np.array([left / width, top / height])
    again = np.r_[
        (np.array([x, y]) - corner + off[:2] * (w, h)) * scale, np.array([w, h]) * scale * (1 + off[2:])
    ]
    return np.asarray(grey_crops(Image.open(file), again[None], side_px)[0])


def _span(centre: float, size: float, length_px: int) -> tuple[float, float]:
    """Start and end in pixels, inside the image, at least a pixel apart."""
    start, end = (centre - size / 2) * length_px, (centre + size / 2) * length_px
    start = min(max(start, 0.0), length_px - 1.0)
    return start, min(max(end, start + 1.0), float(length_px))
