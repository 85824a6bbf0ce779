"""Boxes made loose on purpose, and what their fits say of the labelled ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from healtheat.core.overlap import iou_of_pairs
from healtheat.signals.regions.loose import LOOSE_FROM, LOOSE_TO, loosened, looseness

SHARES = st.floats(0.02, 0.9)


@given(st.lists(st.tuples(SHARES, SHARES, SHARES, SHARES), max_size=5), st.integers(0, 2**32 - 1))
def test_loosened_boxes_overlap_theirs_as_they_should_and_stay_inside(given_boxes, seed):
    boxes = np.array([(x, y, min(x + w, 1), min(y + h, 1)) for x, y, w, h in given_boxes]).reshape(-1, 4)
    loose = loosened(boxes, np.random.default_rng(seed))
    made = ~np.isnan(loose[:, 0])
    assert loose.shape == boxes.shape and not np.isnan(loose[made]).any()
    overlap = iou_of_pairs(loose[made], boxes[made])
    assert ((overlap >= LOOSE_FROM) & (overlap <= LOOSE_TO)).all()
    assert ((loose[made] >= 0) & (loose[made] <= 1)).all()
    assert made.mean() > 0.5 if len(boxes) else not len(made)


def fits(rng, good, loose):
    """Fits of well placed boxes, then of loose ones."""
    return expit(np.r_[rng.normal(1.6, 0.6, good), rng.normal(0.2, 0.6, loose)])


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_share_of_loose_boxes_is_read_off_and_they_are_the_likely_ones(share):
    rng = np.random.default_rng(3)
    n, wrong = 800, int(800 * share)
    fit = fits(rng, n - wrong, wrong)
    code, planted_code = rng.integers(0, 3, n), rng.integers(0, 3, 500)
    told = looseness(fit, code, fits(rng, 0, 500), planted_code)
    assert share / 2 < told.share < 2 * share
    flagged = told.chance >= 0.5
    assert flagged[n - wrong :].mean() > 0.25
    assert flagged[: n - wrong].sum() < 0.5 * flagged.sum()
    assert (told.usual > 0.7).all()


def test_where_no_box_fits_badly_none_is_loose():
    rng = np.random.default_rng(4)
    told = looseness(fits(rng, 600, 0), np.zeros(600, int), fits(rng, 0, 500), np.zeros(500, int))
    assert told.share < 0.03 and (told.chance < 0.5).all()


def test_objects_whose_ends_nothing_tells_make_no_box_loose():
    rng = np.random.default_rng(5)
    alike = fits(rng, 0, 1000)
    told = looseness(alike[:500], np.zeros(500, int), alike[500:], np.zeros(500, int))
    assert (told.chance <= 0.55).all()


def test_the_chance_never_falls_as_a_box_fits_worse_and_classes_differ_in_what_is_usual():
    rng = np.random.default_rng(6)
    tight, rough = expit(rng.normal(3, 0.5, 300)), expit(rng.normal(1.2, 0.5, 300))
    fit, code = (
        np.r_[tight, rough, fits(rng, 0, 60)],
        np.r_[np.zeros(300, int), np.ones(300, int), [0, 1] * 30],
    )
    told = looseness(fit, code, fits(rng, 0, 400), rng.integers(0, 2, 400))
    for one in (0, 1):
        mine = code == one
        assert (np.diff(told.chance[mine][np.argsort(-fit[mine])]) >= -1e-12).all()
    assert told.usual[code == 0][0] > told.usual[code == 1][0]
