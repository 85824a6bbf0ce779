"""Objects without a box, and boxes that do not fit, found on drawn images; learned from their own labels."""

from dataclasses import replace

import numpy as np
import pytest

from healtheat.core.boxes import NO_CLASS
from healtheat.core.issues import Silence
from healtheat.core.overlap import iou
from healtheat.signals import Scores
from healtheat.signals.overlooked import Overlooked
from healtheat.signals.regions.classes import Classes, Kinds, Likely
from healtheat.signals.regions.free import Free
from healtheat.signals.regions.search import Search
from tests.drawn_set import IMAGES, Drawn


@pytest.fixture(scope="module")
def drawn():
    return Drawn()


HIDDEN = {(2, 0), (5, 2), (9, 1), (13, 0), (17, 2), (20, 1)}


@pytest.fixture(scope="module")
def scores(drawn):
    samples = drawn.samples(hidden=HIDDEN, moved={(1, 1): (0.2, 0.2), (8, 0): (-0.25, 0.1)})
    missing, bad = Overlooked().measure(samples, samples)
    return samples, missing, bad


def test_hidden_objects_are_the_most_likely_missing_boxes(drawn, scores):
    _, missing, _ = scores
    assert isinstance(missing, Scores) and missing.issue == "missing_box"
    best = np.argsort(-missing.score)[: len(HIDDEN)]
    found = set()
    for row in best:
        cx, cy, w, h = missing.place[row]
        image = int(missing.image_id[row])
        overlap = iou(np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]]), drawn.boxes[image])[0]
        assert overlap.max() >= 0.5
        found.add((image, int(overlap.argmax())))
        assert missing.class_id[row] == 7 * drawn.classes[image][int(overlap.argmax())]
        assert "no box" in missing.reason[row]
    assert found == HIDDEN
    others = np.delete(missing.score, best)  # a chance of what few boxes can tell
    assert missing.score[best].min() > 0.2 > 3 * others.max(initial=0.0)
    assert (missing.suggestion == NO_CLASS).all() and (missing.box_id == -1).all()


def test_boxes_off_their_object_stand_out_and_the_place_is_better(drawn, scores):
    samples, _, bad = scores
    moved = [
        row
        for row in range(len(samples))
        for image, column in ((1, 1), (8, 0))
        if samples.boxes.image_id[row] == image
        and np.abs(drawn.boxes[image][column][:2] - samples.boxes.xyxyn[row][:2]).max() < 0.1
    ]
    assert len(moved) == 2
    judged = np.flatnonzero(~np.isnan(bad.score))
    assert set(np.argsort(-np.nan_to_num(bad.raw))[:2].tolist()) == set(moved)
    assert bad.score[moved].min() > np.delete(bad.score[judged], np.searchsorted(judged, moved)).max()
    for row in moved:
        cx, cy, w, h = bad.place[row]
        new = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]])
        true = drawn.boxes[int(samples.boxes.image_id[row])]
        assert iou(new, true).max() > iou(samples.boxes.xyxyn[[row]], true).max()


def test_where_nothing_is_missing_nothing_is_said_and_unread_images_are_left_out(drawn):
    class Partly(Drawn):
        def rgb(self, image_id):
            return None if image_id in (2, 9) else super().rgb(image_id)

    samples = replace(drawn.samples(), pixels=Partly())
    missing, bad = Overlooked().measure(samples, samples)
    assert (missing.score < 0.5).all() and (bad.score[~np.isnan(bad.score)] < 0.5).all()
    assert not np.isin(missing.image_id, [2, 9]).any()
    gone = np.isin(samples.boxes.image_id, [2, 9])
    assert np.isnan(bad.score[gone]).all() and all("looked at" in why for why in bad.abstain[gone])


@pytest.mark.parametrize("keep", [5, 1])
def test_too_little_to_learn_from_is_said(drawn, keep):
    whole = drawn.samples()
    few = drawn.samples(hidden={(i, c) for i in range(keep, IMAGES) for c in range(3)})
    answers = Overlooked().measure(few, few)
    assert len(answers) == 2 and all(isinstance(a, Silence) and "too few" in a.why for a in answers)
    assert all(isinstance(a, Silence) for a in Overlooked().measure(replace(whole, pixels=None), whole))


def test_places_get_the_classes_that_an_images_name_lacks_first(drawn):
    samples = drawn.samples()
    models = Classes.of(samples)
    red, blue = (samples.vectors[np.flatnonzero(samples.class_code == code)[:1]] for code in (0, 1))
    two = np.concatenate([red, blue])
    assert models.likeliest(two).class_id.tolist() == [0, 7]
    by_name = models.likeliest(two, {7: 1})  # the name says so, whatever it looks like
    assert by_name.class_id.tolist() == [7, 7] and by_name.by_name.tolist() == [True, False]
    assert by_name.chance[0] < 0.5 < by_name.chance[1]
    assert models.likeliest(two, {0: 1, 7: 1}).class_id.tolist() == [0, 7]
    assert models.likeliest(two, {99: 1}).class_id.tolist() == [0, 7]  # a class without a crop
    assert models.likeliest((red + blue) / 2, least=0.0).class_id.tolist() != [NO_CLASS]


def test_words_of_a_place_do_not_contradict_each_other(drawn):
    """A class that the name tells has no chance in its words, and what is like no class looks like none."""
    samples, yes, no = drawn.samples(), np.array([True]), np.array([False])

    def words(class_id, by_name, unlike):
        like = Likely(np.array([class_id]), np.array([0.004 if by_name else 0.9]), by_name)
        place = np.array([[0.1, 0.1, 0.2, 0.2]])
        free = Free(np.array([0]), place, np.array([2.0]), np.array([0.9]), like, no, no, unlike)
        (scores,) = Overlooked()._missing(samples, free)
        return scores.reason[0], scores.evidence[0]

    reason, evidence = words(7, yes, no)
    assert reason.endswith("; by the image's name it is " + samples.name(7)) and "%" not in reason
    assert evidence["class_by_name"] is True and evidence["class_chance"] == 0.004
    assert words(7, no, no)[0].endswith(f"; looks like {samples.name(7)} (90%)")
    assert words(NO_CLASS, no, yes)[0].endswith("no box; unlike every labelled class")


def test_what_is_unlike_every_class_gets_none(drawn, monkeypatch):
    monkeypatch.setattr(Kinds, "unlike", lambda self, vectors: np.ones(len(vectors), bool))
    samples = drawn.samples(hidden=HIDDEN)
    scores = [one for one in Overlooked().measure(samples, samples) if isinstance(one, Scores)]
    (missing,) = [one for one in scores if one.issue == "missing_box"]
    assert len(missing.class_id) and set(missing.class_id.tolist()) == {NO_CLASS}


def test_a_search_that_learned_for_its_own_images_alone_says_nothing_of_others(drawn):
    samples = drawn.samples()
    with pytest.raises(RuntimeError, match="outside its set"):
        Search(samples, drawn).outside(drawn.images[0])
