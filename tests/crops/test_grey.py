"""Grey squares of boxes, and copies of them that are known to be copies."""

from __future__ import annotations

import numpy as np
from PIL import Image

from healtheat.crops.grey import GREY_PX, grey_copies, grey_crops


def image(seed: int = 0, size: tuple[int, int] = (320, 200)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(60, 200, (size[1] // 4, size[0] // 4, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_a_box_is_stretched_to_a_square_and_stays_inside_the_image() -> None:
    picture = Image.new("RGB", (100, 50), "black")
    picture.paste((200, 200, 200), (0, 0, 50, 50))
    left, right, beyond = grey_crops(
        picture, np.array([[0.25, 0.5, 0.4, 0.8], [0.8, 0.5, 0.2, 0.2], [0.0, 0.0, 0.5, 5.0]])
    )
    assert left.shape == (GREY_PX, GREY_PX) and left.min() == left.max() == 200
    assert right.max() == 0 and beyond.min() == 200
    assert grey_crops(picture, np.zeros((0, 4))).shape == (0, GREY_PX, GREY_PX)


def test_a_box_without_area_or_outside_is_a_pixel() -> None:
    found = grey_crops(image(), np.array([[2.0, 2.0, 0.1, 0.1], [0.5, 0.5, 0.0, 0.0], [-1.0, 0.5, 0.1, 0.1]]))
    assert found.shape == (3, GREY_PX, GREY_PX)


def test_copies_are_the_same_each_time_and_like_the_box_but_not_equal() -> None:
    boxes = np.array([[0.3, 0.4, 0.3, 0.5], [0.5, 0.5, 1.0, 1.0], [0.99, 0.99, 0.02, 0.02]])
    crops, copies = grey_crops(image(), boxes), grey_copies(image(), boxes, seed=3)
    assert np.array_equal(copies, grey_copies(image(), boxes, seed=3))
    assert not np.array_equal(copies, grey_copies(image(), boxes, seed=4))
    for crop, copy in zip(crops[:2], copies[:2], strict=True):
        assert np.corrcoef(crop.ravel(), copy.ravel())[0, 1] > 0.6
        assert not np.array_equal(crop, copy)
    assert grey_copies(image(), np.zeros((0, 4)), seed=0).shape == (0, GREY_PX, GREY_PX)
