"""Is there an object in the box at all? Crops against tiles cut from unlabelled parts of the same photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from healtheat.signals.base import Samples, Scores, Signal
from healtheat.signals.classmodel import folds, whiten


class Background(Signal):
    """Issue background. Raw: share of tiles among the nearest neighbours; score: chance of background."""

    name = "background"
    issues = ("background",)

    def __init__(self, *, k: int = 10, fewest_tiles: int = 10) -> None:
        self.k = k
        self.fewest_tiles = fewest_tiles

    def measure(self, samples: Samples) -> Sequence[Scores]:
        n, m = len(samples), len(samples.background)
        if not n or m < self.fewest_tiles or len(np.unique(samples.group)) < 2:
            return []
        data = whiten(np.concatenate([samples.vectors, samples.background]), 64, 0.1)
        is_tile = np.r_[np.zeros(n, int), np.ones(m, int)]
        fold = np.r_[folds(samples.group), np.full(m, -1)]
        p = np.zeros(n)
        for f in range(5):
            test = np.flatnonzero(fold == f)
            train = fold != f
            if len(test) and len(np.unique(is_tile[train])) == 2:
                model = LogisticRegression(C=0.05, max_iter=200, class_weight="balanced").fit(
                    data[train], is_tile[train]
                )
                p[test] = model.predict_proba(data[test])[:, 1]
        k = min(self.k, m)
        to_tiles = samples.vectors @ samples.background.T
        best_tiles = -np.partition(-to_tiles, k - 1, axis=1)[:, :k]
        crops = samples.neighbours.other_similarity[:, : self.k]
        both = np.concatenate([best_tiles, crops], axis=1)
        tile = np.concatenate([np.ones_like(best_tiles), np.zeros_like(crops)], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, : self.k]
        share = np.take_along_axis(tile, order, axis=1).mean(axis=1)
        score = p**2 / (p**2 + 4 * (1 - p) ** 2) * (0.5 + 0.5 * share)
        reason = [
            f"{round(s * self.k)} of its {self.k} nearest neighbours are background tiles, none an object"
            if s == 1
            else f"{round(s * self.k)} of its {self.k} nearest neighbours are background tiles"
            for s in share
        ]
        evidence = [
            {"p_background": round(float(v), 4), "share": round(float(s), 3)}
            for v, s in zip(p, share, strict=True)
        ]
        return [
            Scores.of(self, "background", samples, raw=share, score=score, reason=reason, evidence=evidence)
        ]
