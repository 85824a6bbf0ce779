"""Boxes of an image file greyed out: the file's bytes in, bytes of a file of the same format out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.core.errors import ImageError
from healtheat.crops.cut import pixel_boxes
from healtheat.crops.decode import open_stored

# What trainers pad images with (Ultralytics, YOLOX): a detector knows it as "nothing to see here".
GREY = (114, 114, 114)

Boxes = NDArray[Any] | Sequence[Sequence[float]]

_Turn = Image.Transpose
_BACK = {_Turn.ROTATE_90: _Turn.ROTATE_270, _Turn.ROTATE_270: _Turn.ROTATE_90}  # the others undo themselves
_SWAPS_SIDES = (_Turn.ROTATE_90, _Turn.ROTATE_270, _Turn.TRANSPOSE, _Turn.TRANSVERSE)
_LOSSY_QUALITY = 95
_TIFF_LOSSLESS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")


def grey_pixels(size_px: tuple[int, int], grey: Boxes, visible: Boxes) -> NDArray[np.bool_]:
    """(height, width) which pixels of an upright image are greyed out: those in `grey` and not in `visible`.

    Boxes are (n, 4): centre x, y, width, height as shares of the image; part of a pixel counts as the pixel.
    """
    out = np.zeros((size_px[1], size_px[0]), np.bool_)
    for boxes, value in ((grey, True), (visible, False)):
        for left, top, right, bottom in pixel_boxes(boxes, size_px).tolist():
            out[top:bottom, left:right] = value
    return out


def grey_out(data: bytes, grey: Boxes, visible: Boxes, name: str = "") -> bytes:
    """The image file `data` with the boxes `grey` greyed out, except where they overlap `visible`.

    Boxes are as in `grey_pixels`, on the image turned upright by its EXIF orientation. The file keeps that
    orientation, its format, size, EXIF and colour profile. Every other pixel of a PNG, BMP, TIFF or WebP
    keeps its value. A JPEG is compressed again with its own tables (two images in one, as some phones save,
    with quality 95), so its other pixels keep their values up to rounding. Of several frames the first is
    written. Where no pixel is to change, `data` itself is returned. Raises ImageError where it cannot be
    decoded or saved.
    """
    image, turn = open_stored(data, name)
    size = image.size[::-1] if turn in _SWAPS_SIDES else image.size
    pixels = grey_pixels(size, grey, visible)
    if not pixels.any():
        return data
    mask = Image.fromarray(pixels.astype(np.uint8) * 255)
    if turn is not None:
        mask = mask.transpose(_BACK.get(turn, turn))
    shown = _paintable(image)
    shown.paste(_fill(shown.mode), (0, 0, *shown.size), mask)
    out = io.BytesIO()
    try:
        shown.save(out, **_options(image.format or "", image.info))
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"cannot be saved as {image.format}: {error}") from None
    return out.getvalue()


def _paintable(image: Image.Image) -> Image.Image:
    """The image in a mode that has the grey: a palette may lack it, one bit does."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _fill(mode: str) -> Any:
    """The grey in the values of a mode."""
    if mode.startswith("I;16"):
        return GREY[0] * 257
    if mode in ("I", "F"):
        raise ImageError(f"32-bit pixels (mode {mode}) have no known range")
    return Image.new("RGB", (1, 1), GREY).convert(mode).getpixel((0, 0))


def _options(form: str, info: dict[Any, Any]) -> dict[str, Any]:
    """How to save: format, compression, and what the file says beside its pixels."""
    options: dict[str, Any] = {"format": "JPEG" if form == "MPO" else form}
    options |= {key: info[key] for key in ("exif", "icc_profile", "dpi") if info.get(key)}
    if form == "JPEG":
        options["quality"] = "keep"
    elif form == "MPO":
        options["quality"] = _LOSSY_QUALITY
    elif form == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif form == "TIFF":
        given = info.get("compression")
        options["compression"] = given if given in _TIFF_LOSSLESS else "tiff_lzw"
    return options
