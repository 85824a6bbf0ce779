"""Objects without a box, and boxes that do not fit their object, found by looking at the images.

What objects of this set look like, and where they end, is learned from its boxes (regions/); no detector is
needed. What that is worth is learned as for a detector: see detector/rates.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
from scipy.special import expit

from healtheat.core.boxes import NO_CLASS, rows_of, xyxy_to_xywh
from healtheat.core.issues import Silence
from healtheat.core.overlap import iou_of_pairs
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.signals.base import Scores, Signal
from healtheat.signals.regions.found import OneImage
from healtheat.signals.regions.free import Free, slipped, without_label
from healtheat.signals.regions.loose import looseness
from healtheat.signals.regions.search import FEWEST_BOXES, Search, too_few
from healtheat.signals.samples import Samples
from healtheat.sources.detector.masks import MaskModel

MISSING, BAD = "missing_box", "bad_box"
# What may be said of a place, in the evidence and in words.
_CONDITIONS = {
    "cut_by_border": "cut by the border",
    "out_of_focus": "out of focus",
    "unlike_any_class": "unlike every labelled class",
}


class Overlooked(Signal):
    """Looks at every image with labels; asked for on request, since it costs more than the other signals."""

    name = "overlooked"
    issues = (MISSING, BAD)

    def __init__(
        self, *, seed: int = 0, progress: Progress = silent, proposals: MaskModel | None = None
    ) -> None:
        """`proposals`: a model whose masks are places to judge, beside those that are found without it."""
        self.seed = seed
        self._progress = progress
        self._proposals = proposals

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        """Rows about images for boxes that are missing, scores of boxes that are placed badly."""
        pixels = queries.pixels
        why = "the images cannot be looked at" if pixels is None else too_few(queries)
        if pixels is None or why:
            return [Silence(self.name, issue, why) for issue in self.issues]
        labelled = [
            row for row, status in enumerate(queries.images.status) if status in ("labelled", "empty")
        ]
        with nullcontext() if self._proposals is None else self._proposals.started() as masks:
            found = Search(queries, pixels, self._progress, self.seed, masks=masks).run(labelled)
        if not found:
            why = "objects cannot be told from the rest of the images"
            return [Silence(self.name, issue, why) for issue in self.issues]
        free = without_label(found, queries, store, pixels, self._progress)
        return [*self._missing(queries, free), self._bad(queries, found, free)]

    def _missing(self, queries: Samples, free: Free) -> list[Scores | Silence]:
        said: list[Scores | Silence] = []
        if free.in_part:
            objects = counted(int(free.unlike.sum()), "object")
            why = f"{objects} like no labelled class have no box: some classes only are labelled, it seems"
            said.append(Silence(self.name, MISSING, f"{why}, and these are not listed"))
            free = free.of(~free.unlike)
        scores = Scores.of_images(
            self,
            MISSING,
            image_id=queries.images.image_id[free.image],
            score=free.chance,
            raw=free.logit,
            class_id=free.like.class_id,
            place=xyxy_to_xywh(free.xyxyn),
            reason=[_reason(free, row, queries) for row in range(len(free))],
            evidence=[_evidence(free, row) for row in range(len(free))],
        )
        return [*said, scores]

    def _bad(self, samples: Samples, found: Mapping[int, OneImage], free: Free) -> Scores:
        n, code = len(samples), samples.class_code
        fit, place, clear_one = np.full(n, np.nan), np.full((n, 4), np.nan), np.zeros(n, bool)
        why: list[str | None] = ["the image could not be looked at"] * n
        planted, planted_code = [np.empty(0)], [np.empty(0, np.int64)]
        for row, mine in enumerate(rows_of(samples.image_row, len(samples.images))):
            one = found.get(row)
            if one is None or not one.read or not len(mine):
                continue
            fit[mine] = iou_of_pairs(one.boxes.boxes, one.boxes.moved)
            place[mine], clear_one[mine] = xyxy_to_xywh(one.boxes.moved), one.sure > 0
            for box in mine.tolist():
                why[box] = None if clear_one[box] else "no clear object in the box"
            kept = clear_one[mine][one.made]
            planted.append(iou_of_pairs(one.loose.boxes, one.loose.moved)[kept])
            planted_code.append(code[mine[one.made[kept]]])
        judged = np.flatnonzero(clear_one)
        score, usual = np.zeros(n), np.ones(n)
        if len(judged) and sum(map(len, planted)) >= FEWEST_BOXES:
            told = looseness(fit[judged], code[judged], np.concatenate(planted), np.concatenate(planted_code))
            score[judged], usual[judged] = told.chance, told.usual
        else:
            why = [w or "too few boxes to learn from" for w in why]
        reason = [
            f"overlaps the object by IoU {f:.2f}; usual is {u:.2f}" for f, u in zip(fit, usual, strict=True)
        ]
        for box, beside in slipped(samples, free, fit, clear_one).items():
            score[box] = max(score[box], free.chance[beside])
            place[box] = xyxy_to_xywh(free.xyxyn[[beside]])[0]
            fit[box] = iou_of_pairs(samples.boxes.xyxyn[[box]], free.xyxyn[[beside]])[0]
            clear_one[box], why[box] = True, None
            reason[box] = f"beside an object that has no box; overlaps it by IoU {fit[box]:.2f}"
        return Scores.of(
            self,
            BAD,
            samples,
            raw=np.where(clear_one, 1 - np.nan_to_num(fit), 0.0),
            score=score,
            reason=reason,
            abstain=why,
            place=place,
            evidence=[{"iou": round(float(f), 4)} if j else {} for f, j in zip(fit, clear_one, strict=True)],
        )


def _holding(free: Free, row: int) -> list[str]:
    """The conditions of a place, as in _CONDITIONS."""
    told = zip(_CONDITIONS, (free.cut, free.blurred, free.unlike), strict=True)
    return [name for name, marks in told if marks[row]]


def _reason(free: Free, row: int, samples: Samples) -> str:
    class_id, words = int(free.like.class_id[row]), ["an object like the labelled ones, and no box"]
    if free.like.by_name[row]:
        words.append(f"by the image's name it is {samples.name(class_id)}")
    elif class_id != NO_CLASS:
        words.append(f"looks like {samples.name(class_id)} ({free.like.chance[row]:.0%})")
    return "; ".join([*words, *(_CONDITIONS[name] for name in _holding(free, row))])


def _evidence(free: Free, row: int) -> dict[str, float | bool]:
    return {
        "looks_like_an_object": round(float(expit(free.logit[row])), 4),
        "class_chance": round(float(free.like.chance[row]), 4),
        **({"class_by_name": True} if free.like.by_name[row] else {}),
        **dict.fromkeys(_holding(free, row), True),
    }
