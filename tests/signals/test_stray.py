"""Boxes of classes too small to judge: strays of another class are found, genuine rare classes are let be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from healtheat.core.boxes import NO_CLASS
from healtheat.signals import Samples, Scores
from healtheat.signals.evidence.stray import strays
from healtheat.signals.label import Label
from tests.signals.synthetic_samples import by_itself, clusters, reordered, said

NEW = 77


def relabelled(samples: Samples, rows: list[int], class_id: int = NEW) -> Samples:
    ids = samples.boxes.class_id.copy()
    ids[rows] = class_id
    return replace(samples, boxes=replace(samples.boxes, class_id=ids))


def of_class(samples: Samples, class_id: int) -> np.ndarray:
    return np.flatnonzero(samples.boxes.class_id == class_id)


def judged(samples: Samples) -> Scores:
    (scores,) = by_itself(Label(), samples)
    return scores


@pytest.fixture(scope="module")
def many() -> Samples:
    return clusters(classes=9, per_class=20, dim=32, noise=0.12, seed=3)


def test_a_stray_box_is_found_with_its_class(many: Samples) -> None:
    for rows in ([4], [4, 112]):
        scores = judged(relabelled(many, rows))
        assert (scores.score[rows] >= 0.5).all() and (scores.raw[rows] > 0).all()
        assert scores.suggestion[rows].tolist() == many.boxes.class_id[rows].tolist()
        assert all(scores.abstain[row] is None and "3 are needed" in scores.reason[row] for row in rows)


def test_a_genuine_rare_class_is_let_be(many: Samples) -> None:
    for class_id in range(9):
        keep = np.ones(len(many), bool)
        keep[of_class(many, class_id)[1:]] = False
        cut = reordered(many, keep)
        scores = judged(cut)
        (row,) = of_class(cut, class_id)
        assert np.isnan(scores.score[row]) and scores.suggestion[row] == NO_CLASS
        assert "compared with the other classes, and no clear member of one" in scores.abstain[row]


def test_too_few_classes_to_learn_from_abstains_as_ever() -> None:
    few = clusters(classes=4, per_class=20, dim=32, noise=0.12, seed=3)
    scores = judged(relabelled(few, [4]))
    assert np.isnan(scores.score[4]) and str(scores.abstain[4]).endswith("1 box, 3 are needed")


def test_its_own_source_does_not_speak_for_a_class(many: Samples) -> None:
    """All boxes of one class on the stray's own source: no other source can say what it is."""
    group = many.group.copy()
    rows = of_class(many, 4)
    group[rows] = group[rows[0]]
    found = strays(
        many.vectors, relabelled(many, [int(rows[0])]).class_code, group, rows[:1], np.ones(len(many), bool)
    )
    assert found is not None and found.chance[0] < 0.5


def test_queries_do_not_decide_about_each_other(many: Samples) -> None:
    strange = relabelled(many, list(range(60)))
    store = reordered(many, np.arange(60, len(many)))
    alone = reordered(strange, np.arange(0, 1))
    together = reordered(strange, np.arange(0, 60))
    (one,), (all_,) = said(Label(), alone, store), said(Label(), together, store)
    assert one.score[0] >= 0.5 and one.suggestion[0] == many.boxes.class_id[0]
    assert np.allclose(one.score[0], all_.score[0]) and one.suggestion[0] == all_.suggestion[0]
