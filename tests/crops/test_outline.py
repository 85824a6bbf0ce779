"""Crops along an outline: an oriented box turned upright, a polygon alone on a plain ground."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from healtheat.crops import CropPolicy, cut, cut_and_measure, measure, pixel_boxes, scaled_part
from healtheat.crops.outline import least_rectangle

ALONG = CropPolicy(cut="object", padding=0.0, fill=(1, 2, 3))
BOX = ALONG.model_copy(update={"cut": "box"})
SIZE = (240, 160)


def rectangle(cx: float, cy: float, w: float, h: float, degrees: float) -> NDArray[np.float64]:
    """(4, 2) corners in pixels."""
    turn = np.radians(degrees)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 @ axes + [cx, cy]


def around(points: NDArray[np.float64]) -> list[float]:
    """The upright box around points in pixels, as shares of an image of SIZE."""
    low, high = points.min(axis=0) / SIZE, points.max(axis=0) / SIZE
    return [*((low + high) / 2), *(high - low)]


def painted(degrees: float) -> tuple[Image.Image, NDArray[np.float64]]:
    """A smooth pattern on a plain ground, turned about the middle, and the corners of it."""
    height, width = SIZE[1], SIZE[0]
    y, x = np.mgrid[:height, :width] + 0.5
    turn = np.radians(degrees)
    u = (x - width / 2) * np.cos(turn) + (y - height / 2) * np.sin(turn)
    v = -(x - width / 2) * np.sin(turn) + (y - height / 2) * np.cos(turn)
    inside = (abs(u) <= 40) & (abs(v) <= 20)
    channels = [120 + 100 * u / 40, 120 + 100 * v / 20, 120 + 60 * np.sin(u / 8)]
    pixels = np.where(inside[..., None], np.stack(channels, axis=2), 0).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels), rectangle(width / 2, height / 2, 80, 40, degrees)


@pytest.mark.parametrize("degrees", [-80, -45, -20, 0, 7, 30, 45, 60, 90])
def test_an_oriented_box_looks_as_if_it_were_upright(degrees: int) -> None:
    (upright,) = cut(painted(0)[0], [around(painted(0)[1])], BOX, 64)
    image, corners = painted(degrees)
    for start in range(4):  # whichever corner is named first, and in both senses
        for order in (np.roll(corners, start, axis=0), np.roll(corners, start, axis=0)[::-1]):
            (found,) = cut(image, [around(corners)], ALONG, 64, [order / SIZE])
            far = abs(found.astype(int) - upright)[18:46, 2:-2]  # without the rim
            assert far.mean() < 4 and np.quantile(far, 0.99) < 16
    (plain,) = cut(image, [around(corners)], BOX, 64, [corners / SIZE])
    assert (abs(plain.astype(int) - upright).mean() > 8) == (degrees != 0)


def test_the_longer_side_lies_across() -> None:
    image, corners = painted(100)
    part = scaled_part(image, (0, 0, 240, 160), ALONG, 1000, corners / SIZE, enlarge=False)
    assert part.size == (80, 40)
    assert scaled_part(image, (0, 0, 240, 160), ALONG, 20, corners / SIZE).size == (20, 10)
    padded = ALONG.model_copy(update={"padding": 0.25})
    assert scaled_part(image, (0, 0, 240, 160), padded, 1000, corners / SIZE, enlarge=False).size == (120, 60)


def test_what_lies_outside_of_the_image_is_plain() -> None:
    image = Image.new("RGB", SIZE, "red")
    corners = rectangle(0, 80, 80, 40, 0) / SIZE
    (crop,) = cut(image, [around(corners * SIZE)], ALONG, 80, [corners])
    assert (crop[25:55, :38] == ALONG.fill).all() and (crop[25:55, 42:] == (255, 0, 0)).all()


@pytest.mark.parametrize("far", [-1.0, 2.0])
def test_an_outline_beside_the_image_leaves_the_box(far: float) -> None:
    image, corners = painted(0)
    boxes = [around(corners)] * 2
    away = [corners / SIZE * 1e-3 + far, corners[[0, 1, 2, 3, 0]] / SIZE * 1e-3 + far]
    assert (cut(image, boxes, ALONG, 32, away) == cut(image, boxes, BOX, 32)).all()


def test_a_polygon_shows_its_object_alone() -> None:
    image = Image.new("RGB", SIZE, "red")
    triangle = np.array([[40.0, 40.0], [120.0, 40.0], [40.0, 120.0]])
    (crop,) = cut(image, [around(triangle)], ALONG, 80, [triangle / SIZE])
    rows, columns = np.mgrid[:80, :80] + 0.5
    assert (crop[rows + columns < 79] == (255, 0, 0)).all()
    assert (crop[rows + columns > 82] == ALONG.fill).all()
    (wide,) = cut(image, [around(triangle)], ALONG.model_copy(update={"padding": 0.5}), 80, [triangle / SIZE])
    assert (wide[:19] == ALONG.fill).all() and (wide[22:38, 22:38] == (255, 0, 0)).all()


def test_without_corners_or_by_the_default_the_box_is_cut() -> None:
    image, corners = painted(30)
    boxes = [around(corners), [0.5, 0.5, 0.3, 0.3]]
    outlines = [corners / SIZE, None]
    plain = cut(image, boxes, BOX, 32)
    assert (cut(image, boxes, BOX, 32, outlines) == plain).all()
    assert (cut(image, boxes, ALONG, 32) == plain).all()
    assert (cut(image, boxes, ALONG, 32, outlines)[1] == plain[1]).all()


def test_measures_are_those_of_the_box() -> None:
    image, corners = painted(30)
    crops, measures = cut_and_measure(image, [around(corners)], ALONG, 32, [corners / SIZE])
    assert (measures == measure(cut(image, [around(corners)], BOX, 32), ALONG.fill)).all()
    assert (crops == cut(image, [around(corners)], ALONG, 32, [corners / SIZE])).all()


def test_the_default_is_written_as_it_always_was() -> None:
    assert "cut" not in CropPolicy().model_dump(mode="json")
    assert ALONG.model_dump(mode="json")["cut"] == "object"
    assert CropPolicy.model_validate(ALONG.model_dump(mode="json")) == ALONG


@given(st.lists(st.tuples(st.floats(-1, 2), st.floats(-1, 2)), min_size=4, max_size=4), st.integers(1, 40))
def test_any_four_points_give_a_crop(points: list[tuple[float, float]], resolution_px: int) -> None:
    image = Image.new("RGB", (30, 20), "red")
    (crop,) = cut(image, [[0.5, 0.5, 0.5, 0.5]], ALONG, resolution_px, [np.array(points)])
    assert crop.shape == (resolution_px, resolution_px, 3)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=3, max_size=6))
def test_no_rectangle_at_any_angle_is_smaller(points: list[tuple[float, float]]) -> None:
    given = np.array(points)
    centre, across, sides = least_rectangle(given)
    axes = np.array([across, [-across[1], across[0]]])
    placed = (given - centre) @ axes.T
    assert np.isclose(np.linalg.norm(across), 1) and across[0] > -1e-9
    assert sides[0] >= sides[1] * 0.999 and (abs(placed) <= sides / 2 + 1e-6).all()
    for degrees in range(0, 90, 3):
        turn = np.radians(degrees)
        other = given @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        assert sides.prod() <= np.ptp(other, axis=0).prod() * (1 + 1e-6) + 1e-6


def test_a_huge_box_is_averaged_before_it_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (3000, 2000), "red")
    seen = []
    whole = Image.Image.transform
    monkeypatch.setattr(
        Image.Image, "transform", lambda self, size, *a, **k: seen.append(size) or whole(self, size, *a, **k)
    )
    corners = np.array([[-1.0, 0.5], [0.5, -1.0], [2.0, 0.5], [0.5, 2.0]])
    box = pixel_boxes([[0.5, 0.5, 1, 1]], image.size)[0].tolist()
    assert max(scaled_part(image, box, ALONG, 32, corners).size) == 32
    assert max(seen[0]) < 4 * 32
