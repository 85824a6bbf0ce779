"""Can a person see what it is? Blur, darkness, glare and flat crops, against this dataset's own crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.robust import robust_z
from healtheat.signals.samples import Pool, Samples


class Quality(Signal):
    """Issue low_quality. Raw: robust deviations below the usual sharpness or contrast, or off the brightness.

    Compared with the box's own class: a plain white tablet has less contrast than a printed capsule, and
    that is no fault. Mild by design: a poor image is no labelling error.
    """

    name = "quality"
    issues = ("low_quality",)

    def __init__(self, *, z_limit: float = 4.0, ceiling: float = 0.4) -> None:
        self.z_limit = z_limit
        self.ceiling = ceiling  # the score of the worst crop: seldom a reason to drop a box

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        if not len(queries) or not (store.measures["sharpness"] > 0).any():
            return []  # nothing was measured on these crops
        pool = Pool.of(queries, store)
        samples, judged = pool.samples, pool.judged
        n = len(samples)
        worst = np.zeros(n)
        reason = np.full(n, "", object)
        values = {
            "sharpness": np.log(np.maximum(samples.measures["sharpness"].astype(np.float64), 1e-6)),
            "contrast": np.log(np.maximum(samples.measures["contrast"].astype(np.float64), 1e-6)),
            "brightness": samples.measures["brightness"].astype(np.float64),
        }
        for key, value in values.items():
            z = robust_z(value, samples.class_code, usual=pool.teaches)
            if key != "brightness":  # only the low side is a fault
                z = np.where(value < np.median(value[pool.teaches]), z, 0.0)
            better = z > worst
            worst[better] = z[better]
            words = "off its class's usual" if key == "brightness" else "below its class's usual"
            for row in np.flatnonzero(better):
                reason[row] = f"{key} is {z[row]:.1f} robust standard deviations {words}"
        score = self.ceiling * worst**2 / (worst**2 + self.z_limit**2)
        return [
            Scores.of(
                self,
                "low_quality",
                queries,
                raw=worst[judged],
                score=score[judged],
                reason=list(reason[judged]),
            )
        ]
