"""What is said of a queue from its verdicts, against definitions and against simulated queues."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from healtheat.view.stats import FEWEST, STOP_BELOW, WINDOW, falling_fit, queue_stats


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


Estimator = Callable[..., tuple[float, float, float] | None]
QUEUE, TRIALS = 400, 30


def simulated(estimate: Estimator, factor: float, looked_at: float) -> tuple[float, float, float]:
    """(bias, coverage, mean width) of estimates of what is left, bias and width as shares of what is open.

    Each finding is an error with chance score times `factor`; a random share `looked_at` was judged.
    """
    random = np.random.default_rng(3)
    bias, inside, width = [], [], []
    for trial in range(TRIALS):
        scores = np.sort(random.uniform(0.05, 1, QUEUE))[::-1]
        wrong = random.uniform(size=QUEUE) < scores * factor
        seen = random.uniform(size=QUEUE) < looked_at
        verdicts = [("drop" if w else "ok") if s else None for w, s in zip(wrong, seen, strict=True)]
        left = estimate(scores, verdicts, trial)
        assert left is not None
        mean, low, high = left
        truth, still = int((wrong & ~seen).sum()), int((~seen).sum())
        assert 0 <= low <= mean <= high <= still
        bias.append((mean - truth) / still)
        inside.append(low <= truth <= high)
        width.append((high - low) / still)
    return float(np.mean(bias)), float(np.mean(inside)), float(np.mean(width))


def hold(estimate: Estimator) -> None:
    """Little bias and honest intervals whether or not scores mean what they say; more verdicts, surer."""
    for factor in (1.0, 0.5, 0.2):
        bias, coverage, width = zip(*(simulated(estimate, factor, seen) for seen in (0.2, 0.8)), strict=True)
        assert max(map(abs, bias)) < 0.03, f"scores times {factor}: bias {bias}"
        assert min(coverage) >= 0.75, f"scores times {factor}: {coverage} of intervals of 90 % hold the truth"
        assert max(width) < 0.3, f"scores times {factor}: width {width}"
        open_then, open_now = 0.8 * QUEUE, 0.2 * QUEUE
        assert width[1] * open_now < 0.7 * width[0] * open_then, f"scores times {factor}: {width}"


def ours(
    scores: NDArray[np.float64], verdicts: list[str | None], seed: int
) -> tuple[float, float, float] | None:
    return queue_stats(scores, verdicts, seed=seed).left


def test_errors_left_hold_in_simulated_queues() -> None:
    hold(ours)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_guess_that_looks_at_nothing_does_not_hold(share: float) -> None:
    def guess(
        scores: NDArray[np.float64], verdicts: list[str | None], seed: int
    ) -> tuple[float, float, float]:
        still = sum(v is None for v in verdicts)
        return share * still, 0, still

    def sure(
        scores: NDArray[np.float64], verdicts: list[str | None], seed: int
    ) -> tuple[float, float, float]:
        still = sum(v is None for v in verdicts)
        return share * still, share * still * 0.9, share * still * 1.1

    def scores_alone(
        scores: NDArray[np.float64], verdicts: list[str | None], seed: int
    ) -> tuple[float, float, float]:
        sum_ = float(sum(s for s, v in zip(scores, verdicts, strict=True) if v is None))
        return sum_, 0.8 * sum_, min(1.2 * sum_, sum(v is None for v in verdicts))

    for useless in (guess, sure, scores_alone):
        with pytest.raises(AssertionError):
            hold(useless)


def test_errors_left_hold_below_a_top_half_that_was_looked_at() -> None:
    """As people look, from the top: whether scores mean what they say or are all too high."""
    random = np.random.default_rng(5)
    for factor in (1.0, 0.5, 0.2):
        gaps = []
        for trial in range(20):
            scores = np.sort(random.uniform(0.05, 1, QUEUE))[::-1]
            wrong = random.uniform(size=QUEUE) < scores * factor
            verdicts = [("drop" if w else "ok") if n < QUEUE // 2 else None for n, w in enumerate(wrong)]
            left = ours(scores, verdicts, trial)
            assert left is not None
            gaps.append((left[0] - wrong[QUEUE // 2 :].sum()) / (QUEUE // 2))
        assert abs(np.mean(gaps)) < 0.06, (factor, np.mean(gaps))


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
