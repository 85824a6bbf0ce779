"""Is it unlike the rest of its class? An isolation forest per class, on embedding and geometry.

Liu, Ting, Zhou: Isolation Forest, ICDM 2008. Errors that are frequent in a class are not rare there, so this
finds single oddities, not habits; the other signals exist for those.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from healtheat.core.issues import HINT_TOP
from healtheat.core.text import counted
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.components import whiten
from healtheat.signals.samples import Pool, Samples


def features(
    samples: Samples, components: int, teaches: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """(n, components + 3) principal components of variance 1, log area, log aspect, touching the border.

    The components are learned from the rows that `teaches` (n,) marks, all by default.
    """
    parts = whiten(samples.vectors, components, 0.0, teaches)
    wh = np.maximum(samples.boxes.xywhn[:, 2:], 1e-6)
    corners = samples.boxes.xyxyn
    touching = ((corners[:, :2] < 0.002) | (corners[:, 2:] > 0.998)).any(axis=1)
    shape = np.column_stack([np.log(wh.prod(axis=1)), np.log(wh[:, 0] / wh[:, 1]), touching])
    return np.column_stack([parts, shape])


class Forest(Signal):
    """Issue outlier. Raw: the forest's anomaly score in (0, 1); score: its place above the class's bulk.

    A hint: a rare view is no error, so scores only order a view and stay below `HINT_TOP`.
    """

    name = "forest"
    issues = ("outlier",)

    def __init__(self, *, trees: int = 100, components: int = 32, fewest: int = 8, seed: int = 0) -> None:
        self.trees = trees
        self.components = components
        self.fewest = fewest  # boxes a class needs
        self.seed = seed

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        if not len(queries):
            return []
        pool = Pool.of(queries, store)
        samples, judged = pool.samples, pool.judged
        n = len(samples)
        data = features(samples, self.components, pool.teaches)
        raw, score = np.full(n, np.nan), np.zeros(n)
        abstain: list[str | None] = [None] * n
        reason = [""] * n
        for code, class_id in enumerate(samples.class_ids):
            own = samples.class_code == code
            rows, known = np.flatnonzero(own), np.flatnonzero(own & pool.teaches)
            why = None
            if len(known) < self.fewest:
                has = counted(len(known), "box")
                why = f"class {samples.name(class_id)} has {has}, {self.fewest} are needed"
            elif np.ptp(data[known], axis=0).max() < 1e-6:
                why = f"all boxes of class {samples.name(class_id)} look the same"
            if why is not None:
                for row in rows:
                    abstain[row] = why
                continue
            forest = IsolationForest(n_estimators=self.trees, random_state=self.seed).fit(data[known])
            raw[rows] = -forest.score_samples(data[rows])
            centre = np.median(raw[known])
            spread = max(1.4826 * float(np.median(np.abs(raw[known] - centre))), 0.01)
            z = np.maximum(raw[rows] - centre, 0) / spread
            score[rows] = HINT_TOP * z**2 / (z**2 + 9)  # half the top at three standard deviations
            for row, far in zip(rows, z, strict=True):
                reason[row] = (
                    f"isolated in its class: anomaly {far:.1f} robust standard deviations above the usual"
                )
        return [
            Scores.of(
                self,
                "outlier",
                queries,
                raw=raw[judged],
                score=score[judged],
                reason=[reason[row] for row in judged],
                abstain=[abstain[row] for row in judged],
            )
        ]
