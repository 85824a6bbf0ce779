"""Places without a label: what is said of them, and of a set that labels some classes only."""

from dataclasses import replace

import numpy as np
import pytest

from healtheat.core.issues import Silence
from healtheat.core.overlap import iou
from healtheat.core.progress import silent
from healtheat.signals import Scores
from healtheat.signals.overlooked import Overlooked
from healtheat.signals.regions import search
from healtheat.signals.regions.classes import Kinds
from healtheat.signals.regions.found import OneImage
from healtheat.signals.regions.free import at_border, slipped, without_label
from tests.drawn_set import IMAGES, Drawn

LOGIT = 2.5


def looked(drawn, samples, more=None):
    """What a search would find: every disc, clearly; and `more` places (m, 4) of each image, as clearly."""
    found = {}
    for image in range(IMAGES):
        places = drawn.boxes[image] if more is None else np.concatenate([drawn.boxes[image], more])
        labelled = samples.boxes.xyxyn[samples.image_row == image]
        overlap = iou(places, labelled).max(axis=1, initial=0.0)
        found[image] = OneImage(xyxyn=places, logit=np.full(len(places), LOGIT), overlap=overlap)
    return found


def of_colour(drawn, code):
    """(image, column) of all discs of one colour."""
    return {(i, k) for i, codes in enumerate(drawn.classes) for k, one in enumerate(codes) if one == code}


def test_a_set_in_which_one_class_only_is_labelled_is_told_and_the_others_are_not_listed(monkeypatch):
    drawn = Drawn()
    hidden = min((of_colour(drawn, code) for code in (0, 1)), key=len)
    samples = drawn.samples(hidden=hidden)
    free = without_label(looked(drawn, samples), samples, samples, drawn, silent)
    assert free.in_part and free.unlike.all() and len(free.image) == len(hidden)
    monkeypatch.setattr(search.Search, "run", lambda self, rows: looked(drawn, samples))
    silence, missing, _ = Overlooked().measure(samples, samples)
    assert isinstance(silence, Silence) and silence.issue == "missing_box"
    assert silence.why.startswith(f"{len(hidden)} objects like no labelled class have no box")
    assert isinstance(missing, Scores) and not len(missing.score)


def test_boxes_that_are_missing_here_and_there_are_no_such_set():
    drawn = Drawn()
    hidden = {(i, i % 3) for i in range(0, IMAGES, 2)}
    samples = drawn.samples(hidden=hidden)
    free = without_label(looked(drawn, samples), samples, samples, drawn, silent)
    assert not free.in_part and not free.unlike.any() and len(free.image) == len(hidden)


def test_one_strange_object_is_said_to_be_one():
    drawn = Drawn()
    samples = drawn.samples(hidden={(4, 0)})
    strange = np.array([7.0, 7.0])
    odd = replace(samples, pixels=drawn)
    drawn.vectors = lambda image_id, xywhn: (
        np.tile(strange / np.linalg.norm(strange), (len(xywhn), 1))[:, [0, 1, 1]].astype(np.float32)
        * np.float32(0.5)
    )
    free = without_label(looked(drawn, samples), odd, odd, drawn, silent)
    assert free.unlike.tolist() == [True] and not free.in_part


@pytest.mark.parametrize("kind", ["border", "focus"])
def test_objects_that_are_never_labelled_at_the_border_or_out_of_focus_are_none_that_are_missing(kind):
    class Photo(Drawn):
        def sharpness(self, image_id, xywhn):
            small = xywhn[:, 2] < 0.1
            return np.where(small, 0.1, 0.5) if kind == "focus" else np.full(len(xywhn), 0.5)

    drawn = Photo()
    side = np.array([[0.0, 0.9, 0.08, 0.98]] if kind == "border" else [[0.03, 0.9, 0.11, 0.98]])
    samples = drawn.samples(hidden={(3, 1), (8, 2)})
    free = without_label(looked(drawn, samples, side), samples, samples, drawn, silent)
    apart = free.cut if kind == "border" else free.blurred
    assert apart.sum() == IMAGES and len(free.image) == IMAGES + 2
    assert free.chance[apart].max() < free.chance[~apart].min() / 2


def test_the_border_is_where_a_place_ends_at_it():
    places = np.array([[0.0, 0.2, 0.3, 0.4], [0.2, 0.2, 0.4, 1.0], [0.01, 0.01, 0.99, 0.99]])
    assert at_border(places).tolist() == [True, True, False]


def test_crops_of_one_source_do_not_tell_how_alike_crops_are():
    drawn = Drawn()
    samples = drawn.samples()
    one = replace(samples, images=replace(samples.images, group_key=np.full(IMAGES, "a", object)))
    kinds = Kinds.of(one)
    assert kinds.alike == -1 and not kinds.unlike(np.zeros((2, 3), np.float32)).any()


def test_a_box_beside_an_object_without_one_slipped_off_from_it():
    drawn = Drawn()
    off = {(4, 0): (0.8, 0.4), (9, 2): (-0.7, 0.5)}
    samples = drawn.samples(moved=off)
    free = without_label(looked(drawn, samples), samples, samples, drawn, silent)
    fit = np.ones(len(samples))
    clear_one = np.ones(len(samples), bool)
    assert slipped(samples, free, fit, clear_one) == {}
    rows = [int(np.flatnonzero(samples.image_row == image)[column]) for image, column in off]
    clear_one[rows] = False
    found = slipped(samples, free, fit, clear_one)
    assert sorted(found) == sorted(rows)
    for row, (image, column) in zip(rows, off, strict=True):
        assert free.image[found[row]] == image
        assert np.allclose(free.xyxyn[found[row]], drawn.boxes[image][column])
    fit[rows], clear_one[:] = 0.2, True
    assert sorted(slipped(samples, free, fit, clear_one)) == sorted(rows)


def test_a_box_that_slipped_off_is_a_bad_box_with_the_place_of_its_object():
    drawn = Drawn()
    samples = drawn.samples(moved={(1, 1): (0.9, 0.2), (8, 0): (0.2, 0.9)})
    *_, bad = Overlooked().measure(samples, samples)
    moved = [int(np.flatnonzero(samples.image_row == i)[k]) for i, k in ((1, 1), (8, 0))]
    for row, (image, column) in zip(moved, ((1, 1), (8, 0)), strict=True):
        cx, cy, w, h = bad.place[row]
        place = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]])
        assert iou(place, drawn.boxes[image][[column]])[0, 0] >= 0.5
        assert bad.score[row] > np.delete(np.nan_to_num(bad.score), moved).max()
