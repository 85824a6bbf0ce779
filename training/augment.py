"""One hard view of a pill as a phone photo might show it: any angle, light and ground, cut as a box is cut.

The frame follows the turned pill, as a YOLO box would, so the letterbox bars and the framing of a view
are those the encoder meets later. Mirror images are never made: an imprint has a reading direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FILL = 127  # letterbox grey: zero after normalisation

Image = NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Pill:
    """A pill on its canvas: rgba (160, 160, 4) uint8 and outline points (k, 2) float32 in canvas pixels."""

    rgba: Image
    outline: Image


def outline_of(rgba: Image) -> Image:
    """Up to 40 hull points of the covered part, (k, 2) float32."""
    contours, _ = cv2.findContours(
        (rgba[..., 3] > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    points = np.concatenate([c.reshape(-1, 2) for c in contours])
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32)
    return hull[:: max(1, len(hull) // 40)]


def _shape_matrix(rng: Rng, strength: float) -> Image:
    """Turn by any angle, with a slight tilt of the camera (stretch and shear)."""
    a, t = rng.uniform(0, 2 * np.pi), rng.uniform(0, np.pi)
    squeeze = np.exp(rng.normal(0, 0.07 * strength))
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    axis = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return axis @ np.diag([squeeze, 1 / squeeze]) @ axis.T @ turn


def _frame(rng: Rng, low: Image, high: Image) -> tuple[Image, Image]:
    """The box drawn round the extent low..high: a bit loose or tight on each side, on average 6 % loose."""
    side = high - low
    slack = rng.normal(0.05, 0.06, (2, 2)) + (rng.exponential(0.08, (2, 2)) if rng.random() < 0.3 else 0)
    return low - side * slack[0], high + side * slack[1]


def _bad_frame(rng: Rng, low: Image, high: Image) -> tuple[Image, Image]:
    """A box that misses: beside the pill, far too wide, or a piece out of its middle."""
    side, middle = high - low, (low + high) / 2
    kind = rng.random()
    if kind < 0.6:
        a = rng.uniform(0, 2 * np.pi)
        way = np.array([np.cos(a), np.sin(a)])
        middle = middle + way / np.abs(way).max() * side * rng.uniform(0.45, 0.8)
        half = side * rng.uniform(0.4, 0.6)
    elif kind < 0.8:
        half = np.full(2, side.max()) * rng.uniform(1.3, 2.2)
        middle = middle + rng.uniform(-0.5, 0.5, 2) * half
    else:
        half = side * rng.uniform(0.15, 0.25)
        middle = middle + rng.uniform(-0.2, 0.2, 2) * side
    return middle - half, middle + half


def _ground(rng: Rng, grounds: Image, size: int) -> Image:
    tile = grounds[int(rng.integers(0, len(grounds)))]
    scale = size / (tile.shape[0] * rng.uniform(0.35, 1.0))
    a, half = rng.uniform(0, 2 * np.pi), tile.shape[0] / 2
    m = cv2.getRotationMatrix2D((half, half), float(np.degrees(a)), scale)
    m[:, 2] += size / 2 - half + rng.uniform(-10, 10, 2)
    return cv2.warpAffine(tile, m, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _shadow(rng: Rng, cover: Image) -> Image:
    shift = rng.normal(0, 5, 2)
    m = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    blurred = cv2.GaussianBlur(cv2.warpAffine(cover, m, cover.shape[::-1]), (0, 0), float(rng.uniform(2, 9)))
    return 1 - rng.uniform(0, 0.55) * blurred[..., None]


def _cover_part(rng: Rng, image: Image, grounds: Image) -> Image:
    """Hide up to about a quarter behind a straight or round thing."""
    size = image.shape[0]
    mask = np.zeros((size, size), np.float32)
    a, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.22, 0.45) * size
    way = np.array([np.cos(a), np.sin(a)])
    if rng.random() < 0.5:
        radius = rng.uniform(0.2, 1.0) * size
        centre = size / 2 + way * (reach + radius)
        cv2.circle(mask, centre.astype(int).tolist(), int(radius), 1.0, -1)
    else:
        yy, xx = np.mgrid[:size, :size] - size / 2
        mask[(xx * way[0] + yy * way[1]) > reach] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 2)))[..., None]
    return image * (1 - mask) + _ground(rng, grounds, size).astype(np.float32) * mask


def _light(rng: Rng, image: Image, strength: float) -> Image:
    """White balance, exposure, contrast, a light gradient; works on float32 0..255."""
    gains = np.exp(rng.normal(0, 0.045 * strength, 3) + rng.normal(0, 0.10 * strength))
    warm = rng.normal(0, 0.04 * strength)
    gains = gains * np.exp([warm, 0, -warm])
    size = image.shape[0]
    if rng.random() < 0.5:
        a, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3 * strength)
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        slope = 1 + depth * (np.cos(a) * ramp[None, :] + np.sin(a) * ramp[:, None])
        image = image * slope[..., None].astype(np.float32)
    table = np.arange(256, dtype=np.float32) / 255
    curve = 255 * table ** float(np.exp(rng.normal(0, 0.18 * strength)))
    contrast = float(np.exp(rng.normal(0, 0.12 * strength)))
    image = np.clip(image * gains.astype(np.float32), 0, 255).astype(np.uint8)
    table = np.clip((curve - 128) * contrast + 128, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table)
    if rng.random() < 0.3:  # cameras differ in saturation
        grey = image.mean(-1, keepdims=True)
        image = np.clip(grey + (image - grey) * rng.uniform(0.65, 1.35), 0, 255).astype(np.uint8)
    return image


def _lens(rng: Rng, image: Image, strength: float) -> Image:
    """Few pixels, blur, noise, JPEG; works on uint8."""
    size = image.shape[0]
    if rng.random() < 0.45 * strength:
        small = int(rng.uniform(30, 90))
        tiny = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(
            tiny, (size, size), interpolation=cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_LINEAR
        )
    draw = rng.random()
    if draw < 0.2 * strength:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.8)))
    elif draw < 0.3 * strength:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        a = rng.uniform(0, np.pi)
        half = np.array([np.cos(a), np.sin(a)]) * (length - 1) / 2
        c = (length - 1) / 2
        cv2.line(
            kernel, (c - half).round().astype(int).tolist(), (c + half).round().astype(int).tolist(), 1.0
        )
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    elif draw < 0.4 * strength:
        soft = cv2.GaussianBlur(image, (0, 0), 1.2)
        image = cv2.addWeighted(image, 2.0, soft, -1.0, 0)
    if rng.random() < 0.4 * strength:
        noise = rng.standard_normal((size, size, 3), np.float32) * np.float32(rng.uniform(2, 12))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25 * strength:
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return image


def view(
    pill: Pill, grounds: Image, size: int, rng: Rng, *, strength: float = 1.0, bad: bool = False
) -> Image:
    """One random view, (size, size, 3) uint8 RGB. `bad` frames only a piece of the pill, or too much."""
    shape = _shape_matrix(rng, strength)
    points = pill.outline @ shape.T
    low, high = (_bad_frame if bad else _frame)(rng, points.min(0), points.max(0))
    side = high - low
    scale = size / side.max()
    m = np.zeros((2, 3))
    m[:, :2] = shape * scale
    m[:, 2] = size / 2 - scale * (low + high) / 2
    warped = cv2.warpAffine(
        pill.rgba, m, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    image = warped[..., :3].astype(np.float32)
    if rng.random() < 0.6 * strength or bad:
        cover = warped[..., 3].astype(np.float32) / 255
        if rng.random() < 0.5:
            cover = cv2.erode(cover, np.ones((3, 3), np.uint8))
        ground = _ground(rng, grounds, size).astype(np.float32)
        if rng.random() < 0.6:
            ground = ground * _shadow(rng, cover)
        image = ground + (image - ground) * cover[..., None]
    if rng.random() < 0.12 * strength and not bad:
        image = _cover_part(rng, image, grounds)
    out = _lens(rng, _light(rng, image, strength), strength)
    if rng.random() < 0.65:  # bars as the letterbox makes them; otherwise a square cut with its surroundings
        pad = np.floor((size - side * scale) / 2).astype(int)
        if pad[0] > 0:
            out[:, : pad[0]] = FILL
            out[:, size - pad[0] :] = FILL
        if pad[1] > 0:
            out[: pad[1]] = FILL
            out[size - pad[1] :] = FILL
    return np.ascontiguousarray(out)


def empty_view(grounds: Image, size: int, rng: Rng) -> Image:
    """A tile without a pill, in any light, (size, size, 3) uint8 RGB."""
    image = _ground(rng, grounds, size).astype(np.float32)
    if rng.random() < 0.25:
        image = _cover_part(rng, image, grounds)
    out = _lens(rng, _light(rng, image, 1.2), 1.0)
    if rng.random() < 0.4:
        bar, across = int(rng.uniform(0, 0.3) * size), bool(rng.random() < 0.5)
        view_ = out if across else out.swapaxes(0, 1)
        view_[:bar] = FILL
        view_[size - bar :] = FILL
    return np.ascontiguousarray(out)
