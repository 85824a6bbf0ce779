"""Greying out changes the pixels of the box and no other, in every format, mode and orientation."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from healtheat.core.errors import ImageError
from healtheat.crops import open_image
from healtheat.crops.mask import GREY, grey_out, grey_pixels
from tests.crops.hostile_images import HEIGHT, WIDTH, animated, noise, picture, saved, with_orientation

BOX = [[0.25, 0.25, 0.25, 0.25]]  # upright: columns 6 to 17, rows 4 to 11 of 48 × 32
INSIDE = (slice(4, 12), slice(6, 18))


def pixels(data: bytes) -> NDArray[np.int64]:
    return np.asarray(open_image(data)).astype(np.int64)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("fmt", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "CMYK", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", "RGB", {"quality": 60}),
        ("WEBP", "RGBA", {"lossless": True}),
    ],
)
def test_other_pixels_keep_their_values(fmt: str, mode: str, options: dict[str, Any]) -> None:
    data = saved(noise().convert(mode), fmt, **options)
    done = grey_out(data, BOX, [])
    before, after = pixels(data), pixels(done)
    assert opened(done).format == fmt and after.shape == before.shape
    assert np.abs(after[INSIDE] - GREY).max() <= 1  # grey has no exact value in CMYK
    before[INSIDE] = after[INSIDE]
    assert (after == before).all()


def test_sixteen_bits() -> None:
    data = saved(Image.fromarray(np.full((HEIGHT, WIDTH), 40_000, np.uint16)), "PNG")
    stored = np.asarray(opened(grey_out(data, BOX, [])))
    assert set(np.unique(stored)) == {114 * 257, 40_000} and (stored[INSIDE] == 114 * 257).all()


@pytest.mark.parametrize("fmt", ["JPEG", "MPO"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_stays_close(fmt: str, subsampling: int) -> None:
    data = saved(picture(), fmt, quality=70, subsampling=subsampling)
    done = grey_out(data, BOX, [])
    before, after = pixels(data), pixels(done)
    assert opened(done).format == "JPEG"
    assert np.abs(after[5:11, 7:17] - GREY).mean() <= 12  # red round it, a strong compression
    away = np.ones(before.shape[:2], bool)
    away[:16, :32] = False  # blocks that hold a changed pixel
    changed = np.abs(after - before)[away]
    same = subsampling == 0 and fmt == "JPEG"
    assert changed.max() == 0 if same else changed.mean() <= 4  # colours are stored for 2 × 2 pixels
    if fmt == "JPEG":
        assert opened(done).quantization == opened(data).quantization  # type: ignore[attr-defined]


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_on_the_upright_image(fmt: str, orientation: int) -> None:
    data = with_orientation(orientation, fmt)
    done = grey_out(data, BOX, [])
    before, after = pixels(data), pixels(done)
    lossless = fmt != "JPEG"
    assert np.abs(after[INSIDE] - GREY).max() <= (0 if lossless else 16)
    away = np.ones(before.shape[:2], bool)
    away[INSIDE if lossless else (slice(16), slice(24))] = False  # of a JPEG the blocks that the box touches
    assert (after == before)[away].all()
    if fmt != "TIFF":  # Pillow turns those when it loads them
        assert opened(done).getexif().get(0x0112) == orientation
        assert opened(done).size == opened(data).size


shares = st.floats(0, 1)
boxes = st.lists(st.tuples(shares, shares, shares, shares), max_size=3)


@given(boxes, boxes)
@settings(max_examples=60, deadline=None)
def test_boxes_that_stay_stay_visible(grey: list[Any], visible: list[Any]) -> None:
    expected = np.zeros((HEIGHT, WIDTH), bool)
    for given_boxes, value in ((grey, True), (visible, False)):
        for one in given_boxes:
            expected[grey_pixels((WIDTH, HEIGHT), [one], [])] = value
    assert (grey_pixels((WIDTH, HEIGHT), grey, visible) == expected).all()
    data = saved(noise(), "PNG")
    before, after = pixels(data), pixels(grey_out(data, grey, visible))
    assert (after[expected] == GREY).all() and (after[~expected] == before[~expected]).all()


def test_nothing_to_grey_changes_no_byte() -> None:
    data = saved(picture(), "JPEG", quality=50)
    assert grey_out(data, [], []) is data
    assert grey_out(data, BOX, [[0.5, 0.5, 1, 1]]) is data


def test_profile_and_first_frame() -> None:
    data = saved(picture(), "PNG", icc_profile=b"a profile")
    assert opened(grey_out(data, BOX, [])).info["icc_profile"] == b"a profile"
    done = grey_out(animated("WEBP"), BOX, [])
    assert (pixels(done)[INSIDE] == GREY).all() and getattr(opened(done), "n_frames", 1) == 1


def test_what_cannot_be_decoded() -> None:
    with pytest.raises(ImageError, match="truncated"):
        grey_out(saved(noise(), "PNG")[:200], BOX, [])
    with pytest.raises(ImageError, match="32-bit"):
        grey_out(saved(Image.new("F", (8, 8)), "TIFF"), BOX, [])
