"""Boxes on background, against loops and planted ones."""

from __future__ import annotations

import numpy as np
from synthetic_samples import clusters, unit

from healtheat.signals import Samples
from healtheat.signals.background import Background, nearest, tile_share


def test_nearest_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    rows, store = unit(rng.random((7, 5))), unit(rng.random((9, 5)))
    found = nearest(rows, store, 3, own=False)
    for i, row in enumerate(rows):
        np.testing.assert_allclose(found[i], sorted((store @ row).tolist(), reverse=True)[:3], atol=1e-6)
    own = nearest(rows, rows, 20, own=True)
    for i, row in enumerate(rows):
        expected = sorted((float(rows[j] @ row) for j in range(7) if j != i), reverse=True)
        np.testing.assert_allclose(own[i, :6], expected, atol=1e-6)
        assert (own[i, 6:] == -1).all()


def test_tile_share_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    tiles = -np.sort(-rng.random((6, 4)).astype(np.float32), axis=1)
    crops = -np.sort(-rng.random((6, 4)).astype(np.float32), axis=1)
    crops[0, 2:] = -1
    for i, found in enumerate(tile_share(tiles, crops, 4)):
        pool = sorted([(-v, 1) for v in tiles[i]] + [(-v, 0) for v in crops[i] if v > -1])[:4]
        assert found == sum(is_tile for _, is_tile in pool) / len(pool)


def test_boxes_on_background_come_first() -> None:
    samples = clusters(classes=4, per_class=30)
    rng = np.random.default_rng(3)
    vectors = samples.vectors.copy()
    empty = [5, 40, 77]
    vectors[empty] = unit(np.eye(5, 16)[[4, 4, 4]] + 0.12 * rng.standard_normal((3, 16)))
    planted = Samples.of(
        samples.boxes.class_id, vectors, image_id=samples.boxes.image_id, background=samples.background
    )
    (answer,) = Background().measure(planted)
    assert sorted(np.argsort(-answer.score)[:3].tolist()) == empty
    assert answer.score[empty].min() > 0.5 > np.delete(answer.score, empty).max()
    assert "of its 10 nearest neighbours are background tiles" in answer.reason[5]


def test_silent_without_tiles() -> None:
    assert Background().measure(Samples.of([0, 1], np.eye(2))) == []
