"""Does a detector agree with the labels? It overlooks, misplaces and mixes up other things than people do.

The predictions must come from a model that was not trained on these labels (cross-validated for instance), or
it repeats their errors. What its word is worth is learned on this data: see rates.py and docs/agreement.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, Boxes
from healtheat.core.text import counted
from healtheat.signals.base import Scores, Signal
from healtheat.signals.detector.detected import Seen, compare
from healtheat.signals.detector.rates import Plateau, placing, plateau, unfound
from healtheat.signals.samples import Samples

MISSING, BAD, SWAPPED, SPURIOUS = "missing_box", "bad_box", "mislabel", "background"
COPY_IOU = 0.999
GHOSTS = 0.1  # a box around nothing then looks predicted by chance in at most one case in ten
Floats = NDArray[np.float64]


class Agreement(Signal):
    """Compares the boxes of every image with `predicted`, joined to the samples; without it, says nothing."""

    name = "agreement"
    issues = (MISSING, BAD, SWAPPED, SPURIOUS)

    def __init__(
        self,
        *,
        least_pairs: int = 20,
        least_agreement: float = 0.5,
        least_found: float = 0.5,
    ) -> None:
        self.least_pairs = least_pairs  # matched boxes from which agreement can be learned
        self.least_agreement = least_agreement  # share of boxes whose class it names; below, it knows others
        self.least_found = least_found  # share of a class it finds; below, not finding says nothing

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        """Scores of boxes for three issues, and rows about images for boxes that were overlooked."""
        if queries.predicted is None:
            return ()
        seen = compare(queries, queries.predicted)
        predicted = Boxes.join(seen.predictions) if seen.predictions else Boxes.of([], [], [])
        matched = ~np.isnan(seen.iou)
        pairs = int(matched.sum())
        copies = int((seen.iou[matched] >= COPY_IOU).sum())
        if pairs < self.least_pairs:
            match = counted(pairs, "box matches", "boxes match")
            return self._silent(queries, seen, f"only {match} a prediction")
        if copies > pairs / 2:
            text = (
                f"{copies} of {pairs} boxes are the prediction itself: its own labels, which it cannot judge"
            )
            return self._silent(queries, seen, text)
        touched = np.concatenate(seen.touched)
        confidence = predicted.confidence.astype(np.float64)
        found = plateau(touched, confidence, _codes(predicted.class_id))
        least = _least_confidence(found, confidence, touched, sum(w is None for w in seen.why))
        return [
            *self._matched(queries, seen, matched),
            self._spurious(queries, seen, least),
            self._overlooked(queries, predicted, ~touched & np.concatenate(seen.whole), found),
        ]

    def _matched(self, samples: Samples, seen: Seen, matched: NDArray[np.bool_]) -> list[Scores]:
        """Swapped and badly placed, for the boxes that have a prediction of their own."""
        n, given = len(samples), samples.boxes.class_id
        rows = np.flatnonzero(matched)
        place = placing(seen.iou[rows], seen.confidence[rows], samples.class_code[rows])
        same = seen.other[rows] == given[rows]
        near = place.wrong < 0.5
        swapped, misplaced, usual = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
        why_class, why_place = self._unmatched(seen), self._unmatched(seen)
        usual[rows] = place.usual
        classes = max(len(samples.class_ids), 2)
        right = np.ones(len(rows))
        agreement = float(same[near].mean()) if near.any() else 0.0
        foreign = None
        if int(near.sum()) < self.least_pairs:
            foreign = f"only {counted(int(near.sum()), 'box lies', 'boxes lie')} where a prediction does"
        elif agreement < self.least_agreement:
            foreign = (
                f"the detector names the class of only {agreement:.0%} of the boxes: its classes are others"
            )
        if foreign is None:
            close = rows[near]
            fit = plateau(
                same[near], seen.sure[close], _codes(seen.other[close]), _codes(samples.class_code[close])
            )
            swapped[close] = fit.wrong(same[near], (classes - 2) / (classes - 1))
            right[near] = fit.right
            right[~near] = fit.usual(seen.sure[rows[~near]])
        for i, row in enumerate(rows):
            if foreign is not None or not near[i]:
                why_class[row] = foreign or "the prediction lies too far off to compare classes"
            if not same[i]:
                why_place[row] = f"the detector sees {samples.name(seen.other[row])} there"
        misplaced[rows] = np.where(same, place.wrong * right, np.nan)
        evidence = [
            {"confidence": round(float(c), 4), "iou": round(float(v), 4)} if m else {}
            for c, v, m in zip(seen.confidence, seen.iou, matched, strict=True)
        ]
        differs = matched & (seen.other != given)
        words = [
            f"the detector sees {samples.name(o)} (confidence {c:.2f}, IoU {v:.2f})"
            if d
            else "the detector sees the same class"
            for o, c, v, d in zip(seen.other, seen.confidence, seen.iou, differs, strict=True)
        ]
        placed = [
            f"overlaps the prediction (confidence {c:.2f}) by IoU {v:.2f}; usual is {u:.2f}"
            for c, v, u in zip(seen.confidence, seen.iou, usual, strict=True)
        ]
        advice = np.where(differs & ~np.isnan(swapped), seen.other, NO_CLASS)
        return [
            Scores.of(
                self,
                SWAPPED,
                samples,
                raw=np.where(differs, seen.sure, 0.0),
                score=np.nan_to_num(swapped),
                reason=words,
                abstain=why_class,
                suggestion=advice,
                evidence=evidence,
            ),
            Scores.of(
                self,
                BAD,
                samples,
                raw=1 - np.nan_to_num(seen.iou),
                score=np.nan_to_num(misplaced),
                reason=placed,
                abstain=why_place,
                place=seen.place,
                evidence=evidence,
            ),
        ]

    def _unmatched(self, seen: Seen) -> list[str | None]:
        none = "no prediction belongs to this box"
        return [
            w or (none if np.isnan(iou) else None) for w, iou in zip(seen.why, seen.iou.tolist(), strict=True)
        ]

    def _spurious(self, samples: Samples, seen: Seen, least: float) -> Scores:
        judged = np.array([w is None and f is None for w, f in zip(seen.why, seen.flaw, strict=True)], bool)
        score, recall = np.zeros(len(samples)), np.zeros(len(samples))
        score[judged], recall[judged] = unfound(seen.best[judged], samples.class_code[judged], least)
        hit = seen.best >= least
        why = [w or f for w, f in zip(seen.why, seen.flaw, strict=True)]
        words: list[str] = []
        for row in range(len(samples)):
            share = f"the detector finds {recall[row]:.0%} of the boxes of this class"
            if judged[row] and not hit[row] and recall[row] < self.least_found:
                why[row] = f"{share} only"
            weak = (
                f"only a prediction of confidence {seen.best[row]:.2f}" if seen.best[row] else "no prediction"
            )
            words.append("the detector sees something here" if hit[row] else f"{weak} overlaps it; {share}")
        return Scores.of(
            self,
            SPURIOUS,
            samples,
            raw=1 - seen.best,
            score=np.where(hit, 0.0, score),
            reason=words,
            abstain=why,
            evidence=[
                {"confidence": round(float(b), 4), "found": round(float(r), 4)}
                for b, r in zip(seen.best, recall, strict=True)
            ],
        )

    def _overlooked(
        self, samples: Samples, predicted: Boxes, alone: NDArray[np.bool_], found: Plateau
    ) -> Scores:
        rows = np.flatnonzero(alone)
        return Scores.of_images(
            self,
            MISSING,
            image_id=predicted.image_id[rows],
            score=found.overlooked()[rows],
            reason=[
                f"the detector sees {samples.name(predicted.class_id[r])} (confidence "
                f"{predicted.confidence[r]:.2f}) where no box is"
                for r in rows
            ],
            class_id=predicted.class_id[rows],
            place=predicted.xywhn[rows],
            evidence=[{"confidence": round(float(predicted.confidence[r]), 4)} for r in rows],
        )

    def _silent(self, samples: Samples, seen: Seen, reason: str) -> Sequence[Scores]:
        n = len(samples)
        why = [w or reason for w in seen.why]
        return [
            Scores.of(self, issue, samples, raw=np.zeros(n), score=np.zeros(n), reason=[""] * n, abstain=why)
            for issue in (SWAPPED, BAD, SPURIOUS)
        ]


def _least_confidence(found: Plateau, confidence: Floats, touched: NDArray[np.bool_], boxes: int) -> float:
    """From here on a prediction counts as seeing something: ghosts are at most a tenth as many as boxes.

    Ghosts are predictions without a label, less those that are likely of an overlooked object.
    """
    order = np.argsort(-confidence, kind="stable")
    ghosts = np.cumsum(np.where(touched, 0.0, 1 - found.overlooked())[order])
    few = int((ghosts <= GHOSTS * boxes).sum())
    return float(max(confidence[order][max(few - 1, 0)], 1e-3))


def _codes(class_id: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.unique(class_id, return_inverse=True)[1], np.int64).reshape(-1)
