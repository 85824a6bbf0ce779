"""What a signal may ask of pixels, and are two pictures one: aligned, then compared where copies agree alone.

An embedding that ignores rotation and light finds look-alikes, not copies. Two photos of one thing agree
in outline and shading; only copies agree in the fine grain: noise, dust, the texture of the ground. So grey
values are aligned (Lucas, Kanade 1981, affine) and their finest band is correlated, after division by its
local strength, so that a blank tablet's noise counts as much as the edge of a printed one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Floats = NDArray[np.float64]
Greys = NDArray[np.uint8]

_FINE_PX, _COARSE_PX = 1.5, 6.0  # standard deviations of what is taken off: the fine band, and that to align
_NOISE = 2.0  # grey levels: flatter places say nothing
_RIM = 5  # pixels at the border that may have moved out
_FARTHEST_PX = 5  # first alignment; steps go on from there
_STEPS = 8
_TOO_FAR = 0.3  # of half a side: no longer a box drawn again


class Pixels(Protocol):
    """Where the grey values of boxes come from. `None` where an image cannot be read any more."""

    def crops(self, image_id: int, xywhn: Floats) -> Greys | None:
        """(m, s, s) the boxes (m, 4) of one image, stretched to squares."""
        ...

    def copies(self, image_id: int, xywhn: Floats) -> Greys | None:
        """(m, s, s) the same boxes on a copy of the image; see crops/grey.py."""
        ...

    def rgb(self, image_id: int) -> NDArray[np.uint8] | None:
        """(height, width, 3) the whole image, upright."""
        ...

    def sharpness(self, image_id: int, xywhn: Floats) -> Floats | None:
        """(m,) sharpness of boxes (m, 4), as `Samples.measures` has it."""
        ...

    def vectors(self, image_id: int, xywhn: Floats) -> NDArray[np.float32] | None:
        """(m, d) embeddings of boxes (m, 4), cut as those of the set; EncoderError without an encoder."""
        ...


def turned(grey: Floats) -> list[Floats]:
    """The eight rotations and reflections of a square, itself first."""
    flipped = grey[:, ::-1]
    return [np.rot90(one, k) for one in (grey, flipped) for k in range(4)]


def likeness(a: Greys, b: Greys, *, turns: bool = False) -> float:
    """Correlation in [-1, 1] of the finest band of two (s, s) pictures after alignment, about 1 for copies.

    With `turns` the best of the eight rotations and reflections of `b` is taken.
    """
    one, other = a.astype(np.float64), b.astype(np.float64)
    base = _band(one, _COARSE_PX)
    ways = [(other, _peak(base, _band(other, _COARSE_PX)))]
    if turns:
        ways = [(way, _peak(base, _band(way, _COARSE_PX))) for way in turned(other)]
    best, (_, shift) = max(ways, key=lambda way: way[1][0])
    move = _align(gaussian_filter(base, 1.2), gaussian_filter(_band(best, _COARSE_PX), 1.2), shift)
    moved = _moved(best, move)
    return _correlation(_band(one, _FINE_PX), _band(moved, _FINE_PX))


def _band(grey: Floats, coarse_px: float) -> Floats:
    """What is finer than `coarse_px`, in units of its own strength nearby."""
    fine = grey - gaussian_filter(grey, coarse_px)
    return np.asarray(fine / (np.sqrt(gaussian_filter(fine * fine, 6.0)) + _NOISE))


def _peak(a: Floats, b: Floats) -> tuple[float, tuple[float, float]]:
    """Height and place (x, y in pixels) of the highest circular correlation among small shifts."""
    middle = len(a) // 2
    product = np.fft.rfft2(a) * np.conj(np.fft.rfft2(b))
    near = slice(middle - _FARTHEST_PX, middle + _FARTHEST_PX + 1)
    found = np.fft.fftshift(np.fft.irfft2(product, a.shape))[near, near]
    y, x = np.unravel_index(int(found.argmax()), found.shape)
    return float(found.max()), (float(_FARTHEST_PX - x), float(_FARTHEST_PX - y))


def _grid(side: int) -> tuple[Floats, Floats]:
    line = (np.arange(side) - (side - 1) / 2) / (side / 2)
    x, y = np.meshgrid(line, line)
    return x, y


def _moved(grey: Floats, move: Floats) -> Floats:
    """`grey` read at x (1 + m2) + y m4 + m0, x m5 + y (1 + m3) + m1, in units of half a side."""
    side = len(grey)
    x, y = _grid(side)
    to_x, to_y = x * (1 + move[2]) + y * move[4] + move[0], x * move[5] + y * (1 + move[3]) + move[1]
    at = [to * side / 2 + (side - 1) / 2 for to in (to_y, to_x)]
    return np.asarray(map_coordinates(grey, at, order=1, mode="nearest"), np.float64)


def _align(a: Floats, b: Floats, shift_px: tuple[float, float]) -> Floats:
    """(6,) the affine move of `b` onto `a` that correlates best, by Gauss-Newton steps from a shift."""
    side = len(a)
    x, y = (_inside(values) for values in _grid(side))
    move = np.zeros(6)
    move[:2] = np.array(shift_px) / (side / 2)
    best, found = -2.0, move
    for _ in range(_STEPS):
        now = _moved(b, move)
        value = _correlation(a, now)
        if value > best:
            best, found = value, move
        slope_y, slope_x = (_inside(np.gradient(now, axis=axis)) * side / 2 for axis in (0, 1))
        design = np.stack([slope_x, slope_y, slope_x * x, slope_y * y, slope_x * y, slope_y * x], axis=1)
        ridge = 1e-5 * len(design) * np.eye(6)
        step = np.linalg.solve(design.T @ design + ridge, design.T @ (_inside(a) - _inside(now)))
        move = move + step
        if np.abs(move).max() > _TOO_FAR or np.abs(step).max() < 1e-3:
            break
    return found


def _inside(values: Floats) -> Floats:
    return values[_RIM:-_RIM, _RIM:-_RIM].ravel()


def _correlation(a: Floats, b: Floats) -> float:
    one, other = _inside(a), _inside(b)
    one, other = one - one.mean(), other - other.mean()
    return float((one @ other) / max(float(np.sqrt((one @ one) * (other @ other))), 1e-9))
