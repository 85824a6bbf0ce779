"""Two boxes on one object, in sets whose boxes overlap more or less."""

from __future__ import annotations

import numpy as np

from healtheat.signals import Samples
from healtheat.signals.evidence.overlaps import doubled, one_object


def chance(overlap: list[float], image: list[int] | None = None) -> np.ndarray:
    values = np.array(overlap)
    where = np.arange(len(values)) if image is None else np.array(image)
    return one_object(values, where, np.ones(len(values), bool))


def test_where_boxes_never_overlap_one_that_does_is_a_double() -> None:
    assert chance([0.02, 0.01, 0.05, 0.9])[-1] > 0.95
    assert chance([0.7])[0] > 0.9


def test_where_boxes_overlap_by_much_anyhow_it_takes_more() -> None:
    crowd = np.random.default_rng(0).exponential(0.12, 500).clip(0.001, 0.65).tolist()
    sparse = np.random.default_rng(0).exponential(0.03, 500).clip(0.001, 0.65).tolist()
    assert chance([*crowd, 0.6])[-1] < 0.5 < chance([*sparse, 0.6])[-1]
    assert chance([*crowd, 0.97])[-1] > 0.5


def test_a_crowded_image_is_judged_by_itself() -> None:
    sparse = np.random.default_rng(0).exponential(0.03, 300).tolist()
    fan = [0.5, 0.6, 0.55, 0.45, 0.5, 0.62, 0.4, 0.58, 0.66]
    image = [*range(300), *[300] * len(fan)]
    alone = chance([*sparse, 0.66])[-1]
    assert chance([*sparse, *fan], image)[-1] < 0.5 < alone


def test_parts_on_their_whole_are_how_a_set_is_made() -> None:
    boxes = np.tile([[0.5, 0.5, 0.4, 0.4], [0.5, 0.5, 0.36, 0.36]], (10, 1))
    samples = Samples.of([0, 1] * 10, np.eye(20), xywhn=boxes, image_id=np.repeat(np.arange(10), 2))
    everything = np.ones(20, bool)
    assert doubled(samples, everything).chance.max() == 0
    one = Samples.of([0, 1, *range(2, 20)], np.eye(20), xywhn=boxes, image_id=[0, 0, *range(1, 19)])
    assert doubled(one, everything).chance.tolist() > [0.9]


def test_nothing_overlaps() -> None:
    assert len(doubled(Samples.of([0, 0], np.eye(2)), np.ones(2, bool)).chance) == 0
