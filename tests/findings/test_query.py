"""Filters against a slow loop in Python; order and columns as promised."""

import csv
import fnmatch
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES
from healtheat.core.table import write_csv
from healtheat.findings.counts import QueryCounts
from healtheat.findings.filters import STATUSES, Filters, class_ids
from healtheat.findings.query import COLUMNS, SORTS, count, query
from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

NAMES = {3: "타이레놀", 7: "advil", 40: "advil gel"}
IMAGES = ["images/train/가나.jpg", "images/train/b.jpg", "images/val/b.jpg"]


def rows_of(index: MadeIndex, filters: Filters, **options: Any) -> list[dict[str, Any]]:
    return query(index, filters, **options).to_pylist()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> MadeIndex:
    folder = tmp_path_factory.mktemp("made")
    rng = random.Random(5)
    labels = {
        image: [f"{rng.choice([3, 7, 40])} 0.{n + 1} 0.5 0.25 0.125" for n in range(6)] for image in IMAGES
    }
    findings = [
        {
            "image": image,
            "line": line,
            "issue": issue,
            "score": rng.choice([0.1, 0.25, 0.5, 0.9, 1.0, None]),
            "suspicion": rng.random(),
            "signal": f"signal-{issue}",
            "suggestion": rng.choice([-1, 3, 7]),
            "flagged": rng.random() < 0.5,
        }
        for image in IMAGES
        for line in range(6)
        for issue in ("mislabel", "bad_box", "duplicate")
    ]
    findings.append({"image": IMAGES[1], "line": -1, "class_id": 40, "issue": "missing_box", "score": 1.0})
    made = MadeIndex(folder / "index", names=NAMES, root=folder / "data", labels=labels, findings=findings)
    decide = {"who": "a"}
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="drop", **decide))
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="ok", **decide))
    made.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="drop", **decide))
    wrong = made.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="ok", **decide))
    made.judging.undo(wrong.seq, "b")
    made.judging.append(NewVerdict(box_id=2, issue="bad_box", verdict="relabel", relabel_to=7, **decide))
    made.judging.append(NewVerdict(image_id=1, class_id=40, issue="missing_box", verdict="unsure", **decide))
    return made


def test_columns_are_the_contract(index: MadeIndex) -> None:
    table = query(index, Filters(flagged_only=False))
    assert table.column_names == list(COLUMNS)
    assert table.column_names[:5] == ["image", "line", "class_id", "issue", "score"]
    assert table.num_rows == 55


def test_every_row_says_what_the_file_says(index: MadeIndex) -> None:
    for row in rows_of(index, Filters(flagged_only=False)):
        if row["line"] < 0:
            assert (row["class_id"], row["box_id"], row["cx"]) == (40, -1, None)
            continue
        text = (index.root / row["label_file"]).read_text(encoding="utf-8").splitlines()[row["line"]]
        assert text == f"{row['class_id']} {row['cx']} {row['cy']} {row['w']} {row['h']}"
        assert row["class_name"] == NAMES[row["class_id"]]
        assert row["suggestion_name"] == (None if row["suggestion"] is None else NAMES[row["suggestion"]])


some = st.lists
filters = st.builds(
    Filters,
    issues=some(st.sampled_from(ISSUES), max_size=3, unique=True),
    classes=some(st.sampled_from([3, 7, 40, 99]), max_size=2, unique=True),
    signals=some(st.sampled_from(["signal-mislabel", "made", "nobody"]), max_size=2, unique=True),
    splits=some(st.sampled_from(["train", "val", ""]), max_size=2, unique=True),
    images=some(st.sampled_from(["*가*", "images/*/b.jpg", "images/val/*", "?", "*[bc].jpg"]), max_size=2),
    min_score=st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.9, 1.0])),
    flagged_only=st.booleans(),
    verdicts=some(st.sampled_from(["ok", "drop", "relabel", "unsure", "none"]), max_size=2, unique=True),
    statuses=some(st.sampled_from(STATUSES), max_size=2, unique=True),
)


SETTLED = {0, 1, 2}  # boxes that somebody decided about


def status_of(row: dict[str, Any]) -> str:
    if row["verdict"] in ("drop", "relabel"):
        return "confirmed"
    if row["verdict"] == "ok":
        return "cleared"
    if row["box_id"] in SETTLED:
        return "closed"
    return "flagged" if row["passed"] else "unflagged"


def passes(row: dict[str, Any], f: Filters) -> bool:
    """The slow, obvious version."""
    checks = [
        not f.issues or row["issue"] in f.issues,
        not f.classes or row["class_id"] in f.classes,
        not f.signals or row["signal"] in f.signals,
        not f.splits or row["split"] in f.splits,
        not f.images or any(fnmatch.fnmatchcase(row["image"], glob) for glob in f.images),
        f.min_score is None or (row["score"] is not None and row["score"] >= f.min_score),
        not f.verdicts or (row["verdict"] or "none") in f.verdicts,
        not f.statuses or status_of(row) in f.statuses,
        not f.flagged_only or bool(f.statuses) or row["passed"],
        not f.flagged_only or bool(f.statuses or f.verdicts) or status_of(row) != "cleared",
        not f.flagged_only or bool(f.statuses) or status_of(row) != "closed",
    ]
    return all(checks)


def unknown_to(f: Filters) -> bool:
    """Whether a value of the filters is none of this index."""
    return bool(
        set(f.classes) - set(NAMES)
        or set(f.signals) & {"nobody"}
        or set(f.splits) - {"train", "val"}
        or any(not any(fnmatch.fnmatchcase(image, glob) for image in IMAGES) for glob in f.images)
    )


@pytest.mark.slow
@given(filters)
@settings(max_examples=25, deadline=None)
def test_filters_equal_a_loop(index: MadeIndex, f: Filters) -> None:
    if unknown_to(f):
        for ask in (query, count):
            with pytest.raises(InputError, match=r"^no (class|signal|split|image)"):
                ask(index, f)
        return
    everything = rows_of(index, Filters(flagged_only=False), sort="box")
    expected = [row for row in everything if passes(row, f)]
    assert rows_of(index, f, sort="box") == expected
    assert count(index, f) == len(expected)
    for each, unit in (("place", "place_id"), ("box", "box_id")):
        of_unit: dict[int, list[dict[str, Any]]] = {}
        for row in expected:
            of_unit.setdefault(-1 - row["finding_id"] if row[unit] < 0 else row[unit], []).append(row)
        lead = [max(own, key=lambda r: (r["flagged"], r["score"] or -1)) for own in of_unit.values()]
        got = rows_of(index, f, each=each)
        assert sorted((r["box_id"], r["score"] or -1) for r in got) == sorted(
            (r["box_id"], r["score"] or -1) for r in lead
        )
        assert count(index, f, each=each) == len(of_unit)


def test_a_row_names_the_other_issues_of_its_box(index: MadeIndex) -> None:
    rows = rows_of(index, Filters(flagged_only=False))
    for row in rows:
        others = {r["issue"] for r in rows if r["box_id"] == row["box_id"] >= 0 and r["passed"]} - {
            row["issue"]
        }
        assert set((row["also"] or "").split(", ")) - {""} == others


def test_a_verdict_settles_the_box_and_undo_opens_it_again(tmp_path: Path) -> None:
    findings = [{"image": IMAGES[0], "line": 0, "issue": issue, "score": 0.9} for issue in ISSUES[:2]]
    made = MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels={IMAGES[0]: ["3 0.5 0.5 0.2 0.2"]},
        findings=findings,
    )
    first, second = ISSUES[:2]

    def statuses() -> dict[str, str]:
        return {r["issue"]: r["status"] for r in rows_of(made, Filters(flagged_only=False))}

    assert statuses() == {first: "flagged", second: "flagged"}
    wrong = made.judging.append(NewVerdict(box_id=0, issue=first, verdict="drop", who="a"))
    assert statuses() == {first: "confirmed", second: "closed"}
    assert [r["issue"] for r in rows_of(made, Filters())] == [first]
    made.judging.undo(wrong.seq, "a")
    assert statuses() == {first: "flagged", second: "flagged"}
    made.judging.append(NewVerdict(box_id=0, issue=first, verdict="unsure", who="a"))
    assert statuses() == {first: "flagged", second: "flagged"}  # nothing is settled


def test_a_place_of_which_a_part_is_settled_is_two(tmp_path: Path) -> None:
    image = IMAGES[1]
    made = MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels={image: ["3 0.2 0.5 0.1 0.1", "7 0.6 0.5 0.1 0.1", "7 0.9 0.5 0.1 0.1"]},
        findings=[
            {"image": image, "line": 0, "issue": "mislabel", "score": 0.9, "suggestion": 7},
            {"image": image, "line": 1, "issue": "mislabel", "score": 0.8, "suggestion": 3},
            {"image": image, "line": 2, "issue": "bad_box", "score": 0.99},
        ],
    )
    whole = rows_of(made, Filters(), each="place")
    assert [(row["line"], row["status"]) for row in whole] == [(2, "flagged"), (0, "flagged")]
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="relabel", who="a", relabel_to=7))
    parts = rows_of(made, Filters(), each="place")
    assert [(row["line"], row["status"]) for row in parts] == [
        (2, "flagged"),
        (0, "confirmed"),
        (1, "flagged"),
    ]
    assert count(made, Filters(), each="place") == 3


def test_the_gate_counts_what_the_filters_ask_for(index: MadeIndex) -> None:
    for statuses in (("confirmed",), ("cleared",), ("flagged", "cleared"), ()):
        filters = Filters(statuses=statuses)
        listed = rows_of(index, filters, each="place")
        assert QueryCounts.of(index, filters).flagged == len(listed)


def test_every_row_says_what_it_has_come_to(index: MadeIndex) -> None:
    rows = rows_of(index, Filters(flagged_only=False))
    assert [row["status"] for row in rows] == [status_of(row) for row in rows]
    decided = {(row["decided_by"], bool(row["decided_at"])) for row in rows if row["verdict"]}
    assert decided == {("a", True)}
    assert {row["decided_by"] for row in rows if not row["verdict"]} == {None}


def test_verdicts_last_word_counts_and_undo_takes_it_back(index: MadeIndex) -> None:
    found = {
        (row["box_id"], row["issue"]): (row["verdict"], row["relabel_to"])
        for row in rows_of(index, Filters(flagged_only=False))
        if row["verdict"]
    }
    assert found == {
        (0, "mislabel"): ("ok", None),
        (1, "mislabel"): ("drop", None),
        (2, "bad_box"): ("relabel", 7),
        (-1, "missing_box"): ("unsure", None),
    }


def test_sorting(index: MadeIndex) -> None:
    everything = Filters(flagged_only=False)

    def falling(values: Iterator[float | None]) -> bool:
        numbers = [-1.0 if v is None else v for v in values]
        return numbers == sorted(numbers, reverse=True)

    assert falling(row["suspicion"] for row in rows_of(index, everything))
    assert falling(row["score"] for row in rows_of(index, Filters(issues=["bad_box"], flagged_only=False)))
    by_image = [(row["image"], row["line"]) for row in rows_of(index, everything, sort="image")]
    assert by_image == sorted(by_image)
    for sort in SORTS:
        ids = [row["finding_id"] for row in rows_of(index, everything, sort=sort)]
        assert sorted(ids) == list(range(55))
        assert [row["finding_id"] for row in rows_of(index, everything, sort=sort, limit=7)] == ids[:7]


def test_classes_by_id_or_exact_name() -> None:
    names = {**NAMES, 50: "7", 51: "advil"}
    assert class_ids(names, ["40", "타이레놀"]) == (40, 3)
    assert class_ids(names, ["advil"]) == (7, 51)  # a name may be used twice
    assert class_ids(names, ["7"]) == (7,)  # an id goes before a name that looks like one
    with pytest.raises(InputError, match="did you mean 'advil'"):
        class_ids(names, ["advill"])
    with pytest.raises(InputError, match="no class '99'"):
        class_ids(names, ["99"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"issues": ["mislabeled"]},
        {"verdicts": ["yes"]},
        {"statuses": ["done"]},
        {"min_score": 1.5},
        {"min_score": float("nan")},
    ],
)
def test_unknown_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Filters(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"splits": "trian"}, "no split 'trian'; did you mean 'train'?; choose from train, val"),
        ({"signals": ["signal-mislabl"]}, "no signal 'signal-mislabl'; did you mean 'signal-mislabel'"),
        ({"classes": "advill"}, "no class 'advill' in this index; did you mean 'advil'"),
        ({"classes": 99}, "no class '99' in this index"),
        ({"images": "nope*"}, "no image matches 'nope\\*'; paths look like 'images/"),
        ({"images": "val"}, "no image matches 'val'; did you mean '\\*val\\*'?"),
    ],
)
def test_a_value_the_index_lacks_is_refused(index: MadeIndex, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?;", "\\?;")):
        query(index, Filters(**wrong))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"issues": "mislabeled"}, "no issue 'mislabeled'; did you mean 'mislabel'"),
        ({"issues": 3}, "issues: expected text or several, found int"),
        ({"splits": [b"train"]}, "splits: expected text or several, found bytes"),
        ({"classes": [1.5]}, "classes: expected text or a number or several, found float"),
        ({"classes": [True]}, "classes: expected .*, found bool"),
        ({"min_score": "high"}, "min_score: expected a number, found str"),
    ],
)
def test_wrong_types_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Filters(**wrong)


def test_one_value_or_several_is_the_same(index: MadeIndex) -> None:
    one = query(index, Filters(issues="mislabel", classes="advil", flagged_only=False))
    assert len(one) and one.equals(
        query(index, Filters(issues=["mislabel"], classes=[7], flagged_only=False))
    )


def test_a_value_without_findings_is_an_empty_result(index: MadeIndex) -> None:
    assert len(query(index, Filters(issues="outlier", flagged_only=False))) == 0


def test_unknown_sort_is_refused(index: MadeIndex) -> None:
    with pytest.raises(InputError, match="choose from suspicion"):
        query(index, sort="score; drop table findings")


def test_benchmark_reads_the_csv(index: MadeIndex, shared: Path, tmp_path: Path) -> None:
    out = io.StringIO(newline="")
    write_csv(query(index, Filters(issues=["mislabel"], flagged_only=False, min_score=0.0)), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert rows and all(0 <= float(row["score"]) <= 1 and int(row["line"]) >= 0 for row in rows)


def test_a_verdict_without_its_finding_is_a_row_of_its_own(tmp_path: Path) -> None:
    made = MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels={"images/a.jpg": ["3 0.1 0.5 0.25 0.125", "7 0.5 0.5 0.25 0.125"]},
        findings=[{"image": "images/a.jpg", "line": 0, "issue": "mislabel", "score": 0.9}],
    )
    said = made.judging.append(NewVerdict(box_id=1, issue="outlier", verdict="drop", who="a"))
    made.judging.append(NewVerdict(box_id=0, issue="outlier", verdict="unsure", who="a"))  # settles nothing
    row = rows_of(made, Filters(statuses="confirmed"))[0]
    named = ("finding_id", "box_id", "line", "class_id", "issue", "score", "verdict", "status", "passed")
    assert [row[name] for name in named] == [
        -1 - said.seq,
        1,
        1,
        7,
        "outlier",
        None,
        "drop",
        "confirmed",
        False,
    ]
    assert row["decided_by"] == "a" and "no longer" in row["reason"]
    assert (row["cx"], row["cy"], row["w"], row["h"]) == (0.5, 0.5, 0.25, 0.125)
    assert len(rows_of(made, Filters(flagged_only=False))) == count(made, Filters(flagged_only=False)) == 2
    assert [row["box_id"] for row in rows_of(made, Filters())] == [0]
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="drop", who="a"))
    made.judging.append(NewVerdict(box_id=0, issue="outlier", verdict="ok", who="b"))
    assert {(row["issue"], row["status"]) for row in rows_of(made, Filters(flagged_only=False))} == {
        ("outlier", "confirmed"),
        ("mislabel", "closed"),
        ("outlier", "cleared"),
    }
