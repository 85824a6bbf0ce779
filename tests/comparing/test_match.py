"""Images and boxes of two versions, one to one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.comparing import match
from healtheat.comparing.match import BoxPairs, pair_boxes_of, pair_paths
from healtheat.core.boxes import Boxes

Row = tuple[int, float, float, float, float]


def boxes(*rows: Row) -> Boxes:
    places = np.array([row[1:] for row in rows], float).reshape(-1, 4)
    return Boxes.of(range(len(rows)), [row[0] for row in rows], places)


def paired(old: Boxes, new: Boxes, tolerance: float = 0.001) -> BoxPairs:
    return pair_boxes_of(old, new, new.class_id, tolerance)


def test_images_by_path_then_by_the_end_of_it_then_by_name() -> None:
    old = ("images/train/a.jpg", "images/val/a.jpg", "images/b.jpg", "images/c.jpg", "d/x.jpg", "e/x.jpg")
    new = ("pills/images/val/a.jpg", "pills/images/train/a.jpg", "b.jpg", "labels/c.txt", "x.jpg", "new.jpg")
    found = pair_paths(old, new)
    assert found.partner.tolist() == [1, 0, 2, 3, -1, -1]
    assert found.renamed == 4
    assert found.unclear == {4, 5}  # x.jpg may be either


def test_equal_paths_come_first_and_spelling_does_not_matter() -> None:
    found = pair_paths(("a/1.jpg", "b/1.jpg", "\uac00.jpg"), ("b/1.jpg", "\u1100\u1161.jpg"))
    assert found.partner.tolist() == [-1, 0, 1]
    assert (found.renamed, found.unclear) == (0, frozenset())
    assert pair_paths((), ("a",)).partner.tolist() == []


def test_equal_boxes_first_then_the_nearest() -> None:
    old = boxes((1, 0.5, 0.5, 0.2, 0.2), (2, 0.52, 0.5, 0.2, 0.2), (3, 0.1, 0.1, 0.1, 0.1))
    new = boxes((2, 0.52, 0.5, 0.2, 0.2), (1, 0.53, 0.5, 0.2, 0.2), (3, 0.9, 0.9, 0.1, 0.1))
    found = paired(old, new)
    assert sorted(zip(found.old.tolist(), found.new.tolist(), strict=True)) == [(0, 1), (1, 0)]
    at = found.old.tolist().index(0)
    assert found.moved[at] and not found.exact[at] and found.iou[at] == pytest.approx(0.17 / 0.23)


def test_two_labels_on_one_object_are_not_exchanged_by_rounding() -> None:
    old = boxes((1, 0.5, 0.5, 0.2, 0.2), (2, 0.5, 0.5, 0.2, 0.2))
    for shift in (0.0, 0.0004):
        new = boxes((2, 0.5 + shift, 0.5, 0.2, 0.2), (1, 0.5 + 2 * shift, 0.5, 0.2, 0.2))
        found = paired(old, new)
        assert sorted(zip(found.old.tolist(), found.new.tolist(), strict=True)) == [(0, 1), (1, 0)]
        assert not found.moved.any() and bool(found.exact.all()) == (shift == 0)
    assert paired(old, new, tolerance=0).moved.all()


def test_small_boxes_within_the_tolerance_need_not_overlap() -> None:
    found = paired(boxes((1, 0.5, 0.5, 0.0005, 0.0005)), boxes((1, 0.5006, 0.5, 0.0005, 0.0005)))
    assert found.old.tolist() == [0] and not found.moved.any()


def test_the_outline_counts_and_not_where_it_begins() -> None:
    diamond = np.array([[0.5, 0.4], [0.6, 0.5], [0.5, 0.6], [0.4, 0.5]])
    leaning = np.array([[0.45, 0.4], [0.6, 0.55], [0.55, 0.6], [0.4, 0.45]])
    square = np.array([[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]])
    amid = np.insert(diamond, 1, [0.55, 0.45], axis=0)  # a corner more on a straight edge
    bent = np.insert(diamond, 1, [0.56, 0.45], axis=0)

    def one(*corners: object) -> Boxes:
        rows = [(0.5, 0.5, 0.2, 0.2)] * len(corners)
        return Boxes.of(range(len(rows)), [1] * len(rows), rows, corners=list(corners))  # type: ignore[arg-type]

    for new, moved in (
        (diamond, False),
        (np.roll(diamond, 2, axis=0)[::-1], False),
        (diamond + 0.0005, False),
        (diamond + np.array([0.002, 0]), True),
        (amid, False),
        (bent, True),
        (diamond[[0, 2, 1, 3]], True),  # the same corners in an order that crosses itself
        (leaning, True),
        (None, True),
    ):
        found = paired(one(diamond), one(new))
        assert found.moved.tolist() == [moved] and found.iou.tolist() == [1.0]
    assert paired(one(square), one(None)).exact.all()  # nothing but the upright box itself
    rounded = paired(one(diamond), one(diamond + 0.0005))
    assert not rounded.exact.any() and paired(one(diamond), one(diamond + 0.0005), tolerance=0).moved.all()
    crossed = paired(one(diamond, leaning), one(leaning, diamond))  # two in one upright box, in another order
    assert not crossed.moved.any() and sorted(zip(crossed.old, crossed.new, strict=True)) == [(0, 1), (1, 0)]


def test_crowds_are_matched_where_they_did_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "MAX_PAIRS", 3)
    old = boxes(*((1, 0.1 * n, 0.5, 0.05, 0.05) for n in range(1, 5)))
    new = boxes(*((1, 0.1 * n + (0.01 if n > 2 else 0), 0.5, 0.05, 0.05) for n in range(1, 5)))
    found = paired(old, new)
    assert found.crowded and found.old.tolist() == found.new.tolist() == [0, 1]


places = st.tuples(
    st.integers(0, 2),
    *(st.sampled_from((0.2, 0.2004, 0.25, 0.5)) for _ in range(2)),
    st.just(0.2),
    st.just(0.2),
)


@given(st.lists(places, max_size=6), st.lists(places, max_size=6))
def test_one_to_one_and_every_equal_box_is_its_own(old: list[Row], new: list[Row]) -> None:
    found = paired(boxes(*old), boxes(*new))
    assert len({*found.old.tolist()}) == len({*found.new.tolist()}) == len(found.old)
    pairs = list(zip(found.old.tolist(), found.new.tolist(), strict=True))
    equal = Counter(old) & Counter(new)
    assert sum(old[i] == new[j] for i, j in pairs) == equal.total()
    back = paired(boxes(*new), boxes(*old))
    assert len(back.old) == len(found.old)
