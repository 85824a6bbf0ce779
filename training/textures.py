"""Made-up grounds (cloth, paper, skin, wood, keys, print) to lay pills on and to know as "no pill"."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 160

Tile = NDArray[Any]


def _noise(rng: np.random.Generator, octaves: int, stretch: float = 1.0) -> Tile:
    """Fractal value noise in [0, 1], (160, 160) float32."""
    total = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for k in range(octaves):
        cells = 2 ** (k + 1)
        grid = rng.random((max(2, int(cells * stretch)), cells), np.float32)
        total += cv2.resize(grid, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC) / 1.6**k
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low + 1e-6)


def _base_colour(rng: np.random.Generator) -> Tile:
    kind = rng.integers(0, 5)
    if kind == 0:  # skin
        v = rng.uniform(110, 240)
        return np.float32([v, v * rng.uniform(0.62, 0.84), v * rng.uniform(0.45, 0.75)])
    if kind == 1:  # wood and card
        v = rng.uniform(70, 220)
        return np.float32([v, v * rng.uniform(0.65, 0.9), v * rng.uniform(0.35, 0.75)])
    if kind == 2:  # grey cloth, paper, metal
        return np.float32([rng.uniform(15, 250)] * 3) + rng.uniform(-10, 10, 3)
    if kind == 3:
        return rng.uniform(20, 240, 3)
    return np.float32([rng.uniform(225, 255)] * 3)


def _with_colour(rng: np.random.Generator, pattern: Tile) -> Tile:
    base, swing = _base_colour(rng), rng.uniform(8, 90)
    out = np.asarray(base, np.float32)[None, None] + (pattern[..., None] - 0.5) * swing
    if rng.random() < 0.3:
        out = out + (_noise(rng, 3)[..., None] - 0.5) * rng.uniform(-40, 40, 3)
    return out


def _grain(rng: np.random.Generator) -> Tile:
    coarse = rng.integers(1, 4)
    fine = rng.random((SIZE_PX // coarse, SIZE_PX // coarse), np.float32)
    return cv2.resize(fine, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR)


def _stripes(rng: np.random.Generator) -> Tile:
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 50)
    yy, xx = np.mgrid[:SIZE_PX, :SIZE_PX].astype(np.float32)
    phase = (xx * np.cos(angle) + yy * np.sin(angle)) / period + _noise(rng, 3) * rng.uniform(0, 3)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
    return (wave > 0.5).astype(np.float32) if rng.random() < 0.3 else wave.astype(np.float32)


def _weave(rng: np.random.Generator) -> Tile:
    return 0.5 * _stripes(rng) + 0.5 * _stripes(rng)


def _keys(rng: np.random.Generator) -> Tile:
    """A keyboard-like or tiled pattern of rectangles."""
    tile = np.full((SIZE_PX, SIZE_PX), rng.integers(0, 256), np.uint8)
    w, h, gap = int(rng.integers(18, 70)), int(rng.integers(18, 70)), int(rng.integers(2, 8))
    tone = int(rng.integers(0, 256))
    for y in range(int(rng.integers(-h, 1)), SIZE_PX, h + gap):
        for x in range(int(rng.integers(-w, 1)), SIZE_PX, w + gap):
            cv2.rectangle(tile, (x, y), (x + w, y + h), tone, -1)
            letter = chr(int(rng.integers(33, 123)))
            cv2.putText(tile, letter, (x + w // 4, y + h * 2 // 3), 0, w / 60, 255 - tone, 1)
    return tile.astype(np.float32) / 255


def _print(rng: np.random.Generator) -> Tile:
    """Lines of print, and long straight edges such as sheets and rulers have."""
    tile = np.full((SIZE_PX, SIZE_PX), rng.integers(128, 256), np.uint8)
    for _ in range(int(rng.integers(0, 7))):
        text = "".join(chr(int(c)) for c in rng.integers(40, 123, 14))
        where = (int(rng.integers(-20, 60)), int(rng.integers(5, SIZE_PX)))
        cv2.putText(
            tile,
            text,
            where,
            int(rng.integers(0, 4)),
            float(rng.uniform(0.3, 1.4)),
            0,
            int(rng.integers(1, 3)),
        )
    for _ in range(int(rng.integers(0, 3))):
        a, b = rng.integers(-80, SIZE_PX + 80, (2, 2))
        cv2.line(tile, a.tolist(), b.tolist(), int(rng.integers(0, 256)), int(rng.integers(1, 90)))
    return tile.astype(np.float32) / 255


def _fold(rng: np.random.Generator) -> Tile:
    """Two flat areas that meet at an edge: a sheet on a table, a shadow."""
    tile = _noise(rng, 2) * rng.uniform(0, 0.4)
    corner = rng.integers(-100, SIZE_PX + 100, (4, 2)).astype(np.int32)
    cv2.fillConvexPoly(tile, cv2.convexHull(corner), float(rng.random()))
    return cv2.GaussianBlur(tile, (0, 0), float(rng.uniform(0.5, 8)))


PATTERNS = (_noise, _grain, _stripes, _weave, _keys, _print, _fold)


def make_bank(count: int, seed: int) -> Tile:
    """`count` grounds, (count, 160, 160, 3) uint8 RGB; the same for the same seed."""
    rng = np.random.default_rng(seed)
    bank = np.empty((count, SIZE_PX, SIZE_PX, 3), np.uint8)
    for k in range(count):
        maker = PATTERNS[int(rng.integers(0, len(PATTERNS)))]
        pattern = (
            _noise(rng, int(rng.integers(1, 7)), float(rng.uniform(1, 6))) if maker is _noise else maker(rng)
        )
        tile = _with_colour(rng, pattern)
        if rng.random() < 0.5:
            tile = tile + (_grain(rng)[..., None] - 0.5) * rng.uniform(0, 50)
        if rng.random() < 0.4:
            tile = cv2.GaussianBlur(tile, (0, 0), float(rng.uniform(0.4, 3)))
        bank[k] = np.clip(tile, 0, 255).astype(np.uint8)
    return bank
