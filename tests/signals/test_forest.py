"""The isolation forest on planted oddities: a constant score would fail each of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from healtheat.signals import Samples, Scores
from healtheat.signals.forest import Forest, features
from tests.signals.synthetic_samples import by_itself, clusters, reordered, unit


def measured(samples: Samples, **settings: float) -> Scores:
    (scores,) = Forest(**settings).measure(samples, samples)  # type: ignore[arg-type]
    return scores


def with_oddities(rows: list[int], seed: int = 0) -> Samples:
    """Four classes of 40 boxes, some of which point where no class is."""
    samples = clusters(per_class=40, seed=seed)
    vectors = samples.vectors.copy()
    rng = np.random.default_rng(seed + 100)
    vectors[rows] = unit(np.eye(16)[10:14].sum(axis=0) * 2 + 0.2 * rng.standard_normal((len(rows), 16)))
    return replace(samples, vectors=vectors)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_unlike_its_class_ranks_high(seed: int) -> None:
    odd = [5, 44, 90, 131]
    truth = np.isin(np.arange(160), odd)
    scores = measured(with_oddities(odd, seed), components=8)
    assert average_precision_score(truth, scores.score) > 0.5  # by chance 0.025
    assert roc_auc_score(truth, scores.raw) > 0.95
    # With as many components as dimensions, noise takes part in every tree; still far from chance.
    whole = measured(with_oddities(odd, seed))
    assert roc_auc_score(truth, whole.score) > 0.75


def test_an_odd_shape_is_found_without_an_odd_crop() -> None:
    samples = clusters(per_class=40)
    xywhn = samples.boxes.xywhn.copy()
    xywhn[7, 2:] = (0.6, 0.02)
    scores = measured(replace(samples, boxes=replace(samples.boxes, xywhn=xywhn)), components=8)
    assert np.argmax(scores.score) == 7


def test_the_order_of_boxes_does_not_matter() -> None:
    samples = with_oddities([5, 44])
    order = np.random.default_rng(3).permutation(len(samples))
    turned = reordered(samples, order)
    once, again = (measured(each, components=8).score for each in (samples, turned))
    assert {5, 44} <= set(np.argsort(-once)[:6].tolist()) & set(order[np.argsort(-again)[:6]].tolist())
    # Trees are drawn by position, so single values differ a little; the ranking does not.
    assert np.corrcoef(once[order], again)[0, 1] > 0.9


def test_a_small_class_and_a_class_without_spread_are_not_judged() -> None:
    samples = clusters(per_class=8)
    scores = measured(samples, fewest=9)
    assert np.isnan(scores.score).all() and set(scores.abstain) == {
        f"class {name} has 8 boxes, 9 are needed" for name in samples.names.values()
    }
    same = replace(
        samples,
        vectors=np.tile(samples.vectors[:1], (len(samples), 1)),
        boxes=replace(samples.boxes, xywhn=np.tile(samples.boxes.xywhn[:1], (len(samples), 1))),
    )
    assert all("look the same" in why for why in measured(same).abstain)


def test_features_are_components_of_equal_spread_and_the_shape() -> None:
    samples = clusters(per_class=40)
    data = features(samples, 5)
    assert data.shape == (160, 8)
    np.testing.assert_allclose(data[:, :5].std(axis=0), 1, atol=0.05)
    width, height = samples.boxes.xywhn[3, 2:]
    np.testing.assert_allclose(data[3, 5:7], [np.log(width * height), np.log(width / height)])
    assert not data[:, 7].any()


def test_nothing_is_nothing() -> None:
    assert by_itself(Forest(), Samples.of([], np.zeros((0, 4)))) == []
