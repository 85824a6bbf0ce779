"""Rules and robust statistics on boxes."""

from __future__ import annotations

import numpy as np
import pytest

from healtheat.signals import Samples
from healtheat.signals.evidence.robust import robust_z
from healtheat.signals.geometry import Geometry, image_scale
from tests.signals.synthetic_samples import by_itself, unit


def measured(*odd: tuple[float, float, float, float], n: int = 60) -> tuple[np.ndarray, list[str]]:
    """Scores and reasons of the odd boxes among n ordinary ones, two per image."""
    rng = np.random.default_rng(0)
    usual = np.column_stack([rng.uniform(0.3, 0.7, (n, 2)), rng.uniform(0.09, 0.11, (n, 2))])
    boxes = np.vstack([usual, odd])
    (answer,) = by_itself(
        Geometry(),
        Samples.of(
            [0] * len(boxes),
            unit(rng.random((len(boxes), 4))),
            xywhn=boxes,
            image_id=np.arange(len(boxes)) // 2,
        ),
    )
    assert answer.score[:n].max() < 0.3
    return answer.score[n:], answer.reason[n:].tolist()


@pytest.mark.parametrize(
    ("box", "least", "words"),
    [
        ((0.5, 0.5, 1.0, 1.0), 0.97, "covers 100% of the image"),
        ((0.5, 0.5, 0.95, 0.95), 0.9, "covers 90% of the image"),
        ((0.5, 0.5, 0.4, 0.01), 0.8, "a sliver: 400 × 10 px"),
        ((0.5, 0.5, 0.004, 0.005), 0.8, "a sliver"),
        ((1.0, 0.5, 0.1, 0.1), 0.7, "50% of it lies outside the image"),
        ((0.5, 0.5, 0.6, 0.6), 0.3, "robust deviations from its class"),
    ],
)
def test_rules(box: tuple[float, float, float, float], least: float, words: str) -> None:
    score, reason = measured(box)
    assert score[0] >= least
    assert words in reason[0]


def test_frequent_errors_are_still_found() -> None:
    rng = np.random.default_rng(0)
    boxes = np.column_stack([np.full((100, 2), 0.5), rng.uniform(0.1, 0.12, (100, 2))])
    boxes[:45] = 0.5, 0.5, 1, 1
    (answer,) = by_itself(Geometry(), Samples.of([0] * 100, unit(rng.random((100, 4))), xywhn=boxes))
    assert (answer.score[:45] > 0.9).all() and answer.score[45:].max() < 0.5


def test_a_set_of_whole_images_is_no_error() -> None:
    boxes = np.tile([0.5, 0.5, 1.0, 1.0], (50, 1))
    (answer,) = by_itself(Geometry(), Samples.of([0] * 50, np.eye(50), xywhn=boxes))
    assert answer.score.max() < 0.1


def test_close_ups_among_boxes_of_every_size_are_no_errors() -> None:
    """Where sizes run from small to nearly the image, the largest are no error; among small ones they are."""
    sides = np.r_[np.linspace(0.3, 0.93, 80), 0.95]
    various = np.column_stack([np.full((81, 2), 0.5), sides, sides])
    small = various.copy()
    small[:80, 2:] = np.linspace(0.1, 0.12, 80)[:, None]
    (among_various,), (among_small,) = (
        by_itself(Geometry(), Samples.of([0] * 81, np.eye(81), xywhn=boxes)) for boxes in (various, small)
    )
    assert among_various.score[-1] < 0.5 and among_small.score[-1] > 0.95


def test_slivers_are_no_errors_in_a_class_of_needles() -> None:
    rng = np.random.default_rng(0)
    needles = np.column_stack([np.full((60, 2), 0.5), rng.uniform(0.3, 0.5, 60), rng.uniform(0.03, 0.05, 60)])
    (answer,) = by_itself(Geometry(), Samples.of([0] * 60, np.eye(60), xywhn=needles))
    assert answer.raw.max() > 1 and answer.score.max() < 0.5


def test_an_image_from_nearer_explains_larger_boxes() -> None:
    rng = np.random.default_rng(0)
    side = 0.1 * np.exp(rng.normal(0, 0.03, 120))
    side[:4] *= 2.6  # all of image 0
    side[60] *= 2.6  # one of image 15
    boxes = np.column_stack([np.tile([0.2, 0.4, 0.6, 0.8], 30), np.full(120, 0.5), side, side])
    (answer,) = by_itself(
        Geometry(),
        Samples.of([0] * 120, unit(rng.random((120, 3))), xywhn=boxes, image_id=np.arange(120) // 4),
    )
    assert answer.raw[60] > 2 * answer.raw[:4].max()


def test_robust_z_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, code = rng.normal(0, 1, 50), rng.integers(0, 4, 50)
    values[3] = np.nan
    off = np.zeros(50)
    for i in range(50):
        own = [values[j] for j in range(50) if code[j] == code[i] and np.isfinite(values[j])]
        off[i] = abs(values[i] - np.median(own))
    pooled = np.nanmedian(off)
    for i, z in enumerate(robust_z(values, code)):
        own = np.array([values[j] for j in range(50) if code[j] == code[i] and np.isfinite(values[j])])
        spread = np.median(np.abs(own - np.median(own)))
        scale = 1.4826 * (len(own) * spread + 5 * pooled) / (len(own) + 5)
        assert z == pytest.approx(0 if i == 3 else off[i] / scale)


def test_image_scale_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    area, code, image = rng.normal(0, 1, 30), rng.integers(0, 3, 30), rng.integers(0, 12, 30)
    residual = np.array([area[i] - np.median(area[code == code[i]]) for i in range(30)])
    for i, found in enumerate(image_scale(area, code, image)):
        others = [residual[j] for j in range(30) if image[j] == image[i] and j != i]
        assert np.isnan(found) if not others else found == pytest.approx(np.median(others))


def test_size_is_odd_from_six_deviations_on() -> None:
    """At five robust deviations nearly nothing, at six the score of the limit; a third more says more."""
    rng = np.random.default_rng(1)
    log_side = rng.normal(0, 0.05, 400)
    boxes = np.column_stack([np.full((400, 2), 0.5), *(0.2 * np.exp(log_side / 2),) * 2])
    spread = 1.4826 * np.median(np.abs(log_side - np.median(log_side)))
    scores = []
    for deviations in (3.0, 5.0, 6.5, 9.0):
        side = 0.2 * np.exp((np.median(log_side) + deviations * spread) / 2)
        many = np.vstack([boxes, [0.5, 0.5, side, side]])
        (answer,) = by_itself(Geometry(), Samples.of([0] * 401, np.eye(401), xywhn=many))
        scores.append(float(answer.score[-1]))
    three, five, six, nine = scores
    assert three < 0.05 and five < 0.3 <= six < nine


@pytest.mark.parametrize(("share", "habit"), [(0.55, False), (0.65, True)])
def test_what_more_than_six_in_ten_boxes_do_is_a_habit(share: float, habit: bool) -> None:
    rng = np.random.default_rng(0)
    boxes = np.column_stack([np.full((200, 2), 0.5), rng.uniform(0.1, 0.12, (200, 2))])
    whole = int(200 * share)
    boxes[:whole] = 0.5, 0.5, 1, 1
    (answer,) = by_itself(Geometry(), Samples.of([0] * 200, unit(rng.random((200, 4))), xywhn=boxes))
    assert (answer.score[:whole].max() < 0.6) == habit and (answer.score[:whole].min() > 0.9) != habit
