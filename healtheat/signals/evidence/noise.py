"""How labels of a set go wrong: how often, as look-alikes or at random, and how far beliefs can be trusted.

Three numbers are learned together by maximum likelihood of the labels, so that none is a constant: the share
of wrong labels (by expectation-maximisation), how many of the errors follow what looks alike, and the power
that makes the beliefs as sure as they deserve (temperature scaling: Guo et al., On calibration of modern
neural networks, ICML 2017; with labels some of which are wrong: Natarajan et al., Learning with noisy
labels, NeurIPS 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# At most half: errors that follow look-alikes can hardly be told from the model's own confusions. With 3/4, a
# set whose classes it half knows and which holds no planted error (mahjong) got 29 flags instead of 4.
_ALIKE = (0.0, 0.25, 0.5)
_POWERS = tuple(np.exp(np.linspace(np.log(0.5), np.log(2.0), 9)).tolist())
_FINER = tuple(np.exp(np.log(2.0) / 4 * np.array([-2 / 3, -1 / 3, 1 / 3, 2 / 3])).tolist())  # between two
_ROUNDS = 50
_LEAST, _MOST = 1e-6, 0.4  # share of wrong labels
_START = 0.05
_ROWS = 20_000  # more boxes do not make three numbers better


@dataclass(frozen=True, slots=True)
class Noise:
    """`power`, `alike` (share of the errors that follow look-alikes) and `share` of wrong labels.

    `wrong` (n,): probability that each label is wrong.
    """

    power: float
    alike: float
    share: float
    wrong: Floats


def sharpen(p: Floats, power: float) -> Floats:
    """(n, c) rows of `p` to the power, summing to 1 again."""
    out = p**power
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def look_alikes(p: Floats, code: NDArray[np.int64]) -> Floats:
    """(c, c) chance that a box of class i that gets another class for its looks gets j, by `p` (n, c)."""
    c = p.shape[1]
    alike = np.full((c, c), 1e-9)
    np.add.at(alike, code, p)
    np.fill_diagonal(alike, 0)
    return np.asarray(alike / alike.sum(axis=1, keepdims=True))


def label_noise(
    p: Floats, code: NDArray[np.int64], doubt: float, teaches: NDArray[np.bool_] | None = None
) -> Noise:
    """What the labels `code` (n,) say of their errors, given beliefs `p` (n, c) that did not see them, c > 1.

    It is learned from the rows that `teaches` (n,) marks, all by default; nothing is wrong where there are
    none. `doubt` is the chance that the class model knows nothing about a box: its probabilities are mixed
    with that much of a flat guess.
    """
    known = np.arange(len(p)) if teaches is None else np.flatnonzero(teaches)
    if not len(known):
        return Noise(1.0, 0.0, 0.0, np.zeros(len(p)))
    if len(known) > _ROWS:
        known = np.sort(np.random.default_rng(0).choice(known, _ROWS, replace=False))
    coarse = _most_likely(p[known], code[known], doubt, _POWERS)
    fine = _most_likely(p[known], code[known], doubt, [coarse[1] * step for step in _FINER])
    _, power, alike, share = max(coarse, fine)
    exchange = look_alikes(sharpen(p[known], power), code[known])
    exchanged, kept = _likelihoods(sharpen(p, power), code, doubt, exchange, alike)
    return Noise(power, alike, share, _posterior(exchanged, kept, share))


def _most_likely(
    p: Floats, code: NDArray[np.int64], doubt: float, powers: Sequence[float]
) -> tuple[float, float, float, float]:
    """(mean log likelihood, power, alike, share) of the best of these powers."""
    found = []
    for power in powers:
        sharp = sharpen(p, power)
        exchange = look_alikes(sharp, code)
        for alike in _ALIKE:
            share, likely = _share(*_likelihoods(sharp, code, doubt, exchange, alike))
            found.append((likely, power, alike, share))
    return max(found)


def _likelihoods(
    p: Floats, code: NDArray[np.int64], doubt: float, exchange: Floats, alike: float
) -> tuple[Floats, Floats]:
    """(n,) chance of each label if it is wrong, and if it is right."""
    c = p.shape[1]
    mixed = (1 - doubt) * p + doubt / c
    kept = mixed[np.arange(len(p)), code]
    at_random = (1 - kept) / (c - 1)  # any class but the right one
    by_looks = np.einsum("nc,cn->n", mixed, exchange[:, code])
    return alike * by_looks + (1 - alike) * at_random, kept


def _share(exchanged: Floats, kept: Floats) -> tuple[float, float]:
    """The most likely share of wrong labels, and the mean log likelihood that it gives."""
    share = _START
    for _ in range(_ROUNDS):
        share = float(np.clip(_posterior(exchanged, kept, share).mean(), _LEAST, _MOST))
    return share, float(np.log(share * exchanged + (1 - share) * kept).mean())


def _posterior(exchanged: Floats, kept: Floats, share: float) -> Floats:
    return np.asarray(share * exchanged / (share * exchanged + (1 - share) * kept))
