"""Outlines: what an index can hold, and rows of them."""

import re

import numpy as np
import pytest

from healtheat.core.boxes import Boxes
from healtheat.core.corners import MOST_POINTS, outlines, what_is_wrong

TRIANGLE = np.array([[0.1, 0.1], [0.3, 0.1], [0.2, 0.4]])


@pytest.mark.parametrize(
    ("outline", "reason"),
    [
        (TRIANGLE, ""),
        (np.tile(TRIANGLE[:1], (MOST_POINTS, 1)), ""),
        (TRIANGLE[:2], "2 points"),
        (np.tile(TRIANGLE[:1], (MOST_POINTS + 1, 1)), "1,001 points, more than the 1,000"),
        (TRIANGLE.astype(np.float32), "not float32"),
        (TRIANGLE.reshape(2, 3), r"not float64 \(2, 3\)"),
        (TRIANGLE * np.nan, "leaves its image"),
        (TRIANGLE * np.inf, "leaves its image"),
        (TRIANGLE - 1.2, "leaves its image"),
        (TRIANGLE + 1.8, "leaves its image"),
    ],
)
def test_what_an_index_can_hold(outline: np.ndarray, reason: str) -> None:
    found = what_is_wrong(outline)
    assert re.search(reason, found) if reason else found == ""


def test_outlines_of_one_shape_stay_rows() -> None:
    rows = outlines([TRIANGLE, None, TRIANGLE + 0.1])
    assert rows.shape == (3,) and rows[1] is None and rows[2].shape == (3, 2)


def test_boxes_keep_them_through_slices_numbers_and_joins() -> None:
    places = [[0.5, 0.5, 0.2, 0.2]] * 3
    boxes = Boxes.of([0, 1, 2], [7, 7, 7], places, corners=[None, TRIANGLE, None])
    plain = Boxes.of([3], [7], places[:1])
    assert plain.corners.tolist() == [None]
    joined = Boxes.join([boxes.numbered(0, 0)[np.array([1, 2])], plain])
    assert [outline is None for outline in joined.corners] == [False, True, True]
    assert joined.corners[0].tolist() == TRIANGLE.tolist()
    with pytest.raises(ValueError, match=r"Boxes.corners: expected object \(1,\)"):
        Boxes.of([3], [7], places[:1], corners=[None, None])
