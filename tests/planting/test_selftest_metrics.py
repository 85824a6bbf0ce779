"""Ranking figures against slow definitions and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from healtheat.planting.metrics import Ranking, average_precision, estimate, precision_at

rows = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40)


def ranking(drawn: list[tuple[int, bool, int]]) -> Ranking:
    score, truth, group = zip(*drawn, strict=True)
    return Ranking(np.array(score) / 5, np.array(truth), np.array(group, np.int64))


@given(rows.filter(lambda drawn: any(t for _, t, _ in drawn)))
def test_average_precision_is_scikit_learns(drawn: list[tuple[int, bool, int]]) -> None:
    r = ranking(drawn)
    assert average_precision(r) == pytest.approx(average_precision_score(r.truth, r.score))


@given(rows.filter(lambda drawn: any(t for _, t, _ in drawn)), st.data())
def test_weights_are_repeats(drawn: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)))
    repeated = [row for row, n in zip(drawn, times, strict=True) for _ in range(n)]
    weighted = average_precision(ranking(drawn), np.array(times, float))
    if any(t for _, t, _ in repeated):
        assert weighted == pytest.approx(average_precision(ranking(repeated)))
        assert precision_at(ranking(drawn), 3, np.array(times, float)) == pytest.approx(
            precision_at(ranking(repeated), 3)
        )
    else:
        assert np.isnan(weighted)


@given(rows, st.integers(1, 50))
def test_precision_at_a_budget_is_the_mean_over_orders_of_ties(
    drawn: list[tuple[int, bool, int]], budget: int
) -> None:
    r = ranking(drawn)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        order = np.lexsort((rng.random(len(drawn)), -r.score))[:budget]
        found.append(r.truth[order].mean())
    assert precision_at(r, budget) == pytest.approx(np.mean(found), abs=0.12)


def test_what_nothing_judged_comes_last() -> None:
    r = Ranking(np.array([np.nan, 0.0, 0.9]), np.array([True, False, True]), np.arange(3))
    assert average_precision(r) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.slow
def test_the_interval_holds_the_value_and_shrinks_with_sources() -> None:
    def noisy(sources: int, seed: int) -> Ranking:
        rng = np.random.default_rng(seed)
        truth = rng.random(sources * 4) < 0.1
        return Ranking(rng.random(len(truth)) + 0.5 * truth, truth, np.arange(len(truth)) // 4)

    few, _ = estimate([noisy(40, s) for s in range(3)], 10)
    many, precision = estimate([noisy(1000, s) for s in range(3)], 100)
    assert few.low <= few.value <= few.high and many.low <= many.value <= many.high
    assert many.high - many.low < (few.high - few.low) / 2
    assert precision.low <= precision.value <= precision.high


def test_a_perfect_ranking_is_perfect_in_every_sample() -> None:
    truth = np.arange(60) % 6 == 0
    ap, precision = estimate([Ranking(truth.astype(float), truth, np.arange(60))])
    assert (ap.low, ap.value, ap.high) == (precision.low, precision.value, precision.high) == (1, 1, 1)


def test_copies_in_one_source_do_not_make_it_surer() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.2
    one = Ranking(rng.random(200) + 0.5 * truth, truth, np.arange(200))
    copied = Ranking(np.repeat(one.score, 5), np.repeat(one.truth, 5), np.repeat(one.group, 5))
    alone, _ = estimate([one], 40)
    together, _ = estimate([copied], 200)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        Ranking(np.zeros(3), np.zeros(2, bool), np.zeros(3, np.int64))
