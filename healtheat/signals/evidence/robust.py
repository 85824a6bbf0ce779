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
    return np.asarray(off / np.maximum(scale[code], least), np.float64)
