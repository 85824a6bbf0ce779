"""How labels go wrong, learned from labels that are wrong in known ways."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from healtheat.signals.evidence.noise import label_noise, sharpen

N, C = 4000, 6
DOUBT = 0.002


def beliefs(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N, C) honest chances, in which classes 2k and 2k + 1 look alike, and the classes drawn by them."""
    centre = rng.integers(0, C, N)
    p = np.full((N, C), 0.002)
    sure = rng.beta(8, 1, N)
    p[np.arange(N), centre] += sure
    p[np.arange(N), centre ^ 1] += 1 - sure
    p /= p.sum(axis=1, keepdims=True)
    code = (p.cumsum(axis=1) > rng.random(N)[:, None]).argmax(axis=1)
    return p, code.astype(np.int64)


def flipped(
    rng: np.random.Generator, code: NDArray[np.int64], share: float, alike: bool
) -> NDArray[np.int64]:
    given = code.copy()
    wrong = rng.random(len(code)) < share
    other = code ^ 1 if alike else (code + rng.integers(1, C, len(code))) % C
    given[wrong] = other[wrong]
    return given


@pytest.mark.parametrize("power", [1.0, 1.5])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_share_and_power_are_found(power: float, share: float) -> None:
    """Beliefs that are too doubtful by a known power get their sureness back, whatever share is wrong."""
    rng = np.random.default_rng(3)
    p, code = beliefs(rng)
    given = flipped(rng, code, share, alike=False)
    found = label_noise(sharpen(p, 1 / power), given, DOUBT)
    assert found.share == pytest.approx(share, abs=0.015)
    assert found.power == pytest.approx(power, rel=0.2)
    wrong = given != code
    assert found.wrong.sum() == pytest.approx(wrong.sum(), abs=0.2 * wrong.sum() + 30)


def test_errors_among_look_alikes_are_told_from_errors_at_random() -> None:
    rng = np.random.default_rng(4)
    p, code = beliefs(rng)
    at_random = label_noise(p, flipped(rng, code, 0.08, alike=False), DOUBT)
    by_looks = label_noise(p, flipped(rng, code, 0.08, alike=True), DOUBT)
    assert (at_random.alike, by_looks.alike) == (0.0, 0.5)


def test_chances_that_are_honest_find_no_errors_in_right_labels() -> None:
    """Half of the boxes are coin tosses between two classes: that is no reason to call a label wrong."""
    rng = np.random.default_rng(5)
    p = np.full((1000, 4), 0.01)
    p[:, :2] += np.where(rng.random(1000)[:, None] < 0.5, 0.48, [0.9, 0.06])
    p /= p.sum(axis=1, keepdims=True)
    code = (p.cumsum(axis=1) > rng.random(1000)[:, None]).argmax(axis=1).astype(np.int64)
    assert (label_noise(p, code, DOUBT).wrong >= 0.5).mean() < 0.01


def test_only_rows_that_teach_count() -> None:
    rng = np.random.default_rng(6)
    p, code = beliefs(rng)
    teaches = np.arange(N) < N // 2
    given = np.where(teaches, code, (code + 2) % C)
    found = label_noise(p, given, DOUBT, teaches)
    assert found.share < 0.01
    assert np.median(found.wrong[~teaches]) > 0.3 > 0.01 > found.wrong[teaches].mean()
    nothing = label_noise(p, given, DOUBT, np.zeros(N, bool))
    assert (nothing.share, nothing.wrong.max()) == (0.0, 0.0)
