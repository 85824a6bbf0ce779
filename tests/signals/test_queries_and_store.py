"""Boxes that are not in the index are judged by the same code: `measure(queries, store)`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from healtheat.embedding import QUESTIONS
from healtheat.findings.run import run_signals
from healtheat.signals import SIGNALS, Samples, Signal
from healtheat.signals.duplicate import Duplicate
from healtheat.signals.forest import Forest
from healtheat.signals.geometry import Geometry
from healtheat.signals.label import Label
from healtheat.signals.quality import Quality
from healtheat.signals.samples import Pool
from tests.signals.synthetic_samples import clusters, said

by_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
WRONG = {row: (row + 1) % 4 for row in range(0, 120, 10)}  # a tenth of the queries, with another class


def part(samples: Samples, images: np.ndarray) -> Samples:
    """The boxes on some of the images, numbered as an index of their own would."""
    kept = np.isin(samples.boxes.image_id, images)
    boxes, pictures = samples.boxes[kept], samples.images[np.isin(samples.images.image_id, images)]
    return replace(
        samples,
        boxes=replace(boxes, box_id=np.arange(len(boxes), dtype=np.int64)),
        images=pictures,
        vectors=samples.vectors[kept],
        measures=samples.measures[kept],
        group=samples.group[kept],
    )


@pytest.fixture(scope="module")
def halves() -> tuple[Samples, Samples]:
    """(queries, store): 120 boxes each of the same four classes; the queries' labels partly wrong."""
    words = {
        name: 9 * np.eye(16, dtype=np.float32)[at] for at, name in enumerate(("pill", "background", "red"))
    }
    whole = replace(clusters(per_class=60), texts=dict.fromkeys(QUESTIONS, words))
    store, queries = part(whole, np.arange(0, 40)), part(whole, np.arange(40, 80))
    class_id = queries.boxes.class_id.copy()
    for row, wrong in WRONG.items():
        class_id[row] = wrong if class_id[row] != wrong else (wrong + 1) % 4
    return replace(queries, boxes=replace(queries.boxes, class_id=class_id)), store


@by_signal
def test_one_row_for_each_query_and_none_for_the_store(signal: Signal, halves) -> None:
    queries, store = halves
    for scores in said(signal, queries, store):
        about_boxes = scores.box_id >= 0
        assert scores.box_id[about_boxes].tolist() == queries.boxes.box_id.tolist()
        assert set(scores.image_id[scores.image_id >= 0]) <= set(queries.images.image_id)
        judged = ~np.isnan(scores.score)
        assert ((scores.score[judged] >= 0) & (scores.score[judged] <= 1)).all()


@by_signal
def test_a_store_without_boxes_judges_nothing_and_breaks_nothing(signal: Signal, halves) -> None:
    queries, store = halves
    nothing = part(store, np.zeros(0))
    for scores in said(signal, queries, nothing):
        assert len(scores.box_id) in (0, len(queries))
    for scores in said(signal, nothing, store):
        assert not len(scores.box_id)


def test_wrong_labels_of_new_boxes_are_found(halves) -> None:
    queries, store = halves
    (scores,) = Label().measure(queries, store)
    truth = np.isin(np.arange(len(queries)), list(WRONG))
    assert average_precision_score(truth, scores.score) > 0.95  # by chance 0.1
    right = np.arange(len(queries)) % 4
    assert (scores.suggestion[truth] == right[truth]).mean() > 0.9


def test_new_boxes_teach_nothing(halves) -> None:
    """A query's score does not depend on how the other queries' labels are wrong, but by their image."""
    queries, store = halves
    alone = part(queries, np.array([queries.boxes.image_id[0]]))
    (all_of_them,), (by_itself,) = Forest().measure(queries, store), Forest().measure(alone, store)
    np.testing.assert_allclose(all_of_them.score[: len(alone)], by_itself.score, atol=1e-9)
    (all_of_them,), (by_itself,) = Quality().measure(queries, store), Quality().measure(alone, store)
    np.testing.assert_allclose(all_of_them.raw[: len(alone)], by_itself.raw, atol=0.1)


@pytest.mark.slow
@by_signal
@pytest.mark.parametrize("noise", (0.25, 0.45))
def test_no_score_depends_on_the_other_queries(signal: Signal, noise: float) -> None:
    """Not on how many are asked about, nor on how wrong their labels are; boxes of one image aside."""
    whole = clusters(per_class=60, noise=noise)
    store, queries = part(whole, np.arange(0, 40)), part(whole, np.arange(40, 80))
    alone = part(queries, queries.images.image_id[:1])
    class_id = queries.boxes.class_id.copy()
    class_id[len(alone) :] = (class_id[len(alone) :] + 1) % 4
    wrong = replace(queries, boxes=replace(queries.boxes, class_id=class_id))
    expected = {scores.issue: scores for scores in said(signal, alone, store)}
    for others in (queries, wrong):
        for scores in said(signal, others, store):
            if scores.box_id[0] >= 0:
                found = scores.score[: len(alone)], scores.raw[: len(alone)]
                one = expected[scores.issue]
                np.testing.assert_allclose(found, (one.score, one.raw), atol=1e-5)


def test_odd_boxes_and_crops_are_odd_beside_the_store(halves) -> None:
    queries, store = halves
    xywhn = queries.boxes.xywhn.copy()
    xywhn[7, 2:] = (0.5, 0.02)
    measures = queries.measures.copy()
    measures["sharpness"][9] = 3
    odd = replace(queries, boxes=replace(queries.boxes, xywhn=xywhn), measures=measures)
    (shape,), (seen,) = Geometry().measure(odd, store), Quality().measure(odd, store)
    assert np.argmax(shape.score) == 7 and np.argmax(seen.score) == 9


def test_a_class_the_store_lacks_is_not_judged(halves) -> None:
    queries, store = halves
    class_id = queries.boxes.class_id.copy()
    class_id[3] = 77
    (scores,) = Label().measure(replace(queries, boxes=replace(queries.boxes, class_id=class_id)), store)
    assert np.isnan(scores.score[3]) and "77 has 0 boxes" in scores.abstain[3]
    assert not np.isnan(np.delete(scores.score, 3)).any()


def test_a_copy_of_a_stored_image_is_a_duplicate_and_its_own_source_does_not_vouch(halves) -> None:
    _, store = halves
    some = part(store, np.arange(0, 5))
    copy = replace(some, images=replace(some.images, group_key=store.images.group_key[:5]))
    pool = Pool.of(copy, store)
    assert not pool.itself and len(pool.samples) == len(store) + len(copy)
    other = pool.neighbours.other[pool.judged]
    assert (pool.samples.group[other] != pool.samples.group[pool.judged][:, None])[other >= 0].all()
    assert (other < len(store)).all(), "queries do not vouch for each other"
    (twins,) = said(Duplicate(), copy, store)
    assert twins.score.max() == 0, "copies whose labels agree are no news"


def test_against_itself_nothing_changes() -> None:
    samples = clusters(wrong=[(0, 2), (17, 0)])
    once, _, _ = run_signals(samples, SIGNALS)
    again, _, _ = run_signals(samples, SIGNALS, store=samples)
    assert once.drop(["run_id"]).equals(again.drop(["run_id"]))
