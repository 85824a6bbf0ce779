"""Boxes on background, against loops and planted ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from healtheat.core.issues import Silence
from healtheat.signals import Samples
from healtheat.signals.background import Background, nearest, tile_share, word_odds
from tests.signals.synthetic_samples import by_itself, clusters, unit


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
    (answer,) = Background().measure(planted, planted)
    assert sorted(np.argsort(-answer.score)[:3].tolist()) == empty
    assert answer.score[empty].min() > 0.5 > np.delete(answer.score, empty).max()
    assert "of its 10 nearest neighbours are background tiles" in answer.reason[5]


def test_silent_without_tiles() -> None:
    assert by_itself(Background(), Samples.of([0, 1], np.eye(2))) == []


def worded(samples: Samples) -> Samples:
    """`clusters` with words for the encoder: the last centre is background, all others are pills."""
    eye = np.eye(16, dtype=np.float32)
    words = {"pill": 8 * eye[:4].mean(axis=0) * 2, "background": 8 * eye[4], "piece": 8 * eye[5]}
    return replace(samples, texts={"pill": words})


def test_words_alone_find_background_where_there_are_no_tiles() -> None:
    samples = clusters(classes=4, per_class=30, noise=0.1)
    vectors, empty = samples.vectors.copy(), [5, 40, 77]
    vectors[empty] = samples.background[:3]
    bare = replace(samples, vectors=vectors, background=samples.background[:0])
    (silence,) = Background().measure(bare, bare)
    assert isinstance(silence, Silence) and "only 0 tiles" in silence.why
    (answer,) = by_itself(Background(), worded(bare))
    assert answer.score[empty].min() > 0.5 > np.delete(answer.score, empty).max()
    assert "looks like background" in answer.reason[5] and "a pill" in answer.reason[6]


def test_words_that_do_not_fit_most_boxes_are_not_asked() -> None:
    samples = worded(clusters(noise=0.1))
    words = samples.texts["pill"]
    swapped = replace(samples, texts={"pill": {"pill": words["background"], "background": words["pill"]}})
    alone = replace(swapped, background=swapped.background[:0])
    (silence,) = Background().measure(alone, alone)
    assert isinstance(silence, Silence) and "words do not fit most boxes" in silence.why
    without = replace(samples, texts={})
    (found,), (expected,) = by_itself(Background(), swapped), by_itself(Background(), without)
    np.testing.assert_array_equal(found.score, expected.score)


def test_boxes_that_fill_their_image_have_no_background() -> None:
    samples = worded(clusters(noise=0.1))
    whole = replace(samples.boxes, xywhn=np.tile([0.5, 0.5, 0.97, 0.97], (len(samples), 1)))
    (silence,) = Background().measure(samples, replace(samples, boxes=whole))
    assert isinstance(silence, Silence)
    assert str(silence).startswith("background: 100% of the boxes fill their image"), "no heading of its own"


def test_words_count_less_the_more_tiles_there_are() -> None:
    samples = clusters(classes=4, per_class=30)
    said = word_odds(samples.vectors, worded(samples).texts["pill"])
    for tiles in (10, 20):
        some = replace(samples, background=samples.background[:tiles])
        (plain,), (asked,) = Background().measure(some, some), by_itself(Background(), worded(some))
        np.testing.assert_allclose(asked.raw - plain.raw, said / (1 + tiles / 30), atol=1e-5)
        assert asked.evidence[0]["word_log_odds"] == round(float(said[0]), 3)
