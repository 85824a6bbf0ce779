"""The places that a person can draw."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.core.verdicts import drawn_place, is_place

sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda s: s[1] - s[0] > 1e-5)


@given(x=sides, y=sides)
def test_a_place_is_what_a_label_line_holds(x: list[float], y: list[float]) -> None:
    given_ = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2, x[1] - x[0], y[1] - y[0]]
    place = drawn_place(given_)
    assert all(abs(a - b) <= 5.1e-7 for a, b in zip(place, given_, strict=True))
    assert place == drawn_place(place) == tuple(float(f"{value:.6f}") for value in place)
    assert is_place(place)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ((0.5, 0.5, 0.2), "four numbers"),
        ((0.5, 0.5, math.nan, 0.2), "four numbers"),
        ((0.5, 0.5, math.inf, 0.2), "four numbers"),
        ((0.5, 0.5, 0.0, 0.2), "no area"),
        ((0.5, 0.5, 0.2, -0.2), "no area"),
        ((0.5, 0.5, 4e-7, 0.2), "no area"),
        ((0.05, 0.5, 0.2, 0.2), "beyond"),
        ((0.5, 0.95, 0.2, 0.2), "beyond"),
    ],
)
def test_what_is_no_box_inside_of_its_image_is_refused(odd: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        drawn_place(odd)
