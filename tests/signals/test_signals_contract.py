"""Every signal keeps the same contract, on ordinary and on degenerate samples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.issues import ISSUES
from healtheat.embedding import QUESTIONS
from healtheat.findings.flag import FINDINGS_SCHEMA, find
from healtheat.findings.run import run_signals
from healtheat.signals import SIGNALS, Samples, Signal
from healtheat.signals.geometry import Geometry
from healtheat.signals.samples import MEASURES
from tests.signals.synthetic_samples import by_itself, clusters

IDS = [signal.name for signal in SIGNALS]


def one_class() -> Samples:
    return clusters(classes=1, per_class=12)


def identical() -> Samples:
    vectors = np.zeros((12, 4), np.float32)
    vectors[:, 0] = 1
    return Samples.of([0] * 6 + [7] * 6, vectors, background=vectors[:10] * 0 + 0.5)


def nothing() -> Samples:
    return Samples.of([], np.zeros((0, 4), np.float32))


def single() -> Samples:
    return Samples.of([5], [[1.0, 0.0, 0.0]])


def tiny_classes() -> Samples:
    eye = np.eye(5, dtype=np.float32)
    return Samples.of([3, 3, 9, 11, 400], eye)


def one_source() -> Samples:
    samples = clusters(classes=3, per_class=6)
    return Samples.of(
        samples.boxes.class_id,
        samples.vectors,
        group_key=["same"] * len(samples),
        background=samples.vectors[:12],
    )


def worded() -> Samples:
    """With text weights: answers of every question that signals ask."""
    samples = clusters()
    words = {
        name: 9 * np.eye(16, dtype=np.float32)[at] for at, name in enumerate(("pill", "background", "red"))
    }
    return replace(samples, texts=dict.fromkeys(QUESTIONS, words))


CASES = {
    "ordinary": clusters,
    "worded": worded,
    "one class": one_class,
    "identical": identical,
    "nothing": nothing,
    "single box": single,
    "tiny classes": tiny_classes,
    "one source": one_source,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("signal", SIGNALS, ids=IDS)
def test_answers(signal: Signal, case: str) -> None:
    samples = CASES[case]()
    answers = by_itself(signal, samples)
    assert {a.issue for a in answers} <= set(signal.issues) <= set(ISSUES)
    for answer in answers:
        boxes = answer.box_id[answer.box_id >= 0]
        if len(boxes):
            assert boxes.tolist() == samples.boxes.box_id.tolist()
        judged = ~np.isnan(answer.score)
        assert ((answer.score[judged] >= 0) & (answer.score[judged] <= 1)).all()
        for suggestion in answer.suggestion:
            assert suggestion == -1 or suggestion in samples.class_ids
        json.dumps(list(answer.evidence))


@pytest.mark.parametrize("signal", SIGNALS, ids=IDS)
def test_same_input_same_answer(signal: Signal) -> None:
    for a, b in zip(by_itself(signal, clusters()), by_itself(signal, clusters()), strict=True):
        np.testing.assert_array_equal(a.score, b.score)
        assert a.reason.tolist() == b.reason.tolist()


@pytest.mark.parametrize("case", CASES)
def test_all_together(case: str) -> None:
    samples = CASES[case]()
    scores, runs, _ = run_signals(samples, SIGNALS)
    assert runs["status"].to_pylist() == ["ok"] * len(SIGNALS), runs["error"].to_pylist()
    findings = find(scores)
    assert findings.schema == FINDINGS_SCHEMA
    pairs = list(zip(findings["box_id"].to_pylist(), findings["issue"].to_pylist(), strict=True))
    assert len(set(pairs)) == len(pairs)


def test_class_ids_and_lines_come_through_unchanged() -> None:
    samples = clusters(class_ids=[0, 7, 1_000_003])
    findings = find(run_signals(samples, SIGNALS)[0]).to_pylist()
    for row in findings:
        assert row["class_id"] == samples.boxes.class_id[row["box_id"]]
        assert row["line"] == samples.boxes.line[row["box_id"]]
        assert row["image_id"] == samples.boxes.image_id[row["box_id"]]
    judged = {(row["box_id"], row["issue"]) for row in findings}
    for issue in ("mislabel", "bad_box", "background"):
        assert all((int(box), issue) in judged for box in samples.boxes.box_id)


class Crashing(Signal):
    name = "crashing"
    issues = ("outlier",)

    def measure(self, queries: Samples, store: Samples) -> list:  # type: ignore[type-arg]
        raise RuntimeError("on purpose\nsecond line")


def test_a_crash_is_recorded_and_the_rest_goes_on() -> None:
    scores, runs, _ = run_signals(clusters(), [Crashing(), Geometry()])
    assert runs["status"].to_pylist() == ["crashed", "ok"]
    assert runs["error"].to_pylist()[0] == "RuntimeError: on purpose"
    assert runs["fault"].to_pylist() == ["crash", None]
    assert set(scores["signal"].to_pylist()) == {"geometry"}


def test_problems_end_in_the_queue() -> None:
    samples = clusters()
    problem = Problem(ProblemCode.BAD_LINE, "labels/a.txt", 3, "box outside [0, 1]")
    samples = Samples.of(
        [0, 1],
        np.eye(2),
        problems=[
            problem,
            Problem(ProblemCode.UNREADABLE_IMAGE, "b.jpg", None, "truncated", "images/000001.jpg"),
            Problem(ProblemCode.UNREADABLE_IMAGE, "images/000000.jpg", None, "empty", "images/000000.jpg"),
        ],
    )
    rows = [r for r in find(run_signals(samples, SIGNALS)[0]).to_pylist() if r["issue"] == "unreadable"]
    assert [(r["kind"], r["line"], r["image_id"], r["box_id"], r["flagged"]) for r in rows] == [
        ("line", 3, -1, -1, True),
        ("image", -1, 0, -1, True),
        ("image", -1, 1, -1, True),
    ]
    reasons = ["labels/a.txt:4: box outside [0, 1]", "empty", "b.jpg: truncated"]
    assert [r["reason"] for r in rows] == reasons, "no path that the row has already"


def test_measures_without_hashes_are_allowed() -> None:
    assert Samples.of([1], [[1.0]]).measures.dtype == MEASURES
