"""Crops that a person can hardly see: a constant score would fail each of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from healtheat.core.issues import HINT_TOP
from healtheat.signals import Samples, Scores
from healtheat.signals.quality import Quality
from tests.signals.synthetic_samples import by_itself, clusters, reordered


def measured(samples: Samples) -> Scores:
    (scores,) = Quality().measure(samples, samples)
    return scores


def spoiled(**values: dict[int, float]) -> Samples:
    """Ordinary crops but for `values`: field → row → measure."""
    samples = clusters(per_class=40)
    measures = samples.measures.copy()
    for field, rows in values.items():
        for row, value in rows.items():
            measures[field][row] = value
    return replace(samples, measures=measures)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sharpness", 5, "sharpness is"),
        ("contrast", 4, "contrast is"),
        ("brightness", 0.02, "brightness is"),
        ("brightness", 0.99, "brightness is"),
    ],
)
def test_a_blurred_flat_dark_or_glaring_crop_ranks_first(field: str, value: float, words: str) -> None:
    bad = [3, 60, 99]
    scores = measured(spoiled(**{field: dict.fromkeys(bad, value)}))
    truth = np.isin(np.arange(160), bad)
    assert average_precision_score(truth, scores.score) == 1.0
    assert scores.score[bad].min() > 2 * np.delete(scores.score, bad).max()
    assert all(scores.reason[row].startswith(words) for row in bad)


def test_a_crop_sharper_than_usual_is_no_fault() -> None:
    usual = measured(spoiled()).score[3]
    assert measured(spoiled(sharpness={3: 5000.0})).score[3] <= usual * 1.1


def test_a_class_is_compared_with_itself() -> None:
    samples = clusters(per_class=40)
    measures = samples.measures.copy()
    measures["contrast"][samples.class_code == 2] /= 20  # plain white tablets: no fault of theirs
    scores = measured(replace(samples, measures=measures)).raw
    assert abs(np.median(scores[samples.class_code == 2]) - np.median(scores)) < 1


def test_crops_that_hardly_differ_are_not_many_deviations_off() -> None:
    """A scanner's crops are alike to a thousandth; one a tenth less sharp is no news."""
    samples = clusters(per_class=40)
    measures = samples.measures.copy()
    for field in ("sharpness", "contrast", "brightness"):
        measures[field] = 0.5 + 0.0001 * np.random.default_rng(0).standard_normal(len(samples))
    measures["sharpness"][3], measures["brightness"][4], measures["contrast"][5] = 0.45, 0.52, 0.1
    raw = measured(replace(samples, measures=measures)).raw
    assert raw[3] < 1 and raw[4] < 1 and raw[5] > 4


def test_the_worse_the_crop_the_higher_the_score_and_never_above_the_ceiling() -> None:
    values = [60.0, 40.0, 20.0, 5.0, 0.1]
    scores = [measured(spoiled(sharpness={3: value})).score[3] for value in values]
    assert scores == sorted(scores) and scores[-1] > scores[0]
    assert max(scores) <= HINT_TOP


def test_the_order_of_boxes_does_not_matter() -> None:
    samples = spoiled(sharpness={3: 5.0}, brightness={8: 0.01})
    order = np.random.default_rng(3).permutation(len(samples))
    turned = reordered(samples, order)
    np.testing.assert_allclose(measured(turned).score, measured(samples).score[order])


def test_crops_that_were_not_measured_say_nothing() -> None:
    samples = clusters()
    assert by_itself(Quality(), replace(samples, measures=np.zeros_like(samples.measures))) == []
    assert by_itself(Quality(), Samples.of([], np.zeros((0, 4)))) == []
