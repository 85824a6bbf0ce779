"""The promise: of the accepted at most the asked share is wrong, on average over batches."""

import numpy as np
import pytest

from healtheat.vetting.decide import Known, Mixture, accepted, outlook, typical
from healtheat.vetting.kinds import ALIKE, CLASS, KINDS, MOVED, RIGHT, UNKNOWN

MEANS = np.array([0.0, 4.0, 2.5, 3.0, 6.0, 3.5])  # of one feature, by kind; deviation 1


def drawn(kind, rng):
    """Exact log likelihoods (n, 6) of boxes of these kinds."""
    x = MEANS[kind] + rng.normal(size=len(kind))
    return -0.5 * (x[:, None] - MEANS) ** 2


def known(rng, n=3000):
    kind = np.repeat(np.arange(len(KINDS)), n // len(KINDS))
    return Known(drawn(kind, rng), kind)


def batch(rng, m, wrong):
    kinds = np.array([CLASS, ALIKE, MOVED, UNKNOWN])
    return np.where(rng.random(m) < wrong, rng.choice(kinds, m), RIGHT)


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("bound", [0.01, 0.05])
def test_the_promise_holds_on_average(wrong, bound):
    rng = np.random.default_rng(5)
    shares, kept = [], []
    for _ in range(60):
        kind = batch(rng, 300, wrong)
        like = drawn(kind, rng)
        accept = accepted(like, Mixture.of(like), known(rng), bound)
        shares.append((accept & (kind != RIGHT)).sum() / max(accept.sum(), 1))
        kept.append((accept & (kind == RIGHT)).sum() / max((kind == RIGHT).sum(), 1))
    assert np.mean(shares) <= bound
    assert np.mean(kept) > 0.3  # and it is not kept by accepting nothing


def test_the_share_of_wrong_boxes_is_estimated():
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(40):
        kind = batch(rng, 400, 0.2)
        found = Mixture.of(drawn(kind, rng))
        inside += found.low <= (kind != RIGHT).mean() <= found.high
        assert abs(found.wrong - 0.2) < 0.12
    assert inside >= 32  # of 40; the interval is one of 90 %


def test_more_is_accepted_where_more_may_be_wrong():
    rng = np.random.default_rng(7)
    like = drawn(batch(rng, 500, 0.15), rng)
    of = known(rng)
    taken = [accepted(like, Mixture.of(like), of, bound) for bound in (0.005, 0.02, 0.1)]
    assert [int(t.sum()) for t in taken] == sorted(int(t.sum()) for t in taken)
    assert (taken[0] <= taken[1]).all() and (taken[1] <= taken[2]).all()


def test_a_kind_that_could_not_be_made_is_taken_for_the_worst():
    rng = np.random.default_rng(8)
    like = drawn(batch(rng, 500, 0.15), rng)
    every = known(rng)
    without = Known(every.log_likelihood[every.kind != MOVED], every.kind[every.kind != MOVED])
    mixture = Mixture.of(like)
    assert accepted(like, mixture, without, 0.03).sum() <= accepted(like, mixture, every, 0.03).sum()


def test_nothing_to_judge():
    nothing = np.zeros((0, len(KINDS)))
    mixture = Mixture.of(nothing)
    assert mixture.wrong == pytest.approx(0.1)
    assert accepted(nothing, mixture, known(np.random.default_rng(1)), 0.02).shape == (0,)


def test_kinds_without_likelihood_are_no_trouble():
    like = np.full((50, len(KINDS)), -np.inf)
    like[:, RIGHT] = 0.0
    mixture = Mixture.of(like)
    assert mixture.wrong < 0.1 and np.isfinite(mixture.chance(like)).all()


def test_p_values_of_right_boxes_are_uniform_at_most():
    rng = np.random.default_rng(9)
    p = np.concatenate([typical(rng.normal(size=50), rng.normal(size=200)) for _ in range(100)])
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 0.02
    assert typical(np.array([9.0, -9.0]), np.zeros(9)).tolist() == [0.1, 1.0]


def test_the_outlook_says_how_well_kinds_are_told_apart():
    rng = np.random.default_rng(8)
    clear, half = known(rng), known(rng)
    blurred = Known(0.05 * half.log_likelihood, rng.permutation(half.kind))  # likelihoods that say nothing
    assert outlook(clear, 0.05) > 0.7 > outlook(clear, 0.001)
    assert outlook(blurred, 0.02) < 0.05
    assert np.isnan(outlook(Known(np.empty((0, 6)), np.empty(0, np.int64)), 0.02))
