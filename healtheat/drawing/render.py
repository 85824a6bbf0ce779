"""Take the image of one scene: ground, shadows, pills, light fall-off, lens, sensor, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFilter

from healtheat.drawing.draw import Light, Sprite, draw_pill, linear
from healtheat.drawing.plan import HEIGHT_PX, WIDTH_PX, Pill, Scene
from healtheat.drawing.textures import PALETTES, clouds, ground_crop, sensor_noise

Array = NDArray[Any]
JPEG_QUALITY = 92
# Linear light 0..4095 to sRGB 0..255 with a soft shoulder, as cameras render whites.
_STEPS = np.linspace(0, 1.6, 6554, dtype=np.float64)
_SHOULDER = np.where(_STEPS < 0.72, _STEPS, 0.72 + 0.28 * (1 - np.exp(-(_STEPS - 0.72) / 0.28)))
TONE = (
    255 * np.where(_SHOULDER < 0.0031308, 12.92 * _SHOULDER, 1.055 * _SHOULDER ** (1 / 2.4) - 0.055)
).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished image: encoded bytes, and the tight box of every pill, (n, 4) x0, y0, x1, y1 in pixels."""

    data: bytes
    boxes_xyxy_px: NDArray[np.int64]


def _light(scene: Scene, rng: np.random.Generator) -> Light:
    turn = scene.light_turn + float(rng.uniform(-0.15, 0.15))
    rise = float(rng.uniform(0.75, 1.1))
    key = (np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise))
    across = turn + np.pi + float(rng.uniform(-0.5, 0.5))
    fill = (np.cos(across) * 0.7, np.sin(across) * 0.7, 0.714)
    strength = float(rng.uniform(0.5, 0.66))
    return Light(
        (float(key[0]), float(key[1]), float(key[2])),
        (float(fill[0]), float(fill[1]), float(fill[2])),
        key_strength=strength,
        fill_strength=0.14,
        ambient=0.9 - strength,
    )


def _ground(scene: Scene, rng: np.random.Generator) -> Array:
    shape = (HEIGHT_PX, WIDTH_PX)
    where = ground_crop(scene.ground, rng, shape)
    dark, light = (linear(c) for c in PALETTES[scene.ground][scene.palette])
    ramp = dark + (light - dark) * np.linspace(0, 1, 1024, dtype=np.float32)[:, None]
    return np.asarray((0.95 * ramp).astype(np.float32)[(where * 1023).astype(np.uint16)])


def _illumination(rng: np.random.Generator) -> Array:
    """(h, w): brighter towards the lamp, darker in the corners (cos^4 law, mild)."""
    small = (65, 49)
    y, x = np.mgrid[-1 : 1 : small[0] * 1j, -1 : 1 : small[1] * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.03, 0.14)
    vignette = (1 + rng.uniform(0.08, 0.22) * (x * x + y * y)) ** -2
    field = vignette * (1 + slope * (np.cos(turn) * x + np.sin(turn) * y))
    field *= 1 + 0.02 * clouds(rng, (small[1], small[0]), (3, 3), 2)
    large = Image.fromarray((field / field.max()).astype(np.float32)).resize(
        (WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC
    )
    return np.asarray(large, np.float32)


def _blurred(mask: Array, margin: int, radius: float, scale: int) -> Array:
    """A mask with `margin` pixels around it, blurred; worked at 1/scale size since shadows are smooth."""
    h, w = mask.shape
    canvas = Image.new("L", (w + 2 * margin, h + 2 * margin))
    canvas.paste(Image.fromarray((mask * 255).astype(np.uint8)), (margin, margin))
    small = canvas.resize((canvas.width // scale, canvas.height // scale), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(radius / scale))
    return np.asarray(small.resize(canvas.size, Image.Resampling.BILINEAR), np.float32) / 255


def _darken(frame: Array, shade: Array, x: int, y: int, strength: float) -> None:
    """frame *= 1 - strength * shade, the shade's corner at (x, y), cut at the frame's edge."""
    h, w = shade.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, frame.shape[1]), min(y + h, frame.shape[0])
    if x0 < x1 and y0 < y1:
        part = shade[y0 - y : y1 - y, x0 - x : x1 - x]
        frame[y0:y1, x0:x1] *= (1 - strength * part)[..., None]


def _shadow(frame: Array, sprite: Sprite, x: int, y: int, light: Light) -> None:
    """The soft shadow away from the key light, and the dark seam where the pill touches the ground."""
    lx, ly, lz = light.key
    reach = sprite.height_px * 0.7 / lz
    soft = max(4.0, 0.22 * sprite.height_px)
    margin = int(3 * soft) + 4
    margin += -margin % 4
    shade = _blurred(sprite.alpha, margin, soft, 4)
    _darken(
        frame, shade, round(x - lx * reach) - margin, round(y - ly * reach) - margin, 1.0 * light.key_strength
    )
    seam = _blurred(sprite.alpha, 16, 4.5, 2)
    _darken(frame, seam, round(x - lx * 2) - 16, round(y - ly * 2) - 16, 0.5)


def _paste(frame: Array, sprite: Sprite, x: int, y: int) -> None:
    """Lay a sprite over the frame; its empty rim may stick out of it."""
    h, w = sprite.alpha.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, frame.shape[1]), min(y + h, frame.shape[0])
    inner = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    part = frame[y0:y1, x0:x1]
    part *= (1 - sprite.alpha[inner])[..., None]
    part += sprite.rgb[inner]


def _place(pill: Pill, sprite: Sprite) -> tuple[int, int]:
    h, w = sprite.alpha.shape
    return round(pill.x_px - w / 2), round(pill.y_px - h / 2)


def _tight_box(sprite: Sprite, x: int, y: int) -> tuple[int, int, int, int]:
    """Of the pixels that the pill covers at least half."""
    covered = sprite.alpha >= 0.5
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    return x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1


def _specks(frame: Array, rng: np.random.Generator) -> None:
    """A few grains of dust and powder."""
    for _ in range(int(rng.integers(0, 14))):
        x, y = int(rng.integers(2, WIDTH_PX - 4)), int(rng.integers(2, HEIGHT_PX - 4))
        size = int(rng.integers(1, 3))
        frame[y : y + size, x : x + size] *= np.float32(rng.choice([0.55, 0.7, 1.5]))


def _camera(frame: Array, rng: np.random.Generator) -> Image.Image:
    """Exposure, colour cast, tone curve, lens, sensor noise: an 8-bit image. Uses up the linear frame."""
    warmth, tint = rng.uniform(-0.07, 0.07), rng.uniform(-0.025, 0.025)
    gains = np.array([1 + warmth, 1 + tint, 1 - warmth], np.float32) * np.float32(rng.uniform(0.92, 1.12))
    frame *= gains * np.float32((len(TONE) - 1) / 1.6)
    steps = np.clip(frame, 0, len(TONE) - 1, out=frame).astype(np.uint16)
    # 8 bits before the lens: Pillow blurs only those, and the noise added after it hides the steps.
    image = Image.fromarray(TONE[steps])
    image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.4, 0.9))))
    strength = np.float32(rng.uniform(1.2, 3.2))
    noisy = np.asarray(image).astype(np.int16)
    noisy += np.rint(strength * sensor_noise(rng, noisy.shape)).astype(np.int16)[..., None]
    for channel in (0, 2):  # colour noise is coarser than brightness noise
        coarse = np.rint(0.5 * strength * sensor_noise(rng, (HEIGHT_PX // 2, WIDTH_PX // 2)))
        noisy[..., channel] += coarse.astype(np.int16).repeat(2, 0).repeat(2, 1)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _smear(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Take the focus from one pill: a strong blur that fades out around its box."""
    x0, y0, x1, y1 = box
    outer = (max(x0 - 30, 0), max(y0 - 30, 0), min(x1 + 30, WIDTH_PX), min(y1 + 30, HEIGHT_PX))
    piece = image.crop(outer)
    mask = Image.new("L", piece.size)
    mask.paste(255, (x0 - outer[0], y0 - outer[1], x1 - outer[0], y1 - outer[1]))
    blurred = piece.filter(ImageFilter.GaussianBlur(13))
    image.paste(blurred, outer[:2], mask.filter(ImageFilter.GaussianBlur(10)))


def take_image(scene: Scene) -> tuple[Image.Image, NDArray[np.int64]]:
    """The RGB image of a scene and the tight boxes (n, 4) xyxy in pixels, in the order of its pills."""
    rng = np.random.default_rng(scene.seed)
    light = _light(scene, rng)
    frame = _ground(scene, rng)
    elevation = float(np.radians(scene.elevation_deg))
    sprites = [
        draw_pill(p.product, p.back, p.angle, scene.px_per_mm, light, elevation, rng) for p in scene.pills
    ]
    places = [_place(p, s) for p, s in zip(scene.pills, sprites, strict=True)]
    _specks(frame, rng)
    for sprite, (x, y) in zip(sprites, places, strict=True):
        _shadow(frame, sprite, x, y, light)
    boxes = []
    for sprite, (x, y) in zip(sprites, places, strict=True):
        _paste(frame, sprite, x, y)
        boxes.append(_tight_box(sprite, x, y))
    frame *= _illumination(rng)[..., None]
    image = _camera(frame, rng)
    for pill, box in zip(scene.pills, boxes, strict=True):
        if pill.blurred:
            _smear(image, box)
    return image, np.array(boxes, np.int64).reshape(len(boxes), 4)


def encode(image: Image.Image, encoding: str = "jpeg") -> bytes:
    """The image as a file: "jpeg" (quality 92), "png", or "exif" (a JPEG stored lying, orientation 6)."""
    out = io.BytesIO()
    if encoding == "png":
        image.save(out, "PNG", compress_level=3)
    elif encoding == "exif":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=JPEG_QUALITY, exif=exif)
    else:
        image.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def recompress(data: bytes) -> bytes:
    """The same image saved once more at quality 80: other bytes, nearly the same pixels."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(out, "JPEG", quality=80)
    return out.getvalue()


def render(scene: Scene) -> Rendered:
    """Draw and encode one scene. A function of the scene alone, in any process."""
    image, boxes = take_image(scene)
    return Rendered(encode(image, scene.encoding), boxes)
