"""Pictures for people: cut, made small and encoded in one place."""

import base64
import io

import pytest
from PIL import Image

from healtheat.view.pictures import Picture, small_jpeg, square_jpeg


def halves() -> Image.Image:
    """400 × 200 px: red on the left, blue on the right."""
    image = Image.new("RGB", (400, 200), (255, 0, 0))
    image.paste((0, 0, 255), (200, 0, 400, 200))
    return image


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_crop_shows_its_box_and_a_little_around() -> None:
    crop = opened(small_jpeg(halves(), 1000, xywhn=(0.75, 0.5, 0.4, 0.5), quality=90))
    assert crop.size == (400 - 200, 124), "12 % more on each side, but nothing from outside the image"
    red, _, blue = crop.getpixel((190, 60))  # type: ignore[misc]
    assert blue > 200 > 50 > red


@pytest.mark.parametrize(("longest", "size"), [(100, (100, 50)), (400, (400, 200)), (4000, (400, 200))])
def test_the_longer_side_is_bounded_and_nothing_is_enlarged(longest: int, size: tuple[int, int]) -> None:
    assert opened(small_jpeg(halves(), longest, quality=80)).size == size


def test_thumbnails_of_a_sheet_are_squares_of_one_size() -> None:
    for box in ((0.25, 0.5, 0.5, 1.0), (0.25, 0.5, 0.05, 0.5)):
        thumb = opened(square_jpeg(halves(), 96, xywhn=box, quality=90))
        assert thumb.size == (96, 96)
        red, _, blue = thumb.getpixel((48, 48))  # type: ignore[misc]
        assert red > 200 > 50 > blue


def test_a_picture_as_text_is_its_bytes() -> None:
    head, _, text = Picture(b"\x89PNG", "image/png").data_uri.partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(text) == b"\x89PNG"
