"""Outlines and reliefs of pills: signed distances in pill coordinates, and the marks on a side."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Array = NDArray[Any]


def inside_px(shape: str, u: Array, v: Array, a: float, b: float) -> Array:
    """Distance to the outline in pixels, positive inside, of a pill with half axes a >= b around the origin.

    Exact for round, oblong and square; a first-order estimate for ellipses; polygons have their corners
    rounded by a soft minimum over their sides.
    """
    if shape == "round":
        return np.asarray(a - np.hypot(u, v), np.float32)
    if shape in ("oblong", "capsule"):
        return np.asarray(b - np.hypot(np.maximum(np.abs(u) - (a - b), 0), v), np.float32)
    if shape in ("oval", "softgel"):
        k0 = np.hypot(u / a, v / b)
        k1 = np.hypot(u / a**2, v / b**2)
        return np.asarray(np.minimum(k0 * (1 - k0) / np.maximum(k1, 1e-6), b), np.float32) + np.where(
            k0 < 0.02, np.float32(b), np.float32(0)
        )
    if shape == "square":
        r = 0.38 * b
        qu, qv = np.abs(u) - (a - r), np.abs(v) - (b - r)
        outside = np.hypot(np.maximum(qu, 0), np.maximum(qv, 0))
        return np.asarray(r - outside - np.minimum(np.maximum(qu, qv), 0), np.float32)
    sides = {"triangle": 3, "hexagon": 6}[shape]
    apothem = a * (0.62 if sides == 3 else 0.9)
    soft = a * (0.14 if sides == 3 else 0.05)
    turns = [math.pi / 2 + 2 * math.pi * k / sides for k in range(sides)]
    total = sum(np.exp(-(apothem - math.cos(t) * u - math.sin(t) * v) / soft) for t in turns)
    return np.asarray(-soft * np.log(np.maximum(total, 1e-9)), np.float32)


def relief_px(shape: str, d: Array, v_half: float, dome: float) -> Array:
    """Height of the surface in pixels over the table, from the inside distance `d`; 0 outside."""
    d = np.maximum(d, 0)
    if shape in ("capsule", "softgel"):
        t = np.minimum(d / v_half, 1)
        return np.asarray(v_half * np.sqrt(np.maximum(t * (2 - t), 0)), np.float32)
    t = np.minimum(d / v_half, 1)
    rim = (0.07 + 0.05 * dome) * v_half
    e = np.minimum(d / rim, 1)
    if shape in ("square", "triangle", "hexagon"):  # a flat top; a dome would get ridges along the diagonals
        t = np.minimum(d / (0.4 * v_half), 1)
    face = dome * 0.42 * v_half * t * (2 - t)
    return np.asarray(face + rim * 0.9 * np.sqrt(np.maximum(e * (2 - e), 0)), np.float32)


def _text(
    draw: ImageDraw.ImageDraw, text: str, centre: tuple[float, float], box: tuple[float, float]
) -> None:
    """Write `text` centred, as large as `box` (width, height) allows."""
    probe = ImageFont.load_default(100)
    left, top, right, bottom = probe.getbbox(text)
    size = 100 * min(box[0] / max(right - left, 1), box[1] / max(bottom - top, 1))
    font = ImageFont.load_default(max(size, 6))
    left, top, right, bottom = font.getbbox(text)
    at = (centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2)
    draw.text(at, text, fill=255, font=font, stroke_width=size * 0.028)


@lru_cache(maxsize=256)
def marks(shape: str, mark: str, a: float, b: float, printed: bool) -> tuple[Image.Image, Image.Image]:
    """Depth masks (L, 0..255) of text and of score lines in pill coordinates, origin in the middle.

    Both are (2 * ceil(a) + 1) wide and high enough for the pill, softened so that grooves get slopes.
    """
    half_w, half_h = int(np.ceil(a)), int(np.ceil(max(b, a if shape in ("triangle", "hexagon") else b)))
    size = (2 * half_w + 1, 2 * half_h + 1)
    text, line = Image.new("L", size), Image.new("L", size)
    on_text, on_line = ImageDraw.Draw(text), ImageDraw.Draw(line)
    cx, cy, groove = half_w, half_h, max(2.0, 0.05 * b)
    tall = 1.0 if shape in ("oblong", "capsule", "oval", "softgel") else 0.9
    if mark == "+" or "|" in mark:
        on_line.rectangle((cx - groove / 2, 0, cx + groove / 2, size[1]), fill=255)
    if mark == "+":
        on_line.rectangle((0, cy - groove / 2, size[0], cy + groove / 2), fill=255)
    elif "|" in mark:
        for part, sign in zip(mark.split("|"), (-1, 1), strict=True):
            if part:
                _text(on_text, part, (cx + sign * 0.47 * a, cy), (0.56 * a, 0.85 * b * tall))
    elif mark:
        span = {"capsule": 0.78, "triangle": 0.62}.get(shape, 1.24)
        middle = cx - 0.45 * a if shape == "capsule" else cx
        _text(on_text, mark, (middle, cy), (span * a, (0.62 if printed else 0.92) * b * tall))
    blur = 0.6 if printed else max(1.0, 0.014 * b)
    return (
        text.filter(ImageFilter.GaussianBlur(blur)),
        line.filter(ImageFilter.GaussianBlur(max(1.2, 0.35 * groove))),
    )
