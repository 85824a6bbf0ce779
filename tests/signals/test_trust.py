"""Trust: intervals, pairs of classes, the look-alike map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.signals import Samples
from healtheat.signals.evidence.trust import (
    APART,
    FEWEST_SOURCES,
    Trust,
    expected_agreement,
    jeffreys,
    mean_interval,
    trust,
)
from tests.signals.synthetic_samples import clusters, unit


def look_alikes(*, sources: int = 30, seed: int = 0) -> Samples:
    """Classes 10, 20, 30, 40; 20 and 30 come from one and the same cloud."""
    rng = np.random.default_rng(seed)
    code = np.tile(np.arange(4), sources)
    centres = np.eye(3, 12)[[0, 1, 1, 2]]
    vectors = unit(centres[code] + 0.15 * rng.standard_normal((len(code), 12)))
    return Samples.of(np.array([10, 20, 30, 40])[code], vectors, image_id=np.arange(len(code)) // 4)


def test_jeffreys_against_published_ends() -> None:
    low, high = jeffreys(np.array([5.0, 0.0, 10.0]), np.array([10.0, 10.0, 10.0]), 0.95)
    assert low == pytest.approx([0.224, 0, 0.783], abs=1e-3)  # Brown, Cai, DasGupta 2001, table 5
    assert high == pytest.approx([0.776, 0.217, 1], abs=1e-3)


@given(st.integers(FEWEST_SOURCES, 50), st.integers(FEWEST_SOURCES, 50), st.data())
def test_the_mean_of_two_proportions_agrees_with_simulation(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    mean, low, high = mean_interval(*(np.array(float(v)) for v in (a, n, b, m)))
    rng = np.random.default_rng(0)
    drawn = (rng.beta(a + 0.5, n - a + 0.5, 20_000) + rng.beta(b + 0.5, m - b + 0.5, 20_000)) / 2
    assert mean == pytest.approx(drawn.mean(), abs=0.01)
    assert low == pytest.approx(np.quantile(drawn, 0.05), abs=0.06)
    assert high == pytest.approx(np.quantile(drawn, 0.95), abs=0.06)


def test_wins_against_a_slow_loop() -> None:
    samples = look_alikes(sources=12)
    rng = np.random.default_rng(1)
    log_p = np.log(rng.dirichlet(np.ones(4), len(samples)))
    log_p[:5] = np.log(0.25)  # ties
    found = trust(samples, log_p)
    for i in range(4):
        per_source: dict[int, list[list[float]]] = {}
        right: dict[int, list[float]] = {}
        for row in np.flatnonzero(samples.class_code == i):
            wins = [
                1.0 if log_p[row, i] > log_p[row, j] else 0.5 if log_p[row, i] == log_p[row, j] else 0.0
                for j in range(4)
            ]
            per_source.setdefault(int(samples.group[row]), []).append(wins)
            top = np.flatnonzero(log_p[row] == log_p[row].max())
            right.setdefault(int(samples.group[row]), []).append(float(i in top) / len(top))
        assert found.sources[i] == len(per_source)
        assert found.wins[i] == pytest.approx(sum(np.mean(w, axis=0) for w in per_source.values()))
        assert found.hits[i] == pytest.approx(sum(np.mean(r) for r in right.values()))


def test_classes_from_one_cloud_are_look_alikes_and_no_others() -> None:
    found = trust(look_alikes())
    assert found.look_alikes() == found.look_alikes(likely=True) == [(20, 30)]
    verdicts = {c.class_id: c.verdict for c in found.classes}
    assert verdicts == {10: "apart", 20: "mixed", 30: "mixed", 40: "apart"}
    assert next(c for c in found.classes if c.class_id == 20).mixed_with == (30,)
    pair = next(found.pairs(["mixed"]))
    assert (pair.class_a, pair.class_b) == (20, 30) and pair.high < APART and 0.3 < pair.agreement < 0.7
    assert found.can_tell(np.array([0, 1, 2]), np.array([1, 2, 1])).tolist() == [True, False, False]


def test_with_few_sources_a_look_alike_is_only_likely() -> None:
    wins = np.array([[4.0, 3.0, 4.0], [3.0, 4.0, 4.0], [4.0, 4.0, 4.0]])
    four = np.full(3, 4)
    found = Trust(np.array([5, 9, 11]), four, four, np.array([3.0, 3.0, 4.0]), wins)
    assert found.pair_verdict[0, 1] == "unsure" and found.look_alikes() == []
    assert found.look_alikes(likely=True) == [(5, 9)]


def test_clean_classes_are_told_apart() -> None:
    found = trust(clusters())
    assert found.look_alikes() == [] and {c.verdict for c in found.classes} == {"apart"}
    assert all(c.low <= c.agreement <= c.high for c in found.classes)


def test_copies_of_a_source_are_no_evidence() -> None:
    samples = look_alikes(sources=4)
    rows = np.tile(np.arange(len(samples)), 25)
    many = Samples.of(
        samples.boxes.class_id[rows],
        samples.vectors[rows],
        image_id=np.arange(len(rows)) // 4,
        group_key=[f"tray {i % 4}" for i in range(len(rows) // 4)],
    )
    one, copied = trust(samples, np.zeros((len(samples), 4))), trust(many, np.zeros((len(many), 4)))
    assert copied.boxes.tolist() == [100] * 4 and copied.sources.tolist() == one.sources.tolist() == [4] * 4
    assert [c.low for c in copied.classes] == [c.low for c in one.classes]


def test_too_few_sources_say_nothing() -> None:
    samples = look_alikes(sources=FEWEST_SOURCES - 1)
    found = trust(samples)
    assert {c.verdict for c in found.classes} == {"few"} and found.look_alikes() == []
    assert found.can_tell(np.array([1]), np.array([2])).all()  # not known to be mixed up


def test_expected_agreement_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    p, code = rng.dirichlet(np.ones(4), 50), rng.integers(0, 3, 50)
    one, other = np.array([0, 2, 0]), np.array([1, 1, 3])
    for a, b, got in zip(one, other, expected_agreement(p, code, one, other), strict=True):
        expected = [max(q[a], q[b]) / (q[a] + q[b]) for q, c in zip(p, code, strict=True) if c in (a, b)]
        assert got == pytest.approx(np.mean(expected))
    assert np.isnan(expected_agreement(p, code, np.array([3]), np.array([3])))


def test_one_class_and_no_box() -> None:
    one = trust(Samples.of([7, 7, 7], np.eye(3)))
    assert one.classes[0].agreement == 1 and list(one.pairs()) == [] and one.look_alikes() == []
    none = trust(Samples.of([], np.zeros((0, 3))))
    assert none.classes == () and none.look_alikes() == []
