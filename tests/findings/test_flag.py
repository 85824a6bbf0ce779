"""Scores → thresholds, false-alarm rates and budgets → flags."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.findings.flag import FindingSettings, at_false_alarm_rate, expected_errors, find
from healtheat.findings.run import SCORES_SCHEMA


def scores(*rows: tuple[int, str, str, float | None], **more: object) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "run_id": 1,
                "box_id": box,
                "image_id": max(box, 0),
                "signal": signal,
                "issue": issue,
                "raw": score,
                "score": score,
                "abstain": "too few" if score is None else None,
                "reason": f"{signal} says so",
                "suggestion": -1,
                "twin_box_id": -1,
                "evidence": "{}",
                "line": 5 if box == 0 else -1,
                "class_id": 4 if box == 0 else 9,
                **more,
            }
            for box, signal, issue, score in rows
        ],
        schema=SCORES_SCHEMA,
    )


def test_the_highest_score_of_an_issue_is_the_finding() -> None:
    table = scores((0, "a", "mislabel", 0.2), (0, "b", "mislabel", 0.7), (0, "a", "outlier", 0.1))
    rows = find(table).to_pylist()
    assert [(r["issue"], r["signal"], r["score"], r["flagged"]) for r in rows] == [
        ("mislabel", "b", 0.7, True),
        ("outlier", "a", 0.1, False),
    ]
    assert {r["suspicion"] for r in rows} == {0.7}
    assert {(r["line"], r["class_id"]) for r in rows} == {(5, 4)}


def test_abstaining_makes_no_row() -> None:
    assert find(scores((0, "a", "mislabel", None))).num_rows == 0


def test_rows_about_images_keep_their_class_and_place() -> None:
    table = scores((-1, "a", "missing_box", 1.0), (-1, "a", "missing_box", 0.9), class_id=31, cx=0.5)
    rows = find(table).to_pylist()
    assert [(r["line"], r["class_id"], r["score"]) for r in rows] == [(-1, 31, 1.0), (-1, 31, 0.9)]
    assert [(r["kind"], r["cx"]) for r in rows] == [("place", 0.5)] * 2


def test_every_finding_says_what_it_is_about() -> None:
    about = [
        ("box", scores((0, "a", "bad_box", 0.9))),
        ("place", scores((-1, "a", "missing_box", 0.9))),
        ("line", scores((-1, "a", "unreadable", 1.0), line=3)),
        ("image", scores((-1, "a", "duplicate", 0.6))),
        ("file", scores((-1, "a", "unreadable", 1.0), image_id=-1)),
    ]
    assert [(find(table)["kind"].to_pylist(), kind) for kind, table in about] == [([k], k) for k, _ in about]


def test_what_is_withheld_or_double_has_columns_of_its_own() -> None:
    table = scores((0, "a", "duplicate", 0.9), withheld="why", twin_box_id=7, evidence='{"withheld": "no"}')
    (row,) = find(table).to_pylist()
    assert (row["withheld"], row["twin_box_id"]) == ("why", 7)
    text = scores((0, "a", "duplicate", 0.9), evidence='{"withheld": "no", "box_id": 7}')
    (row,) = find(text).to_pylist()  # evidence is for people: nothing is read out of it
    assert (row["withheld"], row["twin_box_id"], row["flagged"]) == (None, -1, True)


def test_withheld_findings_keep_their_place_but_get_no_flag() -> None:
    rows = find(scores((0, "a", "mislabel", 0.99), withheld="look-alikes")).to_pylist()
    assert [(r["score"], r["flagged"]) for r in rows] == [(0.99, False)]
    settings = FindingSettings(fdr=0.5)
    assert not find(scores((0, "a", "mislabel", 0.99), withheld="x"), settings)["flagged"][0].as_py()


def test_a_withheld_finding_says_why_and_makes_room_for_another_signal() -> None:
    doubtful = scores((0, "label", "mislabel", 0.95), withheld="look-alikes")
    (alone,) = find(doubtful).to_pylist()
    assert alone["reason"] == "label says so; not flagged: look-alikes"
    for other, expected in ((0.9, ("looks", True)), (0.2, ("label", False))):
        both = pa.concat_tables([doubtful, scores((0, "looks", "mislabel", other))])
        for table in (both, both.take([1, 0])):
            (row,) = find(table).to_pylist()
            assert (row["signal"], row["flagged"]) == expected


def test_thresholds_change_without_scoring_again() -> None:
    table = scores((0, "a", "mislabel", 0.3), (1, "a", "mislabel", 0.6))
    flags = find(table, FindingSettings(thresholds={"mislabel": 0.2}))["flagged"].to_pylist()
    assert flags == [True, True]


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.01, 0.99))
def test_false_alarm_rate_is_the_longest_prefix_that_holds(values: list[float], fdr: float) -> None:
    score = np.array(values, np.float64)
    flagged = at_false_alarm_rate(score, fdr)
    order = sorted(values, reverse=True)
    longest = 0
    for k in range(1, len(order) + 1):
        if sum(1 - v for v in order[:k]) / k <= fdr + 1e-12:
            longest = k
    assert abs(int(flagged.sum()) - longest) <= 1  # rounding at the very limit
    if flagged.any() and not flagged.all():
        assert score[flagged].min() >= score[~flagged].max()


def test_false_alarm_rate_over_places() -> None:
    table = scores((0, "a", "mislabel", 0.95), (1, "a", "mislabel", 0.9), (2, "a", "mislabel", 0.5))
    assert find(table, FindingSettings(fdr=0.1))["flagged"].to_pylist() == [True, True, False]


def test_budget_flags_the_most_suspicious_and_says_how_many_errors_to_expect() -> None:
    table = scores((0, "a", "mislabel", 0.6), (1, "a", "bad_box", 0.9), (2, "a", "mislabel", 0.7))
    findings = find(table, FindingSettings(budget=2))
    assert dict(zip(findings["box_id"].to_pylist(), findings["flagged"].to_pylist(), strict=True)) == {
        0: False,
        1: True,
        2: True,
    }
    assert expected_errors(findings, 2) == pytest.approx(1.6)
    assert find(table, FindingSettings(budget=0))["flagged"].to_pylist() == [False] * 3


def test_settings_reject_what_they_do_not_know() -> None:
    for bad in ({"fdr": 0}, {"fdr": 1.5}, {"budget": -1}, {"other": 1}):
        with pytest.raises(ValueError):
            FindingSettings(**bad)


PLACE = {"cx": 0.5, "cy": 0.5, "w": 0.2, "h": 0.2}


def missing(*rows: dict[str, object]) -> list[dict[str, object]]:
    tables = [
        scores((-1, str(row.pop("signal")), "missing_box", float(str(row.pop("score")))), **row)
        for row in rows
    ]
    return list(find(pa.concat_tables(tables)).to_pylist())


def test_what_is_missing_and_where_are_one_finding() -> None:
    (found,) = missing(
        {"signal": "contents", "score": 1.0, "class_id": 31},
        {"signal": "overlooked", "score": 0.8, "class_id": 31, **PLACE},
    )
    assert (found["class_id"], found["score"], found["cx"]) == (31, 1.0, 0.5)
    assert found["reason"] == "contents says so; here: overlooked says so"


@pytest.mark.parametrize("other", [{"class_id": 30}, {"image_id": 4}, {"class_id": -1}])
def test_another_class_or_image_is_another_finding(other: dict[str, object]) -> None:
    found = missing(
        {"signal": "contents", "score": 1.0, "class_id": 31},
        {"signal": "overlooked", "score": 0.8, "class_id": 31, **PLACE, **other},
    )
    assert sorted(float(str(row["score"])) for row in found) == [0.8, 1.0]


def test_two_of_a_class_are_two_findings() -> None:
    one = {"signal": "contents", "score": 1.0, "class_id": 31}
    here = {"signal": "overlooked", "score": 0.8, "class_id": 31, **PLACE}
    assert [row["cx"] for row in missing(dict(one), dict(one), here)] == [None, 0.5]


def test_one_place_of_two_signals_is_one_finding() -> None:
    near = {**PLACE, "cx": 0.53}
    far = {**PLACE, "cx": 0.9}
    found = missing(
        {"signal": "agreement", "score": 0.6, "class_id": 3, **PLACE},
        {"signal": "overlooked", "score": 0.8, "class_id": -1, **near},
        {"signal": "overlooked", "score": 0.7, "class_id": -1, **far},
    )
    assert [(row["signal"], row["cx"]) for row in found] == [("overlooked", 0.53), ("overlooked", 0.9)]
    same = [{"signal": "a", "score": s, "class_id": 3, **PLACE} for s in (0.9, 0.8)]
    assert len(missing(*same)) == 2  # a signal that says it twice means two


@pytest.mark.parametrize(
    ("bad", "beside", "held"),
    [
        ({"score": 0.9}, {}, True),
        ({"score": 0.9}, {"cx": 0.53}, True),
        ({"score": 0.9}, {"cx": 0.9}, False),  # another place
        ({"score": 0.9}, {"image_id": 4}, False),
        ({"score": 0.3}, {}, False),  # nobody would be asked about the box
        ({"score": 0.9, "withheld": "no"}, {}, False),
    ],
)
def test_an_object_is_asked_for_once(bad: dict[str, object], beside: dict[str, object], held: bool) -> None:
    """A box that belongs where one is missing: it is moved, and no box is added."""
    box = scores((0, "overlooked", "bad_box", 0.9), image_id=3, **{**PLACE, **bad})
    hole = scores((-1, "overlooked", "missing_box", 0.8), **{"image_id": 3, **PLACE, **beside})
    found = {row["issue"]: row for row in find(pa.concat_tables([box, hole])).to_pylist()}
    assert (found["missing_box"]["withheld"] is not None) == held
    assert found["missing_box"]["flagged"] == (not held)
    if held:
        assert found["missing_box"]["reason"].endswith("not flagged: box 6 seems to belong there")
        assert found["bad_box"]["flagged"]
