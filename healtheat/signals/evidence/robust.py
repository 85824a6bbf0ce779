"""Robust statistics by class that several signals use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def robust_z(
    values: NDArray[np.float64],
    code: NDArray[np.int64],
    *,
    usual: NDArray[np.bool_] | None = None,
    prior_n: float = 5.0,
    least: float = 1e-3,
) -> NDArray[np.float64]:
    """(n,) distance of each value from its class's median, in robust standard deviations; NaN values give 0.

    The scale is 1.4826 × the median absolute deviation, shrunk towards that of all classes with the weight
    of `prior_n` boxes, so that a class of three boxes with equal values does not have scale 0; `least` is the
    smallest scale that is believed, in the unit of the values. Boxes that are
    not `usual` (n,) are measured, but teach nothing; a class without usual boxes learns from all of its own.
    """
    centre, scale = class_spread(values, code, usual=usual, prior_n=prior_n, least=least)
    known = np.isfinite(values)
    off = np.where(known, np.abs(np.where(known, values, 0.0) - centre[code]), 0.0)
    return np.asarray(off / scale[code], np.float64)


def class_spread(
    values: NDArray[np.float64],
    code: NDArray[np.int64],
    *,
    usual: NDArray[np.bool_] | None = None,
    prior_n: float = 5.0,
    least: float = 1e-3,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(c,) median and (c,) robust standard deviation of each class's values; see `robust_z`."""
    n_codes = int(code.max(initial=-1)) + 1
    centre, spread, count = np.zeros(n_codes), np.zeros(n_codes), np.zeros(n_codes)
    known = np.isfinite(values)
    teach = known if usual is None else known & usual
    for c in range(n_codes):
        rows = (code == c) & teach
        own = values[rows if rows.any() else (code == c) & known]
        if len(own):
            centre[c] = np.median(own)
            spread[c] = np.median(np.abs(own - centre[c]))
            count[c] = len(own)
    off = np.where(known, np.abs(np.where(known, values, 0.0) - centre[code]), 0.0)
    pooled = float(np.median(off[teach])) if teach.any() else 0.0
    scale = 1.4826 * (count * spread + prior_n * pooled) / (count + prior_n)
    return centre, np.maximum(scale, least)


def chance_of_error(
    values: NDArray[np.float64],
    code: NDArray[np.int64],
    errors: tuple[float, float],
    *,
    usual: NDArray[np.bool_],
    teaches: NDArray[np.bool_],
    least: float,
) -> NDArray[np.float64]:
    """(n,) chance that a value is an error: 0 outside `errors`, (low, high), in which errors are uniform.

    Right values follow Student's t with 4 degrees of freedom about their class's median: heavier tails than
    normal, since objects differ. What is usual is learned from values that are `usual` (n,) and teach, the
    share of errors by expectation-maximisation from all that `teaches` (n,) marks.
    """
    low, high = errors
    centre, scale = class_spread(values, code, usual=usual & teaches, least=least)
    z = (values - centre[code]) / scale[code]
    right = 0.375 * (1 + z * z / 4) ** -2.5 / scale[code]
    wrong = ((values >= low) & (values <= high)) / (high - low)
    chance = 0.5 * (wrong > 0)
    for _ in range(30):
        share = float(np.clip((chance[teaches].sum() + 0.5) / (teaches.sum() + 1), 1e-3, 0.5))
        chance = share * wrong / (share * wrong + (1 - share) * right)
    return np.asarray(chance)
