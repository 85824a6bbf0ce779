"""The figures of a scoring, against tables of a few rows."""

from typing import Any

import pyarrow as pa

from healtheat.findings.outcome import Flags, failures_of
from healtheat.index.tables import schema


def table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema(name))


def finding(place: int, box: int, issue: str, score: float, flagged: bool, **more: Any) -> dict[str, Any]:
    about = {"place_id": place, "box_id": box, "issue": issue, "score": score}
    return {**about, "passed": flagged, "flagged": flagged, **more}


def test_flags_are_counted_by_issue_and_by_place() -> None:
    findings = [
        finding(0, 1, "mislabel", 0.9, True),
        finding(0, 1, "bad_box", 0.7, False, passed=True),  # under the first
        finding(0, 5, "mislabel", 0.8, True),  # a copy of it
        finding(1, 2, "mislabel", 0.6, True),
        finding(2, 3, "mislabel", 0.7, False, withheld="the classes look alike"),
        finding(3, 4, "mislabel", 0.1, False),
        finding(4, -1, "missing_box", 0.5, True),
        finding(5, -1, "missing_box", 0.8, True),
        finding(6, -1, "unreadable", 1.0, True),
    ]
    scores = [
        {"signal": "label", "abstain": "few boxes"},
        {"signal": "label", "abstain": "one class"},
        {"signal": "label", "abstain": "few boxes"},
        {"signal": "label", "abstain": None},
        {"signal": "looks", "abstain": "few boxes"},
    ]
    silences = [{"run_id": 3, "signal": "looks", "issue": "mislabel", "why": "not asked: no words"}]
    given = {"findings": findings, "scores": scores, "silences": silences}
    flags = Flags.of({name: table(name, rows) for name, rows in given.items()})
    assert list(flags.issues.items()) == [("mislabel", 2), ("missing_box", 2), ("unreadable", 1)]
    assert flags.withheld == 1
    assert flags.highest == {"bad_box": 0.7, "mislabel": 0.9, "missing_box": 0.8, "unreadable": 1.0}
    assert list(flags.unjudged.items()) == [("few boxes", 2), ("one class", 1)]
    assert [str(silence) for silence in flags.silences] == ["looks (mislabel): not asked: no words"]
    assert (flags.places, flags.boxes, round(flags.errors, 9)) == (5, 6, 0.9 + 0.6 + 0.5 + 0.8 + 1.0)


def test_nothing_is_flagged() -> None:
    flags = Flags.of({name: table(name, []) for name in ("findings", "scores", "silences")})
    assert flags == Flags({}, 0, {}, 0, 0, 0.0)


def test_failures_name_the_signal_and_whose_fault_it_is() -> None:
    runs = [
        {"signal": "label", "status": "ok"},
        {"signal": "agreement", "status": "crashed", "error": "InputError: none fits", "fault": "input"},
        {"signal": "looks", "status": "crashed", "error": "ValueError: InputError: no", "fault": "crash"},
    ]
    found = failures_of(table("runs", runs))
    assert [(f.signal, f.fault) for f in found] == [("agreement", "input"), ("looks", "crash")]
    assert str(found[0]) == "agreement: InputError: none fits"
