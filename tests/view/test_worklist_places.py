"""A place is asked about once: copies and two exchanged boxes are one entry, with one verdict for all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from healtheat.findings.filters import Filters
from healtheat.findings.places import Copies
from healtheat.findings.query import query
from healtheat.index.verdicts.log import HEAD_NAME, LOG_NAME, VerdictLog
from healtheat.view.alike import Alike
from healtheat.view.samples import Gallery, RowKind
from healtheat.view.views import View
from healtheat.view.worklist import WorkList, relabel_for
from tests.made_index import MadeIndex

WHO = "김"
LINE = "0.5 0.5 0.2 0.2"
NAMES = {0: "a", 1: "b", 2: "c"}
FINDINGS: list[dict[str, Any]] = [
    # three camera positions of one pill, the second the strongest, with another issue below it
    {"image": "images/train/a1.png", "line": 0, "issue": "mislabel", "score": 0.8, "suggestion": 1},
    {"image": "images/train/a2.png", "line": 0, "issue": "mislabel", "score": 0.9, "suggestion": 1},
    {"image": "images/val/a3.png", "line": 0, "issue": "mislabel", "score": 0.7, "suggestion": 1},
    {"image": "images/train/a2.png", "line": 0, "issue": "bad_box", "score": 0.6},
    {"image": "images/train/a2.png", "line": 0, "issue": "outlier", "score": 0.3, "flagged": False},
    # two boxes with each other's class
    {"image": "images/train/x.png", "line": 0, "issue": "mislabel", "score": 0.95, "suggestion": 2},
    {"image": "images/train/x.png", "line": 1, "issue": "unexpected_class", "score": 0.85, "suggestion": 1},
    # one box for itself
    {"image": "images/train/x.png", "line": 2, "issue": "background", "score": 0.75},
]
STRONGEST, FIRST, THIRD, BELOW, HINT, LEFT, RIGHT, ALONE = 1, 0, 2, 3, 4, 5, 6, 7


def make(folder: Path) -> MadeIndex:
    labels = {f"images/{n}.png": [f"0 {LINE}"] for n in ("train/a1", "train/a2", "val/a3")}
    labels["images/train/x.png"] = [f"1 {LINE}", f"2 {LINE}", f"0 {LINE}"]
    copies = Copies(objects={0: 0, 1: 0, 2: 0})  # boxes 0 to 2
    return MadeIndex(
        folder / "index", names=NAMES, root=folder / "data", labels=labels, findings=FINDINGS, copies=copies
    )


@pytest.fixture
def made(tmp_path: Path) -> MadeIndex:
    return make(tmp_path)


def entries(work: WorkList, **view: Any) -> list[int]:
    return work.page(View(**view), offset=0, limit=100)


def said(work: WorkList, findings: Sequence[int]) -> list[str | None]:
    words = [work.decision(one) for one in findings]
    return [None if word is None else word.verdict for word in words]


def lines(index: MadeIndex) -> int:
    return len(VerdictLog(index.path).verdicts)


def test_each_place_is_one_entry_led_by_its_strongest_box(made: MadeIndex) -> None:
    work = WorkList(made)
    assert entries(work) == [LEFT, STRONGEST, ALONE]
    assert work.total(View()) == 3 and work.progress(View()) == (0, 3)
    assert work.counts() == {"mislabel": {"": 2}, "background": {"": 1}}
    assert work.together(STRONGEST) == [STRONGEST, FIRST, THIRD]
    assert work.together(FIRST) == [FIRST, STRONGEST, THIRD]
    assert work.company([STRONGEST, LEFT, ALONE]) == {STRONGEST: (2, 0), LEFT: (0, 1)}
    assert sorted(work.open_boxes().tolist()) == [1, 3, 5], "a ring on the map for each entry of the queue"
    around = work.around(View(), LEFT)
    assert (around.place, around.total, list(around.behind)) == (0, 3, [STRONGEST, ALONE])


def test_filters_find_a_place_by_any_of_its_boxes(made: MadeIndex) -> None:
    work = WorkList(made)
    assert entries(work, class_id=2) == [LEFT], "the other box of the exchange has it"
    assert entries(work, split="val") == [STRONGEST]
    assert entries(work, queue="unexpected_class") == [], "the queue is that of the leading reason"


def test_every_keeps_a_row_for_each_box_and_issue(made: MadeIndex) -> None:
    work = WorkList(made, every=True)
    assert sorted(entries(work)) == list(range(len(FINDINGS)))
    work.decide(STRONGEST, "drop", WHO)
    assert entries(work) == [LEFT, RIGHT, ALONE]
    assert work.counts()["bad_box"] == {"closed": 1} and work.counts()["outlier"] == {"closed": 1}
    assert work.progress(View(queue="bad_box")) == (1, 1)
    assert said(work, [FIRST, BELOW, HINT]) == ["drop", "drop", "drop"], "settled with its box"
    later = WorkList(made, every=True)
    assert entries(later) == entries(work) and later.counts() == work.counts(), "read from the log"
    work.undo(WHO)
    assert sorted(entries(work)) == list(range(len(FINDINGS)))
    later.refresh()
    assert later.counts() == work.counts()


def test_a_finding_that_does_not_lead_settles_its_box_alone(made: MadeIndex) -> None:
    every = WorkList(made, every=True)
    every.decide(BELOW, "ok", WHO)
    assert lines(made) == 1
    assert said(every, [STRONGEST, FIRST]) == ["ok", None]
    work = WorkList(made)
    assert entries(work) == [LEFT, FIRST, ALONE], "the box is settled, its copies are left"
    assert entries(work, state="decided") == [STRONGEST]
    word, finding_id = work.undo(WHO)
    assert (word.issue, finding_id) == ("bad_box", STRONGEST), "which stands for the box here"
    assert entries(work) == [LEFT, STRONGEST, ALONE]


def test_unsure_closes_nothing(made: MadeIndex) -> None:
    every = WorkList(made, every=True)
    every.decide(BELOW, "unsure", WHO)
    assert said(every, [STRONGEST, BELOW]) == [None, "unsure"]
    every.decide(STRONGEST, "drop", WHO)
    assert every.counts()["bad_box"] == {"closed": 1}
    assert WorkList(made, every=True).counts() == every.counts()


@pytest.mark.parametrize("verdict", ["ok", "drop", "unsure"])
def test_one_verdict_for_the_whole_place_and_one_undo(made: MadeIndex, verdict: str) -> None:
    work = WorkList(made)
    work.decide(STRONGEST, verdict, WHO)
    assert lines(made) == 3
    assert said(work, [STRONGEST, FIRST, THIRD, LEFT]) == [verdict] * 3 + [None]
    assert entries(work) == [LEFT, ALONE] and entries(work, state=verdict) == [STRONGEST]
    assert work.progress(View()) == (1, 3) and work.counts()["mislabel"] == {"": 1, verdict: 1}
    assert entries(WorkList(made), state="any") == [LEFT, STRONGEST, ALONE], "also after a restart"
    word, finding_id = work.undo(WHO)
    assert (word.verdict, finding_id) == (verdict, STRONGEST)
    assert lines(made) == 6 and work.decisions == 0
    assert entries(work) == entries(WorkList(made)) == [LEFT, STRONGEST, ALONE]


def test_what_the_work_list_closes_is_closed_in_a_query(made: MadeIndex) -> None:
    WorkList(made).decide(STRONGEST, "ok", WHO)
    left = query(made, Filters(), each="place")
    assert left["finding_id"].to_pylist() == entries(WorkList(made)) == [LEFT, ALONE]


def test_only_this_box_leaves_the_others_as_an_entry_of_their_own(made: MadeIndex) -> None:
    work = WorkList(made)
    work.decide(STRONGEST, "ok", WHO, whole=False)
    assert lines(made) == 1 and work.open_left(STRONGEST) == FIRST and work.open_left(ALONE) == ALONE
    for seen in (work, WorkList(made)):
        assert entries(seen) == [LEFT, FIRST, ALONE], "the strongest of those left stands for them"
        assert seen.together(FIRST) == [FIRST, THIRD] and seen.progress(View()) == (1, 4)
    assert query(made, each="place")["finding_id"].to_pylist() == entries(work)
    work.decide(FIRST, "drop", WHO)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["ok", "drop", "drop"]
    assert entries(work, state="decided") == [STRONGEST, FIRST] and work.open_left(STRONGEST) is None
    work.undo(WHO)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["ok", None, None]


def test_one_of_a_decided_place_may_be_decided_anew(made: MadeIndex) -> None:
    work = WorkList(made)
    work.decide(STRONGEST, "ok", WHO)
    work.decide(THIRD, "drop", WHO, whole=False)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["ok", "ok", "drop"]
    work.undo(WHO)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["ok", "ok", "ok"]


def test_each_of_two_exchanged_boxes_gets_the_class_of_the_other(made: MadeIndex) -> None:
    work = WorkList(made)
    work.decide(LEFT, "relabel", WHO, 2)
    rows = query(made, Filters(verdicts="relabel"), sort="box").to_pylist()
    assert [(row["class_id"], row["relabel_to"]) for row in rows] == [(1, 2), (2, 1)]
    assert entries(work, state="relabel") == [LEFT] and entries(work) == [STRONGEST, ALONE]
    work.undo(WHO)
    work.decide(LEFT, "relabel", WHO, 0)
    assert said(work, [LEFT, RIGHT]) == ["relabel", None], "another class says nothing about the other box"
    assert entries(work) == [STRONGEST, RIGHT, ALONE]
    work.undo(WHO)
    work.decide(STRONGEST, "relabel", WHO, 1)
    rows = query(made, Filters(verdicts="relabel")).to_pylist()
    assert [(row["class_id"], row["relabel_to"]) for row in rows] == [(0, 1)] * 3


def test_classes_of_a_place_by_the_one_that_was_given() -> None:
    assert relabel_for(4, own=4, to=7) == 7
    assert relabel_for(7, own=4, to=7) == 4
    assert relabel_for(5, own=4, to=7) is None
    assert relabel_for(4, own=4, to=4) == 4


def test_a_decision_half_written_can_be_used_and_sent_again(made: MadeIndex, tmp_path: Path) -> None:
    log, head = made.path / LOG_NAME, made.path / HEAD_NAME
    WorkList(made).decide(ALONE, "ok", WHO)
    before, known = log.read_bytes(), head.read_bytes()
    WorkList(made).decide(STRONGEST, "drop", WHO)
    written = log.read_bytes()[len(before) :].splitlines(keepends=True)
    assert len(written) == 3
    log.write_bytes(before + written[0] + written[1][:40])  # killed within the second line
    head.write_bytes(known)
    for name in (LOG_NAME, HEAD_NAME):
        (tmp_path / "again" / "index").mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / "index" / name).write_bytes((made.path / name).read_bytes())
    killed = make(tmp_path / "again")
    work = WorkList(killed)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["drop", None, None]
    assert entries(work) == [LEFT, FIRST], "what is left of the place is asked about"
    work.decide(STRONGEST, "drop", WHO, again=True)
    assert said(work, [STRONGEST, FIRST, THIRD]) == ["drop"] * 3 and lines(killed) == 4
    work.decide(STRONGEST, "drop", WHO, again=True)
    assert lines(killed) == 4, "nothing is written twice"


def test_two_decisions_in_one_moment_stay_two(made: MadeIndex) -> None:
    work = WorkList(made)
    for finding_id in (STRONGEST, LEFT, ALONE):
        work.decide(finding_id, "ok", WHO)
    times = [verdict.at for verdict in VerdictLog(made.path).verdicts]
    assert times[0] == times[1] == times[2] != times[3] == times[4] != times[5]
    work.undo(WHO)
    assert said(work, [STRONGEST, LEFT, ALONE]) == ["ok", "ok", None]
    first = work.decision(FIRST)
    assert first is not None
    work.undo(WHO, first.seq)
    assert said(work, [STRONGEST, FIRST, THIRD, LEFT, RIGHT]) == [None] * 3 + ["ok"] * 2


def test_a_sample_shows_the_other_reasons_of_its_box_and_its_copies(
    made: MadeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alike, "__init__", lambda self, index: None)
    monkeypatch.setattr(Alike, "typical", lambda *_: [])
    monkeypatch.setattr(Alike, "nearest", lambda *_: [])
    work = WorkList(made)
    gallery = Gallery(made, work, Alike(made))
    sample = gallery.get(STRONGEST)
    assert [(one["issue"], one["listed"]) for one in sample.others] == [("bad_box", False)]
    assert [(one["path"], one["exchanged"]) for one in sample.members] == [
        ("images/train/a1.png", False),
        ("images/val/a3.png", False),
    ]
    assert [(row.kind, list(row.box_ids)) for row in sample.rows] == [(RowKind.COPIES, [0, 2])]
    other = gallery.get(LEFT)
    assert [(one["line"], one["class_id"], one["exchanged"]) for one in other.members] == [(1, 2, True)]
    assert [(row.kind, list(row.box_ids)) for row in other.rows] == [(RowKind.TWIN, [4])]
    cards = gallery.cards([LEFT, STRONGEST, ALONE])
    assert [(c["copies"], c["exchanged"], c["also"]) for c in cards] == [
        (0, 1, []), (2, 0, ["bad_box"]), (0, 0, []),
    ]  # fmt: skip
    every = Gallery(made, WorkList(made, every=True), Alike(made))
    assert [(one["issue"], one["listed"]) for one in every.get(STRONGEST).others] == [("bad_box", True)]


SPOTS = ((0.2, 0.2, 0.2, 0.2), (0.7, 0.2, 0.2, 0.2), (0.5, 0.8, 0.2, 0.2))


def missing(folder: Path) -> MadeIndex:
    """Two images of one source, each with two spots where a box of one class is missing, and a loose box."""
    findings: list[dict[str, Any]] = [
        {
            "image": f"images/{n}.png",
            "line": -1,
            "issue": "missing_box",
            "class_id": 1,
            "score": score - 0.01 * at,
        }
        | dict(zip(("cx", "cy", "w", "h"), SPOTS[at], strict=True))
        for n, score in (("a", 0.9), ("b", 0.8))
        for at in (0, 1)
    ]
    findings.append({"image": "images/a.png", "line": 0, "issue": "bad_box", "score": 0.7})
    return MadeIndex(
        folder / "index",
        names=NAMES,
        root=folder / "data",
        labels={"images/a.png": [f"0 {LINE}"], "images/b.png": []},
        findings=findings,
        copies=Copies(sources={0: 5, 1: 5}),
    )


def test_places_are_decided_one_by_one_on_copies_too(tmp_path: Path) -> None:
    work = WorkList(missing(tmp_path))
    assert entries(work) == [0, 1, 2, 3, 4]
    assert work.decide(0, "ok", WHO).about == SPOTS[0]
    drawn = work.decide(1, "added", WHO, 2, box=(0.7, 0.21, 0.2, 0.2))
    assert (drawn.about, drawn.box, drawn.relabel_to) == (SPOTS[1], (0.7, 0.21, 0.2, 0.2), 2)
    work.decide(4, "moved", WHO, box=(0.5, 0.5, 0.3, 0.2))
    assert said(work, range(5)) == ["ok", "added", None, None, "moved"]
    assert entries(work) == [2, 3] and entries(work, state="added") == [1]
    assert work.counts()["missing_box"] == {"": 2, "added": 1, "ok": 1}
    other = WorkList(missing_again(tmp_path))
    assert said(other, range(5)) == ["ok", "added", None, None, "moved"]
    assert [work.undo(WHO)[1] for _ in range(3)] == [4, 1, 0]
    assert said(work, range(5)) == [None] * 5


def missing_again(folder: Path) -> MadeIndex:
    made = missing(folder / "again")
    for name in (LOG_NAME, HEAD_NAME):
        (made.path / name).write_bytes((folder / "index" / name).read_bytes())
    return made


def test_a_box_is_drawn_on_any_image(tmp_path: Path) -> None:
    made = missing(tmp_path)
    work = WorkList(made)
    drawn = work.draw(1, SPOTS[2], 2, WHO)
    assert work.draw(1, SPOTS[2], 2, WHO, again=True) == drawn and lines(made) == 1, (
        "sent twice, written once"
    )
    assert work.draw(1, SPOTS[2], 0, WHO, again=True) != drawn, "another class is another decision"
    assert work.decisions == 1
    on_spot = work.draw(0, (0.2, 0.21, 0.2, 0.2), 1, WHO)
    assert work.decision(0) == on_spot and work.decision(2) is None, "drawn where one was found: that is it"
    assert work.undo(WHO) == (on_spot, 0)
    assert work.undo(WHO)[1] == -1, "no finding to go back to"
    assert work.decision(0) is None
    with pytest.raises(KeyError):
        work.draw(9, SPOTS[2], 2, WHO)


def test_sent_twice_a_place_is_written_once(tmp_path: Path) -> None:
    made = missing(tmp_path)
    work = WorkList(made)
    first = work.decide(0, "added", WHO, 1, box=SPOTS[0])
    assert work.decide(0, "added", WHO, 1, box=SPOTS[0], again=True) == first
    assert lines(made) == 1
    assert work.decide(0, "added", WHO, 1, box=SPOTS[2], again=True) != first
