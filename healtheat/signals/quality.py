"""Can a person see what it is? Blur, darkness, glare and flat crops, against this dataset's own crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from healtheat.core.issues import HINT_TOP
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.robust import robust_z
from healtheat.signals.samples import Pool, Samples

# The least spread that is believed: what focus, light and JPEG do to pictures of one thing by one camera.
# Sharpness and contrast are logarithms (a fifth more or less), brightness is 12 of 255 grey levels.
SPREAD = {"sharpness": 0.2, "contrast": 0.2, "brightness": 12 / 255}


class Quality(Signal):
    """Issue low_quality. Raw: robust deviations below the usual sharpness or contrast, or off the brightness.

    Compared with the box's own class: a plain white tablet has less contrast than a printed capsule, and
    that is no fault. No spread is believed that is smaller than what one camera or scanner shows of one
    object (`SPREAD`): on scanned drawings nearly nothing would else be many deviations.

    A hint: a poor image is no labelling error, so scores only order a view and stay below `HINT_TOP`.
    """

    name = "quality"
    issues = ("low_quality",)

    def __init__(self, *, z_limit: float = 4.0) -> None:
        self.z_limit = z_limit

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
            z = robust_z(value, samples.class_code, usual=pool.teaches, least=SPREAD[key])
            if key != "brightness":  # only the low side is a fault
                z = np.where(value < np.median(value[pool.teaches]), z, 0.0)
            better = z > worst
            worst[better] = z[better]
            words = "off its class's usual" if key == "brightness" else "below its class's usual"
            for row in np.flatnonzero(better):
                reason[row] = f"{key} is {z[row]:.1f} robust standard deviations {words}"
        score = HINT_TOP * worst**2 / (worst**2 + self.z_limit**2)
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
