"""Intersection over union against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.overlap import iou, iou_of_pairs, overlaps

CORNERS = st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=6)


def xyxy(corners):
    rows = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    return np.array(rows, np.float64).reshape(-1, 4)


@given(CORNERS, CORNERS)
def test_against_a_loop(first, second):
    a, b = xyxy(first), xyxy(second)
    found, inside = overlaps(a, b)
    assert found.shape == inside.shape == (len(a), len(b))
    assert np.array_equal(iou(a, b), found)
    n = min(len(a), len(b))
    assert np.allclose(iou_of_pairs(a[:n], b[:n]), np.diagonal(found)[:n])
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            w, h = min(p[2], q[2]) - max(p[0], q[0]), min(p[3], q[3]) - max(p[1], q[1])
            both = max(w, 0) * max(h, 0)
            areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (p, q)]
            union = sum(areas) - both
            assert found[i, j] == pytest.approx(both / union if union > 0 else 0)
            assert inside[i, j] == pytest.approx(both / min(areas) if min(areas) > 0 else 0)


def test_what_is_known():
    half = iou(np.array([[0.0, 0, 1, 1]]), np.array([[0.5, 0.0, 1.0, 1.0], [2, 2, 3, 3], [0, 0, 1, 1]]))
    assert half.tolist() == [[0.5, 0.0, 1.0]]
