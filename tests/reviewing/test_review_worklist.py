"""The work list against a slow obvious sort, and verdicts that several people and processes write."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES
from healtheat.index import Index
from healtheat.reviewing.session import Review
from healtheat.view.views import EVERY, SORTS, STATES, View
from tests.reviewing.conftest import WHO

KEYS = {
    "suspicion": lambda f: (-f["suspicion"], -f["score"], f["finding_id"]),
    "score": lambda f: (-f["score"], -f["suspicion"], f["finding_id"]),
    "image": lambda f: (f["path"], f["line"], -f["score"], f["finding_id"]),
    "class": lambda f: (f["class_id"], -f["score"], f["finding_id"]),
}


def slowly(review: Review, view: View) -> list[int]:
    """What the view shows, from the rows of the index alone."""
    rows = review.index.sql(
        "SELECT f.*, i.path, i.split FROM findings f JOIN images i USING (image_id) WHERE f.flagged"
    ).to_pylist()
    kept = []
    for row in rows:
        found = review.work.decision(row["finding_id"])
        verdict = None if found is None else found.verdict
        state = {"open": verdict is None, "decided": verdict is not None, "any": True}
        if (
            view.queue in (EVERY, row["issue"])
            and view.class_id in (None, row["class_id"])
            and view.split in ("", row["split"])
            and view.signal in ("", row["signal"])
            and row["score"] >= (view.min_score or 0)
            and state.get(view.state, verdict == view.state)
        ):
            kept.append(row)
    return [row["finding_id"] for row in sorted(kept, key=KEYS[view.order])]


FILTERS: tuple[dict[str, object], ...] = (
    {},
    {"queue": "mislabel"},
    {"class_id": 3},
    {"split": "train"},
    {"min_score": 0.8},
    {"state": "decided"},
    {"state": "any"},
    {"state": "drop", "queue": "mislabel"},
    {"signal": "planned"},
    {"signal": "none"},
    {"queue": "missing_box", "state": "any"},
)


@pytest.mark.slow
def test_views_are_those_of_a_slow_sort(undecided: Review) -> None:
    work = undecided.work
    chosen = random.Random(4).sample(work.page(View(state="any"), offset=0, limit=1000), 20)
    for number, finding_id in enumerate(chosen):
        work.decide(finding_id, ("ok", "drop", "unsure")[number % 3], WHO)
    for sort, filters in itertools.product(("", *SORTS), FILTERS):
        view = View(sort=sort, **filters)  # type: ignore[arg-type]
        expected = slowly(undecided, view)
        assert work.page(view, offset=0, limit=1000) == expected
        assert work.total(view) == len(expected)
        pages = [work.page(view, offset=start, limit=7) for start in range(0, len(expected), 7)]
        assert [i for page in pages for i in page] == expected
        for place, finding_id in list(enumerate(expected))[:: 1 if sort == "image" else 9]:
            around = work.around(view, finding_id)
            assert around.before == (expected[place - 1] if place else None)
            assert list(around.behind) == expected[place + 1 : place + 4]
            assert (around.place, around.total) == (place, len(expected))


def test_what_was_just_decided_still_knows_its_neighbours(undecided: Review) -> None:
    view = View(queue="mislabel")
    order = undecided.work.page(view, offset=0, limit=10)
    undecided.work.decide(order[3], "drop", WHO)
    around = undecided.work.around(view, order[3])
    assert (around.before, around.behind[0]) == (order[2], order[4])
    assert order[3] not in undecided.work.page(view, offset=0, limit=1000)


def test_undo_brings_back_what_stood_before(undecided: Review) -> None:
    work = undecided.work
    finding_id = work.page(View(queue="mislabel"), offset=5, limit=1)[0]
    work.decide(finding_id, "ok", "somebody else")
    work.decide(finding_id, "relabel", WHO, 7)
    now = work.decision(finding_id)
    assert now is not None and (now.verdict, now.relabel_to, now.who) == ("relabel", 7, WHO)
    taken, where = work.undo(WHO)
    assert (taken.verdict, where) == ("relabel", finding_id)
    now = work.decision(finding_id)
    assert now is not None and now.who == "somebody else"
    with pytest.raises(InputError):
        work.undo(WHO)  # the other one's verdict is not mine to take back with a key
    work.undo(WHO, now.seq)
    assert work.decision(finding_id) is None


def test_verdicts_of_another_process_appear(undecided: Review) -> None:
    work = undecided.work
    first, second, third = work.page(View(queue="mislabel"), offset=0, limit=3)
    with Index.open(undecided.index.path) as other:
        theirs = Review(other, "other").work
        theirs.decide(first, "drop", "other")
        work.decide(second, "ok", WHO)  # sees the other's line while writing its own
        assert work.decision(first) is not None
        theirs.decide(third, "unsure", "other")
        assert work.decision(third) is None
        work.refresh()
        assert work.decision(third) is not None
        theirs.undo("other")
        work.refresh()
        assert work.decision(third) is None
        assert work.counts()["mislabel"] == theirs.counts()["mislabel"]
        for _, verdict in list(theirs._ledger.standing()):
            theirs.undo("other", verdict.seq)
    work.refresh()


def test_two_lines_about_one_missing_pill_are_decided_together(undecided: Review) -> None:
    view = View(queue="missing_box", state="any")
    ids = undecided.work.page(view, offset=0, limit=10)
    rows = {i: undecided.work.key(i) for i in ids}
    assert len(ids) == 3
    undecided.work.decide(ids[0], "ok", WHO)
    for other in ids[1:]:
        assert (undecided.work.decision(other) is not None) == (rows[other] == rows[ids[0]])


def test_query_and_the_work_list_agree(undecided: Review) -> None:
    from healtheat.findings.filters import Filters
    from healtheat.findings.query import query

    for number, finding_id in enumerate(undecided.work.page(View(), offset=0, limit=10)):
        undecided.work.decide(finding_id, ("ok", "drop")[number % 2], WHO)
    rows = query(undecided.index, Filters(verdicts=("ok",))).to_pylist()
    assert {row["finding_id"] for row in rows} == set(
        undecided.work.page(View(state="ok"), offset=0, limit=1000)
    )
    shown = {row["finding_id"] for row in query(undecided.index).to_pylist()}
    assert shown.isdisjoint({row["finding_id"] for row in rows}), "what was called ok is silent"


@given(
    st.builds(
        View,
        queue=st.sampled_from((EVERY, *ISSUES)),
        class_id=st.none() | st.integers(0, 10**17),
        split=st.text(max_size=20).map(str.strip),
        signal=st.sampled_from(("", "label", "a&b=c?")),
        min_score=st.none() | st.integers(0, 100).map(lambda n: n / 100),
        state=st.sampled_from(tuple(STATES)),
        sort=st.sampled_from(("", *SORTS)),
    )
)
def test_a_view_survives_its_address(view: View) -> None:
    from urllib.parse import parse_qsl, urlsplit

    parts = urlsplit(f"http://x{view.address()}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    assert View.read(parts.path.split("/")[2], query) == view


@pytest.mark.parametrize(
    "given",
    [{"class": "x"}, {"class": "-1"}, {"class": "²"}, {"min_score": "nan"}, {"min_score": "2"},
     {"min_score": "1e999"}, {"state": "gone"}, {"sort": "finding_id; drop table work"}],
)  # fmt: skip
def test_senseless_addresses_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(InputError):
        View.read("mislabel", given)
