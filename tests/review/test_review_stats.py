"""What is said of a queue from its verdicts, against definitions and against simulated queues."""

import numpy as np
import pytest
from scipy.stats import beta

from healtheat.review.stats import FEWEST, STOP_BELOW, WINDOW, falling_fit, queue_stats


def test_nothing_is_said_without_verdicts() -> None:
    stats = queue_stats(np.linspace(1, 0, 30), [None] * 30)
    assert (stats.total, stats.open, stats.decided) == (30, 30, 0)
    assert stats.precision is None and stats.left is None and stats.window_high is None and not stats.stop
    assert queue_stats(np.empty(0), []).total == 0


def test_precision_is_jeffreys_and_unsure_says_nothing() -> None:
    verdicts = ["drop"] * 6 + ["relabel"] * 2 + ["ok"] * 2 + ["unsure"] * 5 + [None] * 5
    stats = queue_stats(np.linspace(1, 0, 20), verdicts)
    assert stats.precision is not None
    assert stats.precision[0] == 0.8
    assert stats.precision[1:] == pytest.approx(beta.ppf([0.05, 0.95], 8.5, 2.5))
    assert (stats.drop, stats.relabel, stats.ok, stats.unsure, stats.open) == (6, 2, 2, 5, 5)


@pytest.mark.parametrize(("errors", "stop"), [(0, True), (1, True), (3, False), (25, False)])
def test_stop_looks_at_the_last_decided_from_the_top(errors: int, stop: bool) -> None:
    top = ["drop"] * 100
    last = ["drop"] * errors + ["ok"] * (WINDOW - errors)
    stats = queue_stats(np.linspace(1, 0, 250), [*top, *last, *[None] * 100])
    assert stats.window == WINDOW
    assert stats.window_high == pytest.approx(beta.ppf(0.95, errors + 0.5, WINDOW - errors + 0.5))
    assert stats.stop is stop
    assert (stats.window_high < STOP_BELOW) is stop


def test_stop_does_not_jump_over_what_nobody_looked_at() -> None:
    verdicts = ["drop"] * 10 + [None] + ["ok"] * 100
    stats = queue_stats(np.linspace(1, 0, 111), verdicts)
    assert stats.window == 10 and not stats.stop


def test_errors_left_hold_in_simulated_queues() -> None:
    """Scores that mean what they say, and scores twice too high; the top half was looked at."""
    random = np.random.default_rng(3)
    for factor, allowed in ((1.0, 0.25), (0.5, 0.45)):
        inside, gap = 0, []
        for trial in range(20):
            scores = np.sort(random.uniform(0.05, 1, 400))[::-1]
            wrong = random.uniform(size=400) < scores * factor
            verdicts = [("drop" if w else "ok") if n < 200 else None for n, w in enumerate(wrong)]
            left = queue_stats(scores, verdicts, seed=trial).left
            assert left is not None
            mean, low, high = left
            truth = int(wrong[200:].sum())
            assert low <= mean <= high
            inside += low <= truth <= high
            gap.append((mean - truth) / 200)
        assert abs(np.mean(gap)) < allowed, f"scores times {factor}: {np.mean(gap)}"
        assert factor != 1.0 or inside >= 14  # of 20, for intervals of 90 %


def test_errors_left_are_bounded_by_what_is_left() -> None:
    scores = np.linspace(1, 0, 60)
    few = queue_stats(scores, ["drop"] * (FEWEST - 1) + [None] * (61 - FEWEST))
    assert few.left is None
    for verdict in ("drop", "ok"):
        stats = queue_stats(scores, [verdict] * 30 + [None] * 30)
        assert stats.left is not None and 0 <= stats.left[1] <= stats.left[2] <= 30
    done = queue_stats(scores, ["ok"] * 60)
    assert done.left == (0, 0, 0)
    assert queue_stats(scores, ["ok"] * 60, seed=1) == done, "no chance in it"


def test_the_falling_fit_is_isotonic_regression() -> None:
    from sklearn.isotonic import isotonic_regression

    random = np.random.default_rng(0)
    for n in (1, 2, 5, 10):
        values, weights = random.normal(size=(50, n)), random.uniform(0.1, 5, n)
        slow = [isotonic_regression(row, sample_weight=weights, increasing=False) for row in values]
        np.testing.assert_allclose(falling_fit(values, weights), slow, atol=1e-12)
