"""Errors made of trusted boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.overlap import iou
from healtheat.vetting import made

sides = st.floats(0.02, 0.4)


def corners(box):
    return np.r_[box[:2] - box[2:] / 2, box[:2] + box[2:] / 2][None]


@given(st.floats(0.25, 0.75), st.floats(0.25, 0.75), sides, sides, st.integers(0, 2**32 - 1))
def test_a_moved_box_shows_a_part_of_its_object(x, y, w, h, seed):
    box = np.array([x, y, w, h])
    new = made.moved(box, np.random.default_rng(seed))
    if new is None:
        return
    assert (corners(new) >= 0).all() and (corners(new) <= 1).all()
    assert 0.05 <= iou(corners(box), corners(new))[0, 0] <= 0.6


def test_a_box_in_the_middle_can_be_moved():
    rng = np.random.default_rng(3)
    assert all(made.moved(np.array([0.5, 0.5, 0.1, 0.2]), rng) is not None for _ in range(50))


def test_a_box_that_fills_its_image_has_no_room():
    assert made.moved(np.array([0.5, 0.5, 1.0, 1.0]), np.random.default_rng(0)) is None


@pytest.mark.parametrize("c", [2, 5])
def test_other_classes_are_others(c):
    rng = np.random.default_rng(4)
    code = rng.integers(0, c, 500)
    log_p = np.log(rng.dirichlet(np.ones(c), 500))
    for other in (made.any_other(code, c, rng), made.most_like(log_p, code), made.drawn(log_p, code, rng)):
        assert (other != code).all() and other.min() >= 0 and other.max() < c
    changed = made.mislabelled(log_p, code, 0.2, rng) != code
    assert 0.1 < changed.mean() < 0.3


def test_the_draw_follows_the_probabilities():
    rng = np.random.default_rng(5)
    log_p = np.log(np.tile([0.5, 0.4, 0.1], (4000, 1)))
    found = made.drawn(log_p, np.zeros(4000, np.int64), rng)
    assert abs((found == 1).mean() - 0.8) < 0.03
