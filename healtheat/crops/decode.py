"""Bytes of a stranger's file → one upright RGB image, or the reason why not."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from healtheat.core.errors import ImageError
from healtheat.crops.scans import MAX_SCANS, too_many_scans

# Real raster formats only. Pillow also knows formats that start other programs (EPS) or are documents (PDF).
# MPO (two images in one, as some phones save) opens through JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# Width × height. Below Pillow's own warning limit (89 million), above every image of a phone as stored;
# an RGB image of this size takes 320 MB.
MAX_IMAGE_PX = 80_000_000

_STRICT = threading.Lock()

# EXIF orientation (CIPA DC-008, tag 0x0112) → what turns the stored pixels upright
_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Where Pillow also looks for an orientation. The trainer does not (nor do browsers, in which people label).
_NO_ORIENTATION = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")

# Starts of files that are often found under an image's name, so that the reason can say what it is.
_OTHER_CONTENT = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"PK\x03\x04", "a zip archive"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"{", "JSON or text"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)


# Bound here, since Ultralytics replaces `Image.open` by one that asks for packages on bytes it does not know.
_open = Image.open


def open_image(data: bytes, name: str = "", *, max_px: int = MAX_IMAGE_PX) -> Image.Image:
    """The image in `data`: RGB, 8 bits, EXIF orientation applied, first frame of an animation.

    The format is told by the content; a wrong extension in `name` does no harm. Alpha is laid over white;
    16-bit grey keeps its upper 8 bits; colour profiles are not applied. Raises ImageError, whose message is
    the reason in one line, for anything else: empty, truncated, no image, a format outside FORMATS, or more
    than `max_px` pixels (checked on the header, before anything is decoded).
    """
    with _decoded(data, name, max_px) as image:
        turn = UPRIGHT.get(_orientation(image))
        rgb = _rgb(image)
        return rgb if turn is None else rgb.transpose(turn)


def open_stored(
    data: bytes, name: str = "", *, max_px: int = MAX_IMAGE_PX
) -> tuple[ImageFile.ImageFile, Image.Transpose | None]:
    """The image in `data` as it is stored, decoded, in its own mode; and what would turn it upright.

    Of an animation the first frame. Raises ImageError as `open_image`.
    """
    with _decoded(data, name, max_px) as image:
        return image, UPRIGHT.get(_orientation(image))


@contextmanager
def _decoded(data: bytes, name: str, max_px: int) -> Iterator[ImageFile.ImageFile]:
    """The decoded image; whatever goes wrong here or with it becomes an ImageError."""
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    try:
        # Pillow's plugins raise nearly anything on hostile bytes (struct.error, KeyError, SyntaxError …),
        # hence the broad catch: whatever it is, the image cannot be read and the rest goes on.
        with _open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, max_px)
            for key in _NO_ORIENTATION:  # before a TIFF turns itself
                image.info.pop(key, None)
            if image.format in ("JPEG", "MPO") and too_many_scans(data):
                raise ImageError(f"a JPEG of more than {MAX_SCANS} scans: refused as a decompression bomb")
            _load_whole(image)
            _check_size(image, max_px)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(_unidentified(data, name)) from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {max_px:,} pixels: refused as a decompression bomb") from None
    except MemoryError:
        raise ImageError("not enough memory to decode it") from None
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise ImageError(f"cannot be decoded: {text or type(error).__name__}") from None


def _check_size(image: Image.Image, max_px: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"the image has no pixels ({width}×{height})")
    if width * height > max_px:
        raise ImageError(f"{width}×{height} pixels are more than the limit of {max_px:,}")


def _load_whole(image: ImageFile.ImageFile) -> None:
    """Decode; a truncated image raises even where another library has switched that check of Pillow's off."""
    if not ImageFile.LOAD_TRUNCATED_IMAGES:
        image.load()
        return
    with _STRICT:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            image.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = True


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB. 32-bit integers and floats have no known range, so they are refused rather than guessed."""
    mode = image.mode
    if mode == "RGB":
        return image.copy() if isinstance(image, ImageFile.ImageFile) else image
    if mode in ("I", "F"):
        raise ImageError(f"32-bit pixels (mode {mode}) have no known range; save it with 8 or 16 bits")
    if mode.startswith("I;16"):
        grey = np.asarray(image.convert("I")).clip(0, 65535)
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def stored_orientation(data: bytes) -> int:
    """EXIF orientation of the image in `data`, 1 for none. Raises what Pillow does where it is no image."""
    with _open(io.BytesIO(data), formats=FORMATS) as image:
        return _orientation(image)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none. Damaged EXIF does not make the pixels unreadable.

    A decoded TIFF has none left: it turned itself.
    """
    try:
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            tags = Image.Exif()
            tags.load(image.info.get("exif") or b"")
        return int(tags.get(_ORIENTATION, 1))
    except Exception:
        return 1


def _unidentified(data: bytes, name: str) -> str:
    start = data[:64].lstrip()
    for magic, what in _OTHER_CONTENT:
        if start.startswith(magic):
            return f"not an image: the content is {what}"
    if not any(data[:65536]):
        return "not an image: the file holds only zero bytes"
    known = ", ".join(FORMATS)
    return f"not an image, or damaged at its start (readable: {known})"
