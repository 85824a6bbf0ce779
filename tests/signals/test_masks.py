"""Masks of anything as more places to look at: which of them count, and where they say that objects end."""

import numpy as np
import pytest

from healtheat.core.overlap import iou
from healtheat.signals.overlooked import Overlooked
from healtheat.signals.regions.heads import OVERLAP, Heads
from healtheat.signals.regions.masks import exact, of_size, same
from healtheat.signals.regions.pyramid import Level
from tests.drawn_set import IMAGES, Drawn


def corners(xywh):
    return np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], axis=1)


def test_masks_of_other_sizes_than_the_objects_are_left_out():
    boxes = np.array([[0, 0, 0.2, 0.2], [0, 0, 1, 1], [0, 0, 0.02, 0.02], [0.1, 0.1, 0.5, 0.3]])
    assert of_size(boxes, (0.1, 0.2)).tolist() == [True, False, False, True]
    assert of_size(np.empty((0, 4)), (0.1,)).shape == (0,)


def test_the_mask_of_an_object_is_the_one_that_overlaps_it_most():
    objects = np.array([[0, 0, 0.4, 0.4], [0.6, 0.6, 0.8, 0.8]])
    masks = np.array([[0, 0, 0.4, 0.3], [0, 0, 0.39, 0.4], [0.75, 0.75, 0.95, 0.95]])
    found = same(objects, masks)
    assert found[0].tolist() == masks[1].tolist() and np.isnan(found[1]).all()
    assert np.isnan(same(objects, np.empty((0, 4)))).all()


def test_masks_count_only_where_they_fit_the_labels_better():
    labels = np.tile([[0.1, 0.1, 0.5, 0.5]], (40, 1))
    near, far = labels + 0.01, labels + 0.05
    assert exact(labels, far, near) and not exact(labels, near, far)
    few = near.copy()
    few[20:] = np.nan
    assert not exact(labels, far, few), "too few to say"


class Flat:
    """Heat that grows from left to right; too cold for a peak."""

    def predict(self, z):
        return z[:, 0]


def test_the_hottest_masks_join_the_places_and_no_two_are_one_object():
    side = 20
    columns = np.tile(np.linspace(0, 0.04, side, dtype=np.float32), (side, 1))
    level = Level(columns[None], 160, 160, 40.0)
    heads = Heads(np.zeros(1, np.float32), np.ones((1, 1), np.float32), Flat(), Flat())
    masks = np.array([[x, y, x + 0.2, y + 0.2] for x in (0.0, 0.02, 0.4, 0.8) for y in (0.1, 0.6)])
    assert len(heads.propose([level], 3)[0]) == 0
    boxes, heat = heads.propose([level], 3, masks)
    assert boxes[:, 0].tolist() == [0.8, 0.8, 0.4] and (np.diff(heat) <= 0).all() and heat[0] > heat[2] > 0
    boxes, _ = heads.propose([level], 50, masks)
    assert len(boxes) == 6
    assert (iou(boxes, boxes) - np.eye(6)).max() <= OVERLAP


class Everything:
    """Finds every object exactly, and a lot more, on the images of `drawn`; as a model and as its process."""

    def __init__(self, drawn):
        self.of = {image.tobytes(): boxes for image, boxes in zip(drawn.images, drawn.boxes, strict=True)}
        self.rng = np.random.default_rng(0)
        self.asked = 0
        self.closed = False

    def started(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True

    def boxes(self, pixels, smallest):
        assert 0.1 < smallest < 0.3
        self.asked += 1
        start = self.rng.uniform(0, 0.8, (60, 2))
        clutter = np.concatenate([start, start + self.rng.uniform(0.05, 0.2, (60, 2))], axis=1)
        return np.concatenate([clutter, self.of[pixels.tobytes()]])


@pytest.fixture(scope="module")
def searched():
    drawn = Drawn()
    model = Everything(drawn)
    moved = {(1, 1): (0.2, 0.2), (8, 0): (-0.25, 0.1)}
    samples = drawn.samples(hidden={(2, 0), (9, 1), (17, 2)}, moved=moved)
    return drawn, samples, model, Overlooked(proposals=model).measure(samples, samples)


def test_the_set_decides_which_masks_are_objects(searched):
    drawn, _, model, (missing, _) = searched
    assert model.asked == IMAGES and model.closed
    best = np.argsort(-missing.score)[:3]
    found = set()
    for row in best:
        overlap = iou(corners(missing.place[row][None]), drawn.boxes[int(missing.image_id[row])])[0]
        assert overlap.max() >= 0.5
        found.add((int(missing.image_id[row]), int(overlap.argmax())))
    assert found == {(2, 0), (9, 1), (17, 2)}
    assert np.delete(missing.score, best).max(initial=0) < missing.score[best].min() / 3


def test_a_loose_box_is_advised_to_end_where_the_mask_does(searched):
    drawn, samples, _, (_, bad) = searched
    judged = ~np.isnan(bad.score)
    assert judged.all()
    for row in np.argsort(-bad.raw)[:2]:
        image = int(samples.boxes.image_id[row])
        assert image in (1, 8)
        away = np.abs(corners(bad.place[row][None]) - drawn.boxes[image]).max(axis=1)
        assert away.min() < 1e-6
