"""Does the batch come from where the trusted boxes come from? Another camera or light shows in the looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from healtheat.vetting.decide import Mixture

Floats = NDArray[np.float64]
_SURE = 0.001  # chance of a distance like this between two samples of one kind
_LEAST = 0.1  # distance that changes no decision


@dataclass(frozen=True, slots=True)
class Drift:
    """`distance`: Kolmogorov and Smirnov's D, from 0 to 1, between the cosines of trusted and of new crops to
    the nearest trusted crop of another source. `explained`: as much as wrong boxes make of it at most.
    `strong`: whether it is more than chance and wrong boxes explain.
    """

    distance: float
    explained: float
    strong: bool


def drift(trusted: Floats, new: Floats, estimate: Mixture | None) -> Drift:
    """The drift between cosines (n,) of trusted boxes and (m,) of a batch to their nearest crops; n, m >= 1.

    Only farther counts: crops that are nearer than usual are copies, and copies are no reason to doubt.
    """
    # the exact distribution cannot be had for many sizes, and SciPy says so on the screen
    test = ks_2samp(new, trusted, alternative="greater", method="asymp")
    explained = estimate.high if estimate is not None else 0.0
    distance = float(test.statistic)
    strong = bool(test.pvalue < _SURE and distance > explained + _LEAST)
    return Drift(distance, float(explained), strong)
