"""Verdicts that name a place: written, read again, tied to the spot, and refused by who knows no places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healtheat.core.atomic import canonical_json
from healtheat.core.errors import BadIndex, InputError
from healtheat.core.verdicts import Place
from healtheat.findings.filters import Filters
from healtheat.findings.query import query
from healtheat.index import NewVerdict
from healtheat.index.verdicts.log import HEAD_NAME, LOG_NAME, Target, VerdictLog
from healtheat.index.verdicts.spots import SAME, overlap
from tests.made_index import MadeIndex

WHO = "김"
IMAGE = "images/train/사진.png"
LEFT, RIGHT, LOW = (0.2, 0.2, 0.2, 0.2), (0.7, 0.2, 0.2, 0.2), (0.5, 0.8, 0.2, 0.2)
NAMES = {0: "a", 3: "b"}


def missing(place: Place | None, class_id: int = -1, **more: Any) -> dict[str, Any]:
    at = {} if place is None else dict(zip(("cx", "cy", "w", "h"), place, strict=True))
    return {"image": IMAGE, "line": -1, "issue": "missing_box", "class_id": class_id, **at, **more}


def make(folder: Path, findings: Sequence[dict[str, Any]], lines: Sequence[str] = ()) -> MadeIndex:
    labels = {IMAGE: list(lines), "images/train/other.png": ["0 0.5 0.5 0.2 0.2"]}
    return MadeIndex(folder / "index", names=NAMES, root=folder / "data", labels=labels, findings=findings)


def again(folder: Path, log: MadeIndex, findings: Sequence[dict[str, Any]], **more: Any) -> MadeIndex:
    """The index as another scoring makes it, with the same log of verdicts."""
    made = make(folder / "again", findings, **more)
    for name in (LOG_NAME, HEAD_NAME):
        (made.path / name).write_bytes((log.path / name).read_bytes())
    made.judging.refresh()
    return made


def added(about: Place | None, box: Place, to: int = 3, **more: Any) -> NewVerdict:
    return NewVerdict("missing_box", "added", WHO, image_id=0, about=about, box=box, relabel_to=to, **more)


def verdicts(index: MadeIndex) -> dict[int, str | None]:
    rows = query(index, Filters(flagged_only=False)).to_pylist()
    return {row["finding_id"]: row["verdict"] for row in rows}


places = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2, *[st.floats(1e-6, 1e6)] * 2)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(about=st.none() | places, box=places, word=st.sampled_from(["added", "ok", "unsure"]))
def test_places_come_back_bit_by_bit(tmp_path: Path, about: Place | None, box: Place, word: str) -> None:
    for name in (LOG_NAME, HEAD_NAME):
        (tmp_path / name).unlink(missing_ok=True)
    more: dict[str, Any] = {"box": box, "relabel_to": 3} if word == "added" else {}
    new = NewVerdict("missing_box", word, WHO, image_id=0, about=about, **more)
    written = VerdictLog(tmp_path).append(new, Target("k", IMAGE, -1, -1))
    (read,) = VerdictLog(tmp_path).verdicts
    assert read == written and (read.about, read.box) == (about, box if word == "added" else None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"verdict": "added", "relabel_to": 3}, "place of the box"),
        ({"verdict": "added", "box": LEFT}, "class id"),
        ({"verdict": "added", "box": LEFT, "relabel_to": 3, "box_id": 0}, "missing is added"),
        ({"verdict": "moved", "box": LEFT}, "is there is moved"),
        ({"verdict": "moved", "box": LEFT, "box_id": 0, "relabel_to": 3}, "class id"),
        ({"verdict": "ok", "box": LEFT}, "place of the box"),
        ({"verdict": "ok", "box_id": 0, "about": LEFT}, "about no other place"),
        ({"verdict": "ok", "about": (0.5, 0.5, 0.0, 0.1)}, "area"),
        ({"verdict": "ok", "about": (0.5, float("nan"), 0.1, 0.1)}, "area"),
    ],
)
def test_a_senseless_place_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NewVerdict(**{"issue": "missing_box", "who": WHO, "image_id": 0, **fields})


def test_lines_without_a_place_are_as_they_were(tmp_path: Path) -> None:
    new = NewVerdict("mislabel", "relabel", WHO, box_id=0, relabel_to=3)
    VerdictLog(tmp_path).append(new, Target("k", IMAGE, 0, 0))
    (line,) = (tmp_path / LOG_NAME).read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)) == [
        "at", "box_key", "check", "class_id", "image", "issue", "line", "relabel_to", "seq", "undoes",
        "verdict", "who",
    ]  # fmt: skip


def test_a_line_with_a_place_is_no_line_of_before(tmp_path: Path) -> None:
    """`verdict` was checked to be a text: an object is refused by readers that know no places."""
    VerdictLog(tmp_path).append(added(LEFT, RIGHT), Target("k", IMAGE, -1, -1))
    (line,) = (tmp_path / LOG_NAME).read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["verdict"] == {"about": [*LEFT], "box": [*RIGHT], "verdict": "added"}


@pytest.mark.parametrize(
    "odd",
    [
        {"verdict": {"mask": []}},
        {"verdict": 3},
        {"verdict": {"box": 3}},
        {"seq": "1"},
        {"verdict": 3, "who": {"verdict": {}}},
    ],
)
def test_what_a_newer_version_wrote_is_told_as_that(tmp_path: Path, odd: dict[str, Any]) -> None:
    VerdictLog(tmp_path).append(added(LEFT, RIGHT), Target("k", IMAGE, -1, -1))
    body = json.loads((tmp_path / LOG_NAME).read_bytes())
    del body["check"]
    data = canonical_json({**body, **odd})
    check = hashlib.sha256(b"0" * 32 + data).hexdigest()[:32]
    (tmp_path / LOG_NAME).write_bytes(b'{"check":"' + check.encode() + b'",' + data[1:] + b"\n")
    (tmp_path / HEAD_NAME).unlink()
    with pytest.raises(BadIndex, match=r"verdicts\.jsonl:1: .*does not know; open it with a newer one"):
        VerdictLog(tmp_path)


def test_each_of_several_places_has_its_own_verdict(tmp_path: Path) -> None:
    made = make(tmp_path, [missing(LEFT), missing(RIGHT), missing(LOW, 3), missing(None, 3)])
    made.judging.append(NewVerdict("missing_box", "ok", WHO, image_id=0, about=LEFT))
    made.judging.append(added(RIGHT, (0.71, 0.21, 0.2, 0.18), 0))
    assert verdicts(made) == {0: "ok", 1: "added", 2: None, 3: None}
    made.judging.append(NewVerdict("missing_box", "drop", WHO, image_id=0, class_id=3))
    assert verdicts(made) == {0: "ok", 1: "added", 2: None, 3: "drop"}, "about the one without a place"
    (row,) = query(made, Filters(verdicts="added", flagged_only=False)).to_pylist()
    assert (row["status"], row["relabel_to"], row["class_id"]) == ("confirmed", 0, None)
    assert [row[f"to_{name}"] for name in ("cx", "cy", "w", "h")] == [0.71, 0.21, 0.2, 0.18]
    assert (row["cx"], row["cy"]) == (0.7, 0.2), "what was found stays beside it"
    made.judging.undo(2, WHO)
    assert verdicts(made)[1] is None


def test_two_signals_at_one_spot_are_decided_together(tmp_path: Path) -> None:
    near = (0.21, 0.2, 0.2, 0.2)
    assert overlap(LEFT, near) >= SAME
    made = make(tmp_path, [missing(LEFT, 3, score=0.9), missing(near, -1, score=0.8)])
    made.judging.append(NewVerdict("missing_box", "ok", WHO, image_id=0, about=near))
    assert verdicts(made) == {0: "ok", 1: "ok"}


def test_a_verdict_finds_its_spot_after_another_scoring(tmp_path: Path) -> None:
    made = make(tmp_path, [missing(LEFT), missing(RIGHT)])
    made.judging.append(NewVerdict("missing_box", "ok", WHO, image_id=0, class_id=-1, about=LEFT))
    made.judging.append(added(RIGHT, RIGHT))
    # other numbers, another class, slightly other places, and one that is new
    moved = [missing(LOW), missing((0.69, 0.21, 0.2, 0.2), 0), missing((0.2, 0.21, 0.19, 0.2), 3)]
    assert verdicts(again(tmp_path, made, moved)) == {0: None, 1: "added", 2: "ok"}


def test_what_was_said_before_verdicts_had_places_is_kept_where_it_is_clear(tmp_path: Path) -> None:
    made = make(tmp_path, [missing(None, 3)])
    made.judging.append(NewVerdict("missing_box", "ok", WHO, image_id=0, class_id=3))
    assert verdicts(again(tmp_path, made, [missing(LEFT, 3), missing(RIGHT, 0)])) == {0: "ok", 1: None}
    two = again(tmp_path / "two", made, [missing(LEFT, 3), missing(RIGHT, 3)])
    assert verdicts(two) == {0: None, 1: None}, "nobody can tell which was meant"


def test_a_box_drawn_where_nothing_was_found_is_a_row_of_its_own(tmp_path: Path) -> None:
    made = make(tmp_path, [missing(LEFT)])
    made.judging.append(added(LOW, LOW, 0))
    rows = query(made, Filters(flagged_only=False)).to_pylist()
    assert [(row["finding_id"], row["verdict"]) for row in rows] == [(0, None), (-2, "added")]
    row = rows[1]
    assert (row["kind"], row["issue"], row["class_id"], row["class_name"]) == ("place", "missing_box", 0, "a")
    assert (row["image"], row["line"], row["status"], row["box_id"]) == (IMAGE, -1, "confirmed", -1)
    assert tuple(row[f"to_{name}"] for name in ("cx", "cy", "w", "h")) == LOW
    made.judging.append(added(LOW, (0.5, 0.81, 0.2, 0.2), 3))  # drawn again at the spot: the last word counts
    (row,) = query(made, Filters(verdicts="added", flagged_only=False)).to_pylist()
    assert (row["relabel_to"], row["to_cy"]) == (3, 0.81)
    # once the labels hold it, it is done
    there = again(tmp_path, made, [missing(LEFT)], lines=["3 0.5 0.805 0.2 0.2"])
    assert verdicts(there) == {0: None}
    other = again(tmp_path / "other", made, [missing(LEFT)], lines=["0 0.5 0.805 0.2 0.2"])
    assert verdicts(other) == {0: None, -3: "added"}, "a box of another class there is another box"


def test_a_moved_box_settles_its_box(tmp_path: Path) -> None:
    box = {"image": "images/train/other.png", "line": 0}
    made = make(
        tmp_path, [{**box, "issue": "bad_box", "score": 0.9}, {**box, "issue": "mislabel", "score": 0.8}]
    )
    made.judging.append(NewVerdict("bad_box", "moved", WHO, box_id=0, box=LEFT))
    rows = {row["issue"]: row for row in query(made, Filters(flagged_only=False)).to_pylist()}
    assert rows["bad_box"]["status"] == "confirmed" and rows["mislabel"]["status"] == "closed"
    assert rows["bad_box"]["to_w"] == 0.2 and rows["bad_box"]["relabel_to"] is None
