import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from healtheat.crops import CropPolicy, cut, pixel_boxes

SIZE = (61, 47)


def picture(size: tuple[int, int] = SIZE, seed: int = 1) -> Image.Image:
    """Smooth shapes and noise."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + random.integers(-9, 9, smooth.shape)).clip(0, 255).astype(np.uint8))


def slow_pixel_box(box: list[float], size: tuple[int, int], padding: float) -> tuple[int, int, int, int]:
    """Every pixel that the padded box covers by more than a thousandth, found by looking at each one."""
    sides = []
    for centre, side, length in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        low, high = (
            (centre - side / 2 - side * padding) * length,
            (centre + side / 2 + side * padding) * length,
        )
        covered = [p for p in range(length) if min(high, p + 1) - max(low, p) > 1e-3]
        if not covered:
            nearest = min(max(math.floor(low + 1e-3), 0), length - 1)
            covered = [nearest]
        sides.append((covered[0], covered[-1] + 1))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def slow_resize(pixels: NDArray[Any], low: int, high: int, out: int) -> NDArray[np.float64]:
    """Triangle filter along the first axis, widened by the scale where it shrinks; one output row after
    the other.
    """
    scale = (high - low) / out
    support = max(scale, 1.0)
    rows = []
    for index in range(out):
        centre = low + (index + 0.5) * scale
        weights = np.array([max(0.0, 1 - abs(p + 0.5 - centre) / support) for p in range(len(pixels))])
        rows.append(np.tensordot(weights / weights.sum(), pixels.astype(float), axes=(0, 0)))
    return np.stack(rows)


def slow_cut(image: Image.Image, box: list[float], policy: CropPolicy, resolution_px: int) -> NDArray[Any]:
    left, top, right, bottom = slow_pixel_box(box, image.size, policy.padding)
    longest = max(right - left, bottom - top)
    width = max(1, round((right - left) * resolution_px / longest))
    height = max(1, round((bottom - top) * resolution_px / longest))
    tall = slow_resize(np.asarray(image), top, bottom, height)
    both = slow_resize(tall.transpose(1, 0, 2), left, right, width).transpose(1, 0, 2)
    crop = np.zeros((resolution_px, resolution_px, 3))
    for y in range(resolution_px):
        for x in range(resolution_px):
            v, u = y - (resolution_px - height) // 2, x - (resolution_px - width) // 2
            inside = 0 <= v < height and 0 <= u < width
            crop[y, x] = both[v, u] if inside else policy.fill
    return crop


@pytest.mark.parametrize(
    "box",
    [
        [0.5, 0.5, 0.4, 0.6],
        [0.5, 0.5, 1.0, 1.0],  # the whole image
        [0.3, 0.5, 0.5, 0.1],  # long
        [0.7, 0.5, 0.05, 0.9],  # tall
        [0.02, 0.03, 0.2, 0.2],  # sticks out at the corner
        [0.5, 0.5, 0.001, 0.001],  # less than a pixel
        [1.0, 1.0, 0.001, 0.001],  # in the very corner
    ],
)
@pytest.mark.parametrize("padding", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("resolution_px", [16, 33])
def test_cut_equals_the_slow_obvious_way(box: list[float], padding: float, resolution_px: int) -> None:
    policy = CropPolicy(padding=padding, fill=(1, 2, 3))
    image = picture()
    (found,) = cut(image, [box], policy, resolution_px)
    expected = slow_cut(image, box, policy, resolution_px)
    # Pillow rounds to whole numbers after each of the two passes.
    assert np.abs(found - expected).max() <= 1.5
    assert np.abs(found - expected).mean() <= 0.5


SHARE = st.floats(-0.5, 1.5, allow_nan=False)
SIDE = st.one_of(st.floats(0, 2), st.floats(0, 1e-9), st.just(1e300))


@settings(deadline=None)
@given(
    st.lists(st.tuples(SHARE, SHARE, SIDE, SIDE), max_size=5),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.floats(0, 1),
    st.integers(1, 40),
)
def test_any_box_gives_a_crop(
    boxes: list[tuple[float, ...]], size: tuple[int, int], padding: float, resolution_px: int
) -> None:
    crops = cut(picture(size), np.array(boxes).reshape(-1, 4), CropPolicy(padding=padding), resolution_px)
    assert crops.shape == (len(boxes), resolution_px, resolution_px, 3) and crops.dtype == np.uint8


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from([0.0, 0.05, 0.1]),
)
def test_pixel_boxes_equal_the_slow_way(box: list[float], size: tuple[int, int], padding: float) -> None:
    (found,) = pixel_boxes([box], size, padding).tolist()
    left, top, right, bottom = found
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    expected = slow_pixel_box(box, size, padding)
    # Within a thousandth of a pixel of a border either pixel may be taken.
    edges = np.array([[box[i] + sign * box[i + 2] * (0.5 + padding) for i in (0, 1)] for sign in (-1, 1)])
    edges *= size
    if np.abs(edges - np.round(edges)).min() > 5e-3 and min(box[2] * size[0], box[3] * size[1]) > 0.01:
        assert tuple(found) == expected


def test_yolo_roundtrip_takes_exactly_the_pixels_labelled() -> None:
    """Whole-pixel boxes written as shares come back as the same pixels."""
    random = np.random.default_rng(2)
    for _ in range(300):
        width, height = (int(v) for v in random.integers(20, 5000, 2))
        left, top = int(random.integers(0, width - 9)), int(random.integers(0, height - 9))
        right, bottom = int(random.integers(left + 1, width + 1)), int(random.integers(top + 1, height + 1))
        box = [
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        ]
        for digits in (17, 8, 6):
            written = [float(f"{value:.{digits}g}") for value in box]
            found = pixel_boxes([written], (width, height)).tolist()[0]
            slack = 0 if digits > 6 else 1
            assert np.abs(np.array(found) - (left, top, right, bottom)).max() <= slack


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        cut(picture(), [[0.5, value, 0.1, 0.1]], CropPolicy(), 16)


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="RGB"):
        cut(picture().convert("L"), [[0.5, 0.5, 0.1, 0.1]], CropPolicy(), 16)


def test_long_pill_keeps_its_ends_and_its_shape() -> None:
    """A centre crop would lose the red and the blue end."""
    pixels = np.full((100, 300, 3), 90, np.uint8)
    pixels[40:60, 20:40] = (255, 0, 0)
    pixels[40:60, 40:260] = (0, 255, 0)
    pixels[40:60, 260:280] = (0, 0, 255)
    (crop,) = cut(Image.fromarray(pixels), [[0.5, 0.5, 260 / 300, 0.2]], CropPolicy(padding=0), 130)
    assert crop[65, 2].tolist() == [255, 0, 0] and crop[65, -3].tolist() == [0, 0, 255]
    rows = np.flatnonzero(crop[:, 65, 1] > 150)
    assert len(rows) == 10  # 20 of 260 pixels, scaled to 130
    assert crop[0, 0].tolist() == list(CropPolicy().fill)


def test_policy_is_strict_and_frozen() -> None:
    for wrong in ({"padding": -0.1}, {"padding": 2}, {"resample": "nearest"}, {"version": 2}, {"other": 1}):
        with pytest.raises(ValueError, match="validation error"):
            CropPolicy.model_validate(wrong)
    with pytest.raises(ValueError, match="frozen"):
        CropPolicy().padding = 0.3  # type: ignore[misc]
    assert CropPolicy.model_validate(CropPolicy(padding=0.2).model_dump(mode="json")) == CropPolicy(
        padding=0.2
    )
