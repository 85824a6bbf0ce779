"""Draw one pill: relief, light, print and powder, at any rotation, seen from above or at a slant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.drawing.products import Product
from healtheat.drawing.shapes import inside_px, marks, relief_px
from healtheat.drawing.textures import grain

Array = NDArray[Any]
SUPERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class Light:
    """One image's light: a key and a fill direction (unit, x right, y down, z up) and their strengths."""

    key: tuple[float, float, float]
    fill: tuple[float, float, float]
    key_strength: float
    fill_strength: float
    ambient: float


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn pill. `rgb` (h, w, 3) is linear light times `alpha` (h, w); the origin is the middle."""

    rgb: Array
    alpha: Array
    height_px: float  # of the pill above the table, for its shadow


def linear(colour: str) -> Array:
    """(3,) linear light of an sRGB "#rrggbb" (IEC 61966-2-1)."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _lay(mask: Image.Image, size: tuple[int, int], cos: float, sin: float, squash: float) -> Array:
    """A mask in pill coordinates, turned into the picture: (h, w) 0..1."""
    w, h = size
    mw, mh = mask.size
    ax, ay = cos, sin / squash
    bx, by = -sin, cos / squash
    data = (
        ax, ay, (mw - 1) / 2 - ax * w / 2 - ay * h / 2,
        bx, by, (mh - 1) / 2 - bx * w / 2 - by * h / 2,
    )  # fmt: skip
    turned = mask.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / 255


def _halve(image: Array) -> Array:
    """Mean over SUPERSAMPLING x SUPERSAMPLING pixels."""
    s = SUPERSAMPLING
    total = sum(image[i::s, j::s] for i in range(s) for j in range(s))
    return np.asarray(total / np.float32(s * s), np.float32)


def _lit(height: Array, light: Light, gloss: float, view: tuple[float, float]) -> tuple[Array, Array]:
    """Diffuse and specular light (h, w) of a relief: Lambert, Blinn-Phong and a soft-box reflection."""
    gy, gx = np.gradient(height)
    nz = 1 / np.sqrt(gx * gx + gy * gy + 1)
    nx, ny = -gx * nz, -gy * nz
    diffuse = light.ambient * (0.55 + 0.45 * nz)
    spec = np.zeros_like(nz)
    for (lx, ly, lz), strength in ((light.key, light.key_strength), (light.fill, light.fill_strength)):
        diffuse += strength * np.maximum(nx * lx + ny * ly + nz * lz, 0)
        half = np.array([lx, ly + view[0], lz + view[1]], np.float32)
        half /= np.linalg.norm(half)
        glance = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1)
        wide = glance**14 * 0.10
        box = np.clip((glance - 0.955) / 0.035, 0, 1)
        spec += strength * gloss * (wide + 0.75 * gloss * box * box * (3 - 2 * box))
    # A film coat reflects more at a glancing angle (Schlick's approximation).
    spec += 0.25 * gloss * light.ambient * (1 - nz) ** 4
    return diffuse.astype(np.float32), spec.astype(np.float32)


def draw_pill(
    product: Product,
    back: bool,
    angle: float,
    px_per_mm: float,
    light: Light,
    elevation: float,
    rng: np.random.Generator,
) -> Sprite:
    """One side of a product, turned by `angle` (radians), the camera `elevation` radians above the table.

    The sprite has even sides and its origin in the middle; linear light, premultiplied by coverage.
    """
    s = SUPERSAMPLING
    a, b = product.length_mm * px_per_mm * s / 2, product.width_mm * px_per_mm * s / 2
    squash = float(np.sin(elevation))
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    flat = product.shape not in ("capsule", "softgel")
    wall = float(np.cos(elevation)) * b * 0.5 * (1 - 0.55 * product.dome) if flat else 0.0
    corner = 1.25 if product.shape in ("triangle", "hexagon") else 1.0
    along, across = abs(cos) * a + abs(sin) * b, abs(sin) * a + abs(cos) * b
    if product.shape in ("oblong", "capsule"):  # the box of a rounded bar
        along, across = abs(cos) * (a - b) + b, abs(sin) * (a - b) + b
    half_w = int(np.ceil((along * corner + 6) / s)) * s
    half_h = int(np.ceil((across * corner * squash + wall + 6) / s)) * s
    y, x = np.mgrid[-half_h:half_h, -half_w:half_w].astype(np.float32) + np.float32(0.5)

    def pill_space(shift: float) -> tuple[Array, Array]:
        ys = (y - np.float32(shift)) / np.float32(squash)
        return np.float32(cos) * x + np.float32(sin) * ys, np.float32(-sin) * x + np.float32(cos) * ys

    u, v = pill_space(-wall / 2)
    d = inside_px(product.shape, u, v, a, b)
    height = relief_px(product.shape, d, b, product.dome)
    base: Array = np.broadcast_to(linear(product.colour), (*d.shape, 3))
    if product.colour2:  # the cap is a little wider than the body it is pushed over
        joint = 0.08 * a
        body = inside_px(product.shape, u, v, a, 0.955 * b)
        on_cap = u > joint
        d = np.where(on_cap, d, body)
        height = np.where(on_cap, height, relief_px(product.shape, body, 0.955 * b, product.dome))
        tint = np.clip((u - joint) / 2 + 0.5, 0, 1)[..., None]
        base = linear(product.colour) * (1 - tint) + linear(product.colour2) * tint
        base = base * (1 - 0.25 * np.exp(-(((u - joint + 2) / 2.5) ** 2)))[..., None]
    mark = product.back if back else product.front
    size = (2 * half_w, 2 * half_h)
    text = line = None
    if mark:
        shifted = wall / 2  # marks lie on the top face, which is drawn `wall / 2` higher
        text_mask, line_mask = marks(product.shape, mark, round(a, 1), round(b, 1), bool(product.ink))
        rows = round(shifted)
        text = np.roll(_lay(text_mask, size, cos, sin, squash), -rows, axis=0)
        line = np.roll(_lay(line_mask, size, cos, sin, squash), -rows, axis=0)
        depth = np.float32(0.055 * b)
        height = height - line * depth * 1.5
        if not product.ink:
            height = height - text * depth
    powder = grain(rng, d.shape)
    height = height + powder * np.float32(0.22 * s * product.speckle * (1 - 0.6 * product.gloss))
    diffuse: Array
    diffuse, spec = _lit(height, light, product.gloss, (float(np.cos(elevation)), squash))
    albedo: Array = base * (1 + powder * np.float32(0.05 * product.speckle))[..., None]
    if text is not None and line is not None:
        groove = line if product.ink else np.maximum(text, line)
        diffuse = diffuse * (1 - 0.22 * groove)
        if product.ink:
            cover = (text * 0.92)[..., None]
            albedo = albedo * (1 - cover) + linear(product.ink) * cover
    if product.shape == "softgel":  # light passes through and gathers on the far side
        far = np.clip(-(u * cos - v * sin) * light.key[0] - (u * sin + v * cos) * light.key[1], -b, b) / b
        diffuse = np.asarray(diffuse * (1 + 0.45 * far), np.float32)
    alpha = np.clip(d + 0.5, 0, 1)
    rgb = albedo * diffuse[..., None] + spec[..., None]
    if wall > 1:
        sunk = [inside_px(product.shape, *pill_space(k * wall), a, b) for k in (-0.17, 0.17, 0.5)]
        rgb, alpha = _with_wall(rgb, alpha, sunk, linear(product.colour), light, powder)
    height_px = (b * 0.9 if flat else 2 * b) / s
    return Sprite(_halve(rgb * alpha[..., None]), _halve(alpha), float(height_px))


def _with_wall(
    rgb: Array, alpha: Array, steps: Sequence[Array], colour: Array, light: Light, powder: Array
) -> tuple[Array, Array]:
    """Add the side of a flat tablet that a slanted camera sees below its top face.

    `steps` are inside distances of the outline sunk by and by to the table.
    """
    whole = np.clip(np.maximum.reduce(steps) + 0.5, 0, 1)
    facing = light.ambient * 0.7 + light.key_strength * max(light.key[1], 0) * 0.8 + 0.12
    side = colour * np.float32(facing) * (1 + 0.05 * powder)[..., None]
    out = rgb * alpha[..., None] + side * (1 - alpha)[..., None]
    return out, np.maximum(alpha, whole)
