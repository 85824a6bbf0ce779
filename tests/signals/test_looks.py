"""Colour and shape in words: against loops, planted errors, and what the real encoder says of drawn pills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.building.build import build
from healtheat.core.issues import Silence
from healtheat.embedding import load_encoder
from healtheat.index import Index
from healtheat.signals import Samples, samples_from
from healtheat.signals.looks import Looks, answers, class_answers, mismatch
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set
from tests.signals.synthetic_samples import by_itself, clusters

EYE = np.eye(16, dtype=np.float32)
WORDS = {"colour": {name: 12 * EYE[at] for at, name in enumerate(("red", "green", "blue", "white"))}}


def worded(**given: object) -> Samples:
    """`clusters` whose classes are said to be red, green, blue and white."""
    return replace(clusters(**given), texts=WORDS)  # type: ignore[arg-type]


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 5), st.integers(0, 1000))
def test_class_answers_against_a_loop(n: int, c: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n)
    code, group = rng.integers(0, c, n), rng.integers(0, groups, n).astype(np.int32)
    mean, others = class_answers(p, code, group, prior=0.5)
    for row in range(n):
        rest = [i for i in range(n) if code[i] == code[row] and group[i] != group[row]]
        expected = (sum((p[i] for i in rest), 0.5 * p.mean(axis=0))) / (len(rest) + 0.5)
        np.testing.assert_allclose(mean[row], expected, atol=1e-12)
        assert others[row] == len(rest)
    found = mismatch(p, mean)
    assert ((found >= 0) & (found <= 1)).all()


def test_planted_labels_come_first_and_the_words_say_why() -> None:
    wrong = [(5, 0), (40, 3), (77, 2)]
    samples = worded(wrong=wrong)
    (answer,) = Looks().measure(samples, samples)
    rows = [row for row, _ in wrong]
    assert sorted(np.argsort(-answer.score)[:3].tolist()) == rows
    assert answer.score[rows].min() > 0.5 > np.delete(answer.score, rows).max()
    assert "colour green" in answer.reason[5] and "28 other 0 are red" in answer.reason[5]
    assert answer.evidence[5]["colour"] == "green" and answer.evidence[5]["colour_mismatch"] > 0.8
    assert (answer.suggestion == -1).all()  # words name no product


def test_a_class_may_have_two_looks() -> None:
    """A product whose front is red and whose back is white: neither is odd."""
    rng = np.random.default_rng(0)
    side = np.r_[np.zeros(20, int), np.full(10, 3), np.full(20, 1)]
    vectors = EYE[side] + 0.05 * rng.standard_normal((50, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    samples = Samples.of(np.r_[np.zeros(30, int), np.ones(20, int)], vectors, texts=WORDS)
    (answer,) = Looks().measure(samples, samples)
    assert answer.score[:30].max() < 0.5
    assert "red or white" in answer.reason[0]


def test_silent_without_words_and_abstaining_without_others() -> None:
    assert by_itself(Looks(), clusters()) == []
    code = np.r_[np.arange(40) % 4, 8, 8]  # the last two are of a class of their own
    samples = Samples.of(code, EYE[np.minimum(code, 3)], texts=WORDS)
    (answer,) = Looks().measure(samples, samples)
    assert [a is not None for a in answer.abstain] == [False] * 40 + [True, True]


def test_a_question_that_tells_no_classes_apart_is_not_asked() -> None:
    """Every class is said to have any colour: a mismatch is nothing to tell anybody of."""
    rng = np.random.default_rng(1)
    samples = Samples.of(np.arange(200) % 4, EYE[rng.integers(0, 4, 200)], texts=WORDS)
    (silence,) = Looks().measure(samples, samples)
    assert isinstance(silence, Silence) and "colour" in silence.why
    assert str(silence).startswith("looks (mislabel): ") and "other evidence" in silence.why


def test_a_set_without_errors_gets_no_high_chance() -> None:
    (answer,) = Looks().measure(worded(), worded())
    assert answer.score.max() < 0.5


@pytest.mark.slow
def test_an_index_of_the_pill_encoder_is_asked_in_words(tmp_path: Path) -> None:
    """Red, green and blue discs through the real encoder: a blue one called red is found by its colour."""
    data = write_set(tmp_path / "set", images=12)
    label = sorted(tmp_path.rglob("*.txt"))[0]
    lines = label.read_text(encoding="utf-8").splitlines()
    blue = next(i for i, line in enumerate(lines) if line.startswith("7 "))
    lines[blue] = "0" + lines[blue][1:]
    label.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build(open_source(data), tmp_path / "index", encoder=load_encoder("pill", threads=1), signals=())
    with Index.open(tmp_path / "index") as index:
        samples = samples_from(index)
        assert set(samples.texts["pill"]) == {"pill", "background", "piece"}
        (answer,) = Looks().measure(samples, samples)
        worst = int(np.nanargmax(answer.score))
        assert (samples.boxes.class_id[worst], samples.boxes.line[worst]) == (0, blue)
        assert answer.score[worst] > 0.5 and "blue" in answer.reason[worst]
    build(open_source(data), tmp_path / "other", encoder=FakeEncoder(), signals=())
    with Index.open(tmp_path / "other") as index:
        assert not any(samples_from(index).texts.values())


@pytest.mark.parametrize("question", ["family", "colour"])
def test_answers_are_chances(question: str) -> None:
    p = answers(clusters().vectors, WORDS["colour"])
    assert p.shape == (120, 4) and np.allclose(p.sum(axis=1), 1)
    assert by_itself(Looks(), replace(clusters(), texts={question: {"only one": EYE[0]}})) == []
