"""Is there an object in the box at all? Crops against tiles cut from unlabelled parts of the same images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.calibrate import error_probability
from healtheat.signals.evidence.classmodel import FOLDS, folds
from healtheat.signals.evidence.components import whiten
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]


def tile_share(to_tiles: NDArray[np.float32], to_crops: NDArray[np.float32], k: int) -> Floats:
    """(n,) share of tiles among the k most similar of tiles and crops; both best first, -1 where none."""
    both = np.concatenate([to_tiles, to_crops], axis=1)
    is_tile = np.zeros(both.shape, bool)
    is_tile[:, : to_tiles.shape[1]] = True
    order = np.argsort(-both, axis=1, kind="stable")[:, :k]
    known = np.take_along_axis(both, order, axis=1) > -1
    return np.asarray(
        (np.take_along_axis(is_tile, order, axis=1) & known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    )


def nearest(
    queries: NDArray[np.float32], store: NDArray[np.float32], k: int, *, own: bool
) -> NDArray[np.float32]:
    """(n, k) highest cosine similarities, best first, -1 where there are fewer; `own`: not with itself."""
    out = np.full((len(queries), k), -1, np.float32)
    take = min(k, len(store) - own)
    if take < 1:
        return out
    step = max(1, 8_000_000 // len(store))
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ store.T
        if own:
            at = np.arange(len(block))
            block[at, start + at] = -2
        out[start : start + step, :take] = -np.sort(np.partition(-block, take - 1, axis=1)[:, :take], axis=1)
    return out


def word_odds(vectors: NDArray[np.float32], words: Mapping[str, NDArray[np.float32]]) -> Floats:
    """(n,) log odds of "background" against "a pill": vectors (n, d) times the weights of the answers."""
    return np.asarray(vectors @ (words["background"] - words["pill"]), np.float64)


class Background(Signal):
    """Issue background. Raw: log odds of a classifier that never saw the source, plus the tiles nearby.

    Score: the chance that the box holds background. Where the encoder knows the words "a pill" and
    "background", their log odds count as well: alone where there are no tiles to learn from, less and less
    the more there are.
    """

    name = "background"
    issues = ("background",)

    def __init__(
        self,
        *,
        k: int = 10,
        fewest_tiles: int = 10,
        share_weight: float = 4.0,
        words_worth_tiles: int = 30,
    ) -> None:
        self.k = k
        self.fewest_tiles = fewest_tiles
        self.share_weight = share_weight  # log odds that a neighbourhood of nothing but tiles is worth
        self.words_worth_tiles = words_worth_tiles  # with so many tiles, words count half

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        words = store.texts.get("pill", {})
        asked = {"pill", "background"} <= set(words)
        if not len(queries):
            return []
        if len(store.background) < self.fewest_tiles or len(np.unique(store.group)) < 2:
            return self._by_words_alone(queries, words) if asked else []
        pool = Pool.of(queries, store)
        samples, judged = pool.samples, pool.judged
        n, m = len(samples), len(samples.background)
        logit = self._classify(pool)
        crops = pool.neighbours.other_similarity[:, : self.k]
        share = np.r_[
            tile_share(nearest(samples.vectors, samples.background, self.k, own=False), crops, self.k),
            tile_share(
                nearest(samples.background, samples.background, self.k, own=True),
                nearest(samples.background, samples.vectors[pool.teaches], self.k, own=False),
                self.k,
            ),
        ]
        raw = logit + self.share_weight * (share - 0.5)
        evidence: list[dict[str, float]] = [
            {"log_odds": round(float(a), 3), "tile_share": round(float(s), 3)}
            for a, s in zip(logit[judged], share[judged], strict=True)
        ]
        if asked:
            said = np.r_[word_odds(samples.vectors, words), word_odds(samples.background, words)]
            raw += said / (1 + m / self.words_worth_tiles)
            for facts, value in zip(evidence, said[judged], strict=True):
                facts["word_log_odds"] = round(float(value), 3)
        score = error_probability(raw[:n], raw[n:], np.where(raw[:n] > 0, 0.95, 0.0), pool.teaches)
        reason = [
            f"{round(s * self.k) or 'none'} of its {self.k} nearest neighbours are background tiles"
            for s in share[judged]
        ]
        return [
            Scores.of(
                self,
                "background",
                queries,
                raw=raw[judged],
                score=score[judged],
                reason=reason,
                evidence=evidence,
            )
        ]

    def _by_words_alone(self, samples: Samples, words: Mapping[str, NDArray[np.float32]]) -> Sequence[Scores]:
        said = word_odds(samples.vectors, words)
        like = np.where(said > 0, "background", "a pill")
        return [
            Scores.of(
                self,
                "background",
                samples,
                raw=said,
                score=1 / (1 + np.exp(-np.clip(said, -500, 500))),
                reason=[
                    f"in the encoder's words it looks like {what}; too few tiles to compare" for what in like
                ],
                evidence=[{"word_log_odds": round(float(value), 3)} for value in said],
            )
        ]

    @staticmethod
    def _classify(pool: Pool) -> Floats:
        """(n + m,) out-of-sample log odds of background for boxes, then tiles."""
        samples = pool.samples
        n, m = len(samples), len(samples.background)
        known = np.r_[pool.teaches, np.ones(m, bool)]
        data = whiten(np.concatenate([samples.vectors, samples.background]), teaches=known)
        is_tile = np.r_[np.zeros(n, np.int64), np.ones(m, np.int64)]
        fold = np.r_[folds(samples.group, teaches=pool.teaches), np.arange(m) % FOLDS]
        out = np.zeros(n + m)
        for f in range(FOLDS + 1):
            test, train = fold == f, (fold != f) & (fold < FOLDS)
            if test.any() and len(np.unique(is_tile[train])) == 2:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model = LogisticRegression(C=0.05, max_iter=100, class_weight="balanced")
                    model.fit(data[train], is_tile[train])
                out[test] = model.decision_function(data[test])
        return out
