"""Grounds that pills lie on, and the grain of powder and sensors: made once a process, then cropped."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
WIDTH_PX, HEIGHT_PX = 1216, 1536  # room to shift a 976 x 1280 crop
GROUNDS = ("mat", "paper", "wood", "cloth", "stone")
# Two sRGB ends for each ground and variant: darkest and lightest spot.
PALETTES: dict[str, tuple[tuple[str, str], ...]] = {
    "mat": (("#8b8f92", "#a7abad"), ("#6b7378", "#848c90"), ("#4f5a66", "#667380")),
    "paper": (("#d9d4c8", "#f1ede4"), ("#cfd3d6", "#eceff0"), ("#cdbb98", "#e2d3b4")),
    "wood": (("#7a5330", "#b98a58"), ("#a98258", "#d9b98c"), ("#4a3424", "#7c5a3e")),
    "cloth": (("#5c7186", "#8ea3b6"), ("#8d8577", "#bfb7a8"), ("#3d5a50", "#6d8d80")),
    "stone": (("#3c3d40", "#68696c"), ("#93908a", "#c9c5bd"), ("#565c5a", "#8c9490")),
}


def _stretch(small: Array, size: tuple[int, int]) -> Array:
    """A small random grid, drawn large and smooth; size is (width, height)."""
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), np.float32)


def clouds(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], octaves: int) -> Array:
    """Fractal value noise, mean 0, standard deviation 1; `cells` (x, y) of its coarsest octave."""
    w, h = size
    total = np.zeros((h, w), np.float32)
    for k in range(octaves):
        grid = (min(cells[1] << k, h), min(cells[0] << k, w))
        total += _stretch(rng.standard_normal(grid, np.float32), size) * np.float32(0.55**k)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def _mat(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    fine = rng.standard_normal((size[1], size[0]), np.float32)
    return 0.35 * clouds(rng, size, (3, 4), 3) + 0.5 * clouds(rng, size, (300, 380), 2) + 0.4 * fine


def _paper(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    w, h = size
    fibres = clouds(rng, size, (40, 400), 2) + clouds(rng, size, (400, 50), 2)
    return 0.5 * clouds(rng, size, (4, 5), 3) + 0.35 * fibres + 0.3 * rng.standard_normal((h, w), np.float32)


def _wood(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    x = np.linspace(0, 1, size[0], dtype=np.float32)[None, :]
    bend = clouds(rng, size, (2, 2), 3)
    rings = np.sin(2 * np.pi * (9 * x + 0.55 * bend)) + 0.5 * np.sin(2 * np.pi * (31 * x + 1.3 * bend))
    pores = clouds(rng, size, (420, 14), 1)
    return np.asarray(0.55 * rings + 0.55 * clouds(rng, size, (160, 4), 3) - 0.6 * np.maximum(pores - 1.2, 0))


def _cloth(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    w, h = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x = x + 2.2 * clouds(rng, size, (14, 18), 2)
    y = y + 2.2 * clouds(rng, size, (14, 18), 2)
    pitch = np.float32(2 * np.pi / 9)
    over = np.sin(x * pitch / 2) * np.sin(y * pitch / 2) > 0
    threads = np.where(over, np.abs(np.sin(x * pitch / 2)), np.abs(np.sin(y * pitch / 2)))
    slubs = np.where(over, clouds(rng, size, (160, 6), 1), clouds(rng, size, (6, 200), 1))
    return np.asarray(
        1.5 * threads + 0.35 * slubs + 0.35 * clouds(rng, size, (3, 3), 2)
        + 0.22 * rng.standard_normal((h, w), np.float32)
    )  # fmt: skip


def _stone(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    speck = np.maximum(clouds(rng, size, (330, 420), 1) - 1.3, 0)
    dark = np.maximum(clouds(rng, size, (250, 300), 1) - 1.5, 0)
    return np.asarray(0.8 * clouds(rng, size, (12, 15), 6) + 0.8 * speck - 0.7 * dark)


_MAKERS = {"mat": _mat, "paper": _paper, "wood": _wood, "cloth": _cloth, "stone": _stone}


@cache
def ground(kind: str) -> Array:
    """(HEIGHT_PX, WIDTH_PX) float32 in [0, 1]: where the ground is dark and where it is light."""
    rng = np.random.default_rng([7401, GROUNDS.index(kind)])
    raw = _MAKERS[kind](rng, (WIDTH_PX, HEIGHT_PX))
    low, high = np.percentile(raw[::4, ::4], [0.5, 99.5])
    scaled: Array = np.clip((raw - low) / (high - low), 0, 1).astype(np.float32)
    return scaled


@cache
def _noise() -> Array:
    return np.random.default_rng(7402).standard_normal((HEIGHT_PX, WIDTH_PX), np.float32)


@cache
def _powder() -> Array:
    size = (WIDTH_PX, HEIGHT_PX)
    rng = np.random.default_rng(7403)
    return 0.8 * clouds(rng, size, (500, 620), 1) + 0.5 * clouds(rng, size, (120, 150), 2)


def _crop(bank: Array, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    h, w = shape[:2]
    y = int(rng.integers(0, bank.shape[0] - h + 1))
    x = int(rng.integers(0, bank.shape[1] - w + 1))
    return bank[y : y + h, x : x + w]


def grain(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(h, w) lumpy noise of unit size, for pressed powder."""
    return _crop(_powder(), rng, shape)


def sensor_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(h, w) white noise, standard deviation 1."""
    return _crop(_noise(), rng, shape)


def ground_crop(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(h, w) in [0, 1]: a random piece of a ground, flipped at random."""
    piece = _crop(ground(kind), rng, shape)
    return piece[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
