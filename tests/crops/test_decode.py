import io
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from healtheat.core.errors import ImageError
from healtheat.crops import MAX_IMAGE_PX, open_image, stored_orientation
from tests.crops.hostile_images import (
    HEIGHT,
    WIDTH,
    animated,
    gif_with_big_frame,
    noise,
    picture,
    png_claiming,
    saved,
    with_orientation,
    with_other_orientation,
)

RGB = np.asarray(picture()).astype(int)


def difference(image: Image.Image, expected: Any = RGB) -> float:
    """Largest mean difference of a quarter's middle, so that chroma bleeding at the seams does not count."""
    assert image.mode == "RGB" and image.size == (WIDTH, HEIGHT)
    found = np.asarray(image).astype(int)
    middles = [(slice(4, 12), slice(4, 20)), (slice(4, 12), slice(28, 44))]
    middles += [(slice(20, 28), slice(4, 20)), (slice(20, 28), slice(28, 44))]
    return max(float(np.abs(found[m] - expected[m]).mean()) for m in middles)


@pytest.mark.parametrize(
    ("fmt", "options", "within"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("JPEG", {"quality": 95}, 4),
        ("JPEG", {"quality": 95, "progressive": True}, 4),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 12),
        ("GIF", {}, 4),
        ("MPO", {"quality": 95}, 4),
    ],
)
@pytest.mark.parametrize("name", ["right", "wrong.png", "wrong.jpg", "", "알약.webp"])
def test_formats_are_told_by_content(fmt: str, options: dict[str, Any], within: float, name: str) -> None:
    assert difference(open_image(saved(picture(), fmt, **options), name)) <= within


def test_modes() -> None:
    assert difference(open_image(saved(picture("P"), "PNG"))) <= 30  # web palette
    assert difference(open_image(saved(picture().quantize(16), "PNG"))) <= 4
    assert difference(open_image(saved(picture("CMYK"), "TIFF"))) <= 4
    assert difference(open_image(saved(picture("CMYK"), "JPEG", quality=95))) <= 6
    assert difference(open_image(saved(picture("YCbCr"), "TIFF"))) <= 4
    grey = np.repeat(np.asarray(picture("L")).astype(int)[..., None], 3, axis=2)
    assert difference(open_image(saved(picture("L"), "PNG")), grey) == 0
    assert difference(open_image(saved(picture("LA"), "PNG")), grey) == 0
    assert open_image(saved(picture("1"), "PNG")).mode == "RGB"


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_bits(fmt: str) -> None:
    grey = np.asarray(picture("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 256 + 77)
    found = np.asarray(open_image(saved(deep, fmt)))
    assert (found == grey[..., None]).all()


def test_16_bit_colour_png() -> None:
    """Written by hand: Pillow cannot save it."""
    import struct
    import zlib

    pixels = (RGB.astype(">u2") * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert difference(open_image(data)) == 0


def test_32_bit_pixels_are_refused_not_guessed() -> None:
    for mode in ("I", "F"):
        with pytest.raises(ImageError, match="32-bit pixels"):
            open_image(saved(picture("L").convert(mode), "TIFF"))


def test_alpha_is_laid_over_white() -> None:
    see_through = picture("RGBA")
    see_through.putalpha(Image.new("L", see_through.size, 0))
    for fmt in ("PNG", "WEBP"):
        assert (np.asarray(open_image(saved(see_through, fmt))) == 255).all()
    half = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 128))
    assert np.asarray(open_image(saved(half, "PNG"))).mean() == pytest.approx(127, abs=1)
    palette = picture().quantize(8)
    found = np.asarray(open_image(saved(palette, "PNG", transparency=int(np.asarray(palette)[0, 0]))))
    assert (found[4:12, 4:20] == 255).all() and not (found[4:12, 28:44] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation: int, fmt: str) -> None:
    within = {"JPEG": 4, "WEBP": 12}.get(fmt, 0)
    assert difference(open_image(with_orientation(orientation, fmt))) <= within


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_does_not_hide_the_pixels(exif: bytes) -> None:
    assert difference(open_image(saved(picture(), "JPEG", quality=95, exif=exif))) <= 4


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_senseless_orientation_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(open_image(saved(picture(), "PNG", exif=exif.tobytes()))) == 0


@pytest.mark.parametrize("where", ["JPEG", "PNG", "WEBP", "TIFF", "PNG profile"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_that_only_pillow_reads_turns_nothing(where: str, orientation: int) -> None:
    """Neither the trainer nor a browser heeds these, so boxes are those of the image as it is stored."""
    data = with_other_orientation(orientation, where)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.getexif()[0x0112] == orientation
    assert stored_orientation(data) == 1
    assert difference(open_image(data)) <= 4


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_of_a_header(fmt: str) -> None:
    assert [stored_orientation(with_orientation(n, fmt)) for n in range(1, 9)] == list(range(1, 9))


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(fmt: str) -> None:
    assert difference(open_image(animated(fmt))) <= 4


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated(fmt: str) -> None:
    whole = saved(noise((200, 150)), fmt)
    for share in (0.3, 0.7, 0.95):
        with pytest.raises(ImageError):
            open_image(whole[: int(len(whole) * share)])


def test_truncated_even_where_another_library_switched_the_check_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for fmt in ("JPEG", "PNG", "TIFF", "BMP", "GIF"):
        whole = saved(noise((200, 150)), fmt)
        with pytest.raises(ImageError):
            open_image(whole[: len(whole) // 2])
        assert open_image(whole).size == (200, 150)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(50_000, 50_000),
        png_claiming(10_000, 9_000),
        png_claiming(2**31 - 1, 2**31 - 1),
        gif_with_big_frame(65535, 65535),
        gif_with_big_frame(9000, 9001),
    ],
    ids=["png", "png just above", "png 31 bits", "gif", "gif just above"],
)
def test_bombs_are_refused_before_decoding(data: bytes) -> None:
    import tracemalloc

    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(ImageError, match=r"limit|bomb"):
            open_image(data)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_own_pixel_limit() -> None:
    data = saved(picture(), "PNG")
    assert open_image(data, max_px=WIDTH * HEIGHT).size == (WIDTH, HEIGHT)
    with pytest.raises(ImageError, match="48×32 pixels are more than the limit of 1,535"):
        open_image(data, max_px=WIDTH * HEIGHT - 1)
    assert MAX_IMAGE_PX >= 50_000_000  # what a phone stores


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 5000, "only zero bytes"),
        (b"%PDF-1.7\n...", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b'{"a": 1}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        (b"PK\x03\x04....", "zip"),
        (b"just text\n", "not an image"),
        (b"\xff\xd8\xff\xe0", "not an image|cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "not an image|cannot be decoded"),
    ],
)
def test_what_is_no_image(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        open_image(data, "photo.jpg")
    assert "\n" not in str(caught.value)


def test_formats_outside_the_list_are_refused() -> None:
    for fmt in ("ICO", "PPM", "TGA", "EPS", "PDF"):
        with pytest.raises(ImageError):
            open_image(saved(picture(), fmt))


def test_result_does_not_hang_on_the_bytes() -> None:
    image = open_image(saved(picture(), "PNG"))
    assert type(image) is Image.Image
    assert image.resize((3, 3)).size == (3, 3)


SEEDS = [saved(picture(), fmt) for fmt in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")] + [animated("GIF")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12))
def test_flipped_bytes_give_an_image_or_a_reason(data: bytes, flips: list[tuple[float, int]]) -> None:
    broken = bytearray(data)
    for where, value in flips:
        broken[min(int(where * len(broken)), len(broken) - 1)] = value
    try:
        image = open_image(bytes(broken))
    except ImageError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert image.mode == "RGB" and image.width * image.height <= MAX_IMAGE_PX


@given(st.binary(max_size=300))
def test_any_bytes_give_an_image_or_a_reason(data: bytes) -> None:
    try:
        assert open_image(data).mode == "RGB"
    except ImageError as error:
        assert str(error)


def test_same_bytes_same_pixels() -> None:
    data = saved(noise((301, 203)), "JPEG", quality=80)
    first, second = (np.asarray(open_image(io.BytesIO(data).getvalue())) for _ in range(2))
    assert (first == second).all()
