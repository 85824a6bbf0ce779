"""Every kind of image file that breaks a naive reader, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

WIDTH, HEIGHT = 48, 32


def picture(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """Four quarters: red, green, blue, white."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (200, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 200, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 200)
    pixels[height // 2 :, width // 2 :] = (250, 250, 250)
    return Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def noise(size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    random = np.random.default_rng(0)
    return Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def with_orientation(orientation: int, fmt: str = "JPEG") -> bytes:
    """The picture stored turned, with the EXIF tag that turns it back."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = picture() if undo is None else picture().transpose(undo)
    options = {"quality": 95, "subsampling": 0} if fmt == "JPEG" else {}
    return saved(image, fmt, exif=exif.tobytes(), **options)


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/>
</rdf:RDF></x:xmpmeta>"""


def with_other_orientation(orientation: int, where: str) -> bytes:
    """The picture stored upright, with an orientation outside EXIF: in XMP, or in a text of a PNG."""
    xmp = XMP.format(orientation)
    texts = PngInfo()
    if where == "PNG":
        texts.add_itxt("XML:com.adobe.xmp", xmp)
        return saved(picture(), "PNG", pnginfo=texts)
    if where == "PNG profile":
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = exif.tobytes()
        texts.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}\n", zip=True)
        return saved(picture(), "PNG", pnginfo=texts)
    options: dict[str, Any] = {
        "JPEG": {"quality": 95, "subsampling": 0, "xmp": xmp.encode()},
        "WEBP": {"lossless": True, "xmp": xmp.encode()},
        "TIFF": {"tiffinfo": {700: xmp.encode()}},
    }[where]
    return saved(picture(), where, **options)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge: the classic decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def gif_with_big_frame(width: int, height: int) -> bytes:
    """A GIF whose screen is small but whose first frame claims to be huge."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff"
        + b","
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x4c\x01\x00;"
    )


def animated(fmt: str) -> bytes:
    """First frame: the picture; then a black one."""
    black = Image.new("RGB", (WIDTH, HEIGHT))
    options = {"lossless": True} if fmt == "WEBP" else {}
    return saved(picture(), fmt, save_all=True, append_images=[black], duration=100, **options)


def jpeg_of_scans(scans: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A progressive JPEG whose last scan comes again until there are `scans` of them."""
    data = saved(Image.new("L", size), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans - data.count(b"\xff\xda")) + data[-2:]
