"""Measures become probabilities that mean what they say."""

from __future__ import annotations

import numpy as np

from healtheat.signals.evidence.calibrate import error_probability, smooth_probability


def test_probabilities_add_up_to_the_errors_there_are() -> None:
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(-4, 1, 1000), rng.normal(3, 1, 60)
    measure = np.r_[right, wrong]
    p = error_probability(measure, rng.normal(3.5, 1, 400), np.where(measure > 0, 0.95, 0.0))
    assert abs(p.sum() - 60) < 8
    assert p[1000:].min() > p[:1000].max() or (p[1000:] > 0.5).mean() > 0.95
    assert (np.diff(p[np.argsort(measure)]) >= 0).all()


def test_clean_data_stays_clean() -> None:
    rng = np.random.default_rng(1)
    measure = rng.normal(-4, 1, 500)
    p = error_probability(measure, rng.normal(4, 1, 100), np.where(measure > 0, 0.95, 0.0))
    assert p.max() < 0.2


def test_smoothing_keeps_the_order_and_the_sum() -> None:
    rng = np.random.default_rng(2)
    measure = rng.normal(0, 2, 300)
    p = np.clip(1 / (1 + np.exp(-2 * measure + 3)) + rng.normal(0, 0.05, 300), 0, 1)
    smooth = smooth_probability(measure, p)
    order = np.argsort(measure)
    assert (np.diff(smooth[order]) > 0).all()
    assert abs(smooth.sum() - p.sum()) < 3
    assert smooth_probability(np.zeros(0), np.zeros(0)).shape == (0,)


def test_values_that_differ_by_rounding_alone_get_a_number() -> None:
    """Isotonic regression joins such values, and knows no answer outside the joined ones by itself."""
    measure = np.array([0, 0.5, 1 - 1e-16, 1, 1 + 2e-16])
    smooth = smooth_probability(measure, np.arange(5) / 5)
    assert np.isfinite(smooth).all() and (np.diff(smooth) >= 0).all()
