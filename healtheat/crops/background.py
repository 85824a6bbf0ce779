"""Tiles of an image where nothing is labelled: what 'no pill' looks like on these very images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_SIDE_PX = 8
TRIES_A_TILE = 64


def background_xywhn(
    xywhn: NDArray[Any], size: tuple[int, int], count: int, seed: int
) -> NDArray[np.float64]:
    """(m, 4) tiles, m <= `count`, each of the size of one of the image's boxes and touching none of them.

    `size` is (width, height) in pixels. The same arguments give the same tiles. Tiles may overlap one
    another. Fewer than `count` come back where there is no room, none for an image without boxes (it has no
    size to go by).
    """
    boxes = np.asarray(xywhn, np.float64).reshape(-1, 4)
    sides = boxes[:, 2:]
    fits = (sides < 1).all(1) & (sides * np.array(size) >= LEAST_SIDE_PX).all(1)
    if count < 1 or not fits.any():
        return np.empty((0, 4))
    random = np.random.default_rng(seed)
    tries = count * TRIES_A_TILE
    wh = sides[fits][random.integers(0, int(fits.sum()), tries)]
    centre = wh / 2 + random.random((tries, 2)) * (1 - wh)
    apart = np.abs(centre[:, None] - boxes[None, :, :2]) >= (wh[:, None] + boxes[None, :, 2:]) / 2
    free = apart.any(2).all(1)  # apart along x or along y, from every box
    tiles: NDArray[np.float64] = np.concatenate([centre, wh], axis=1)[free][:count]
    return tiles
