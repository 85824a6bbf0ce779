"""One error is one question: which findings lead, and which belong to one place."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.issues import HINTS, ISSUES
from healtheat.findings.flag import FindingSettings, find
from healtheat.findings.places import Copies
from healtheat.findings.run import SCORES_SCHEMA


def row(box: int, issue: str, score: float, **more: Any) -> dict[str, Any]:
    nothing = {"run_id": 1, "line": -1, "class_id": -1, "suggestion": -1, "twin_box_id": -1, "evidence": "{}"}
    about = {"box_id": box, "image_id": max(box, 0), "signal": issue, "issue": issue, "score": score}
    return {**nothing, **about, "raw": score, "reason": issue, **more}


def found(
    *rows: dict[str, Any], settings: FindingSettings | None = None, copies: Copies | None = None
) -> list[dict[str, Any]]:
    return find(pa.Table.from_pylist(list(rows), schema=SCORES_SCHEMA), settings, copies).to_pylist()


def flagged(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(r["box_id"], r["issue"]) for r in rows if r["flagged"]]


def test_a_box_is_flagged_once_by_its_strongest_reason() -> None:
    rows = found(row(0, "bad_box", 0.6), row(0, "mislabel", 0.9), row(1, "mislabel", 0.2))
    assert flagged(rows) == [(0, "mislabel")]
    assert [(r["issue"], r["passed"]) for r in rows] == [
        ("bad_box", True),
        ("mislabel", True),
        ("mislabel", False),
    ]
    assert [r["place_id"] for r in rows] == [0, 0, 1]


def test_what_explains_the_rest_leads_where_reasons_are_about_equal() -> None:
    assert flagged(found(row(0, "mislabel", 0.97), row(0, "background", 0.9))) == [(0, "background")]
    assert flagged(found(row(0, "mislabel", 0.97), row(0, "background", 0.6))) == [(0, "mislabel")]


def test_hints_are_flagged_only_where_a_threshold_is_given() -> None:
    rows = [row(0, hint, 1.0) for hint in HINTS]
    assert flagged(found(*rows)) == []
    assert flagged(found(*rows, settings=FindingSettings(fdr=0.5))) == []
    assert flagged(found(*rows, settings=FindingSettings(thresholds={"outlier": 0.2}))) == [(0, "outlier")]


def test_two_boxes_with_exchanged_classes_are_one_place() -> None:
    rows = found(
        row(0, "mislabel", 0.9, image_id=7, class_id=3, suggestion=5),
        row(1, "mislabel", 0.8, image_id=7, class_id=5, suggestion=3),
        row(2, "mislabel", 0.8, image_id=7, class_id=5, suggestion=3),
        row(3, "mislabel", 0.8, image_id=8, class_id=5, suggestion=3),
    )
    assert [r["place_id"] for r in rows] == [0, 0, 1, 2]
    assert [r["twin_box_id"] for r in rows] == [1, 0, -1, -1]
    assert len(flagged(rows)) == 4  # each box is wrong


def test_each_of_two_exchanged_boxes_names_the_other_as_people_see_it() -> None:
    pair = (
        row(0, "mislabel", 0.9, image_id=7, line=4, class_id=3, suggestion=5),
        row(1, "unexpected_class", 0.8, image_id=7, line=1, class_id=5, suggestion=3),
    )
    table = pa.Table.from_pylist(list(pair), schema=SCORES_SCHEMA)
    first, second = find(table, names={5: "aspirin"})["reason"].to_pylist()
    assert first.endswith("; exchanged with box 2, aspirin")
    assert second.endswith("; exchanged with box 5, 3")


def test_copies_of_one_error_are_one_place() -> None:
    same = [row(box, "mislabel", 0.9, class_id=3, suggestion=5) for box in (0, 1, 2)]
    other = row(3, "mislabel", 0.9, class_id=4, suggestion=5)
    copies = Copies(objects=dict.fromkeys((0, 1, 3), 9))
    assert [r["place_id"] for r in found(*same, other, copies=copies)] == [0, 0, 1, 2]


def test_boxes_missing_on_copies_are_one_place_each() -> None:
    missing = [row(-1, "missing_box", 1.0, image_id=image, class_id=3) for image in (0, 0, 1, 1, 2)]
    rows = found(*missing, copies=Copies(sources={0: 4, 1: 4}))
    assert Counter(r["place_id"] for r in rows) == {0: 2, 1: 2, 2: 1}
    by_image = {(r["image_id"], r["place_id"]) for r in rows}
    assert len(by_image) == 5  # never two spots of one image


def test_a_rate_counts_places_and_not_boxes() -> None:
    """Ten copies of one sure error would pay for nine doubtful ones if each counted."""
    sure = [row(box, "mislabel", 0.99, class_id=3, suggestion=5) for box in range(10)]
    doubtful = [row(10 + n, "mislabel", 0.5) for n in range(5)]
    copies = Copies(objects=dict.fromkeys(range(10), 1))
    rows = found(*sure, *doubtful, settings=FindingSettings(fdr=0.1), copies=copies)
    assert {box for box, _ in flagged(rows)} == set(range(10))
    assert len(flagged(found(*sure, *doubtful, settings=FindingSettings(fdr=0.1)))) > 10


def test_a_budget_counts_places() -> None:
    rows = [row(0, "mislabel", 0.9), row(0, "bad_box", 0.9), row(1, "mislabel", 0.8), row(2, "mislabel", 0.7)]
    assert {box for box, _ in flagged(found(*rows, settings=FindingSettings(budget=2)))} == {0, 1}
    assert not any(r["passed"] for r in found(*rows, settings=FindingSettings(budget=0)))


@given(
    st.lists(
        st.tuples(st.integers(-1, 5), st.sampled_from(ISSUES), st.floats(0, 1), st.integers(0, 2)),
        max_size=30,
        unique_by=lambda one: one[:2],
    ),
    st.sampled_from([None, 0.1, 0.6]),
)
def test_every_box_has_one_place_and_one_flag_at_most(
    given_rows: list[tuple[int, str, float, int]], fdr: float | None
) -> None:
    given_rows = [
        (-1 if issue in ("missing_box", "unreadable") else box, issue, s, c)
        for box, issue, s, c in given_rows
    ]
    rows = found(
        *(row(box, issue, s, class_id=c, suggestion=2 - c) for box, issue, s, c in given_rows),
        settings=FindingSettings(fdr=fdr),
        copies=Copies(objects={0: 1, 1: 1, 2: 1}, sources={0: 3}),
    )
    boxes = {r["box_id"] for r in rows if r["box_id"] >= 0}
    for box in boxes:
        own = [r for r in rows if r["box_id"] == box]
        assert len({r["place_id"] for r in own}) == 1
        assert sum(r["flagged"] for r in own) == any(r["passed"] for r in own)
    assert all(r["passed"] for r in rows if r["flagged"])
    assert sorted({r["place_id"] for r in rows}) == list(range(len({r["place_id"] for r in rows})))
