"""Is there an object in the box at all? Crops against tiles cut from unlabelled parts of the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from healtheat.core.issues import Silence
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.calibrate import error_probability
from healtheat.signals.evidence.classmodel import FOLDS, folds
from healtheat.signals.evidence.components import whiten
from healtheat.signals.evidence.ground import Ground
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
WHOLE = 0.85  # share of the image from which a box fills it


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


def fills(samples: Samples) -> float:
    """The share of boxes that cover about their whole image: photos of one object."""
    return float((samples.boxes.xywhn[:, 2:].prod(axis=1) >= WHOLE).mean()) if len(samples) else 0.0


def understands(
    samples: Samples, words: Mapping[str, NDArray[np.float32]], least: float, fewest_tiles: int = 10
) -> bool:
    """Whether the encoder's words fit this set: it calls a clear majority of the boxes pills, and most tiles
    background. Of things it never learned, its answers mean nothing.
    """
    if not {"pill", "background"} <= set(words) or not len(samples):
        return False
    boxes = float((word_odds(samples.vectors, words) < 0).mean())
    doubt = np.sqrt(boxes * (1 - boxes) / len(samples))
    tiles = word_odds(samples.background, words) > 0
    return bool(boxes - 2 * doubt > least and (len(tiles) < fewest_tiles or tiles.mean() > 0.5))


class Background(Signal):
    """Issue background. Raw: log odds of a classifier that never saw the source, plus the tiles nearby.

    Score: the chance that the box holds background. Where the encoder knows the words "a pill" and
    "background", their log odds count as well: alone where there are no tiles to learn from, less and less
    the more there are, and not at all where they do not fit this set. Silent where boxes fill their images.
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
        understood: float = 0.8,
        filled_share: float = 0.6,
    ) -> None:
        self.k = k
        self.fewest_tiles = fewest_tiles
        self.share_weight = share_weight  # log odds that a neighbourhood of nothing but tiles is worth
        self.words_worth_tiles = words_worth_tiles  # with so many tiles, words count half
        self.understood = understood  # share of boxes that must be called pills before words count
        self.filled_share = filled_share  # if more boxes than this fill their image, they are meant to

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        if not len(queries):
            return []
        whole = fills(store)
        if whole > self.filled_share:
            return self._silent(
                f"{whole:.0%} of the boxes fill their image, so there is no ground beside them"
            )
        words = store.texts.get("pill", {})
        asked = understands(store, words, self.understood)
        if len(store.background) < self.fewest_tiles or len(np.unique(store.group)) < 2:
            if asked:
                return self._by_words_alone(queries, words)
            few = f"only {len(store.background)} tiles of background to compare with"
            why = few if len(store.background) < self.fewest_tiles else "all images are of one source"
            return self._silent(f"{why}, and the encoder's words do not fit most boxes" if words else why)
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

    def _silent(self, why: str) -> Sequence[Silence]:
        return [Silence(self.name, "background", why)]

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
                out[test] = Ground.fit(data[train], is_tile[train]).log_odds(data[test])
        return out
