"""Objects without a box, and boxes that do not fit their object, found by looking at the images.

What objects of this set look like, and where they end, is learned from its boxes (regions/); no detector is
needed. What that is worth is learned as for a detector: see detector/rates.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from healtheat.core.boxes import NO_CLASS, rows_of, xyxy_to_xywh
from healtheat.core.issues import Silence
from healtheat.core.overlap import iou_of_pairs, overlaps
from healtheat.core.progress import Progress, silent
from healtheat.signals.base import Scores, Signal
from healtheat.signals.detector.rates import plateau
from healtheat.signals.evidence.pixels import Pixels
from healtheat.signals.regions.classes import Classes
from healtheat.signals.regions.loose import looseness
from healtheat.signals.regions.search import FEWEST_BOXES, OFF, ON, OneImage, Search, clear, too_few
from healtheat.signals.samples import Samples
from healtheat.sources.detector.masks import MaskModel
from healtheat.sources.label_set import broken_classes

MISSING, BAD = "missing_box", "bad_box"
_COVERED = 0.5  # share of a place inside a labelled box, or of it inside the place, from which it is none
_SHOWN = 0.02  # chance from which a place is worth a row, as is one that looks like an object rather than not
_EDGE = 0.005  # of a side of the image
_UNSHARP = 0.02  # of the places with a label are less sharp than what counts as out of focus
_LISTED = 0.2  # chance of the best place from which it may be what the image's name lists
Floats = NDArray[np.float64]


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
        return [self._missing(queries, store, pixels, found), self._bad(queries, found)]

    def _missing(
        self, queries: Samples, store: Samples, pixels: Pixels, found: Mapping[int, OneImage]
    ) -> Scores:
        rows = sorted(found)
        image = np.concatenate([np.full(len(found[r].logit), r) for r in rows])
        places = np.concatenate([found[r].xyxyn for r in rows])
        logit = np.concatenate([found[r].logit for r in rows])
        overlap = np.concatenate([found[r].overlap for r in rows])
        told = clear(overlap)
        image, places, logit, overlap = image[told], places[told], logit[told], overlap[told]
        cut, blurred = at_border(places), self._blurred(queries, pixels, image, places, overlap)
        groups = cut.astype(np.int64), blurred.astype(np.int64)
        chance = plateau(overlap >= ON, expit(logit), *groups).overlooked()
        free = (overlap < OFF) & ((chance >= _SHOWN) | (logit > 0)) & ~self._covered(queries, image, places)
        broken = {
            r for r in rows if broken_classes(queries.problems_of[queries.images.path[r]])
        }  # a line that could not be read may be the box
        free &= ~np.isin(image, sorted(broken))
        image, places, chance, logit = image[free], places[free], chance[free], logit[free]
        cut, blurred = cut[free].tolist(), blurred[free].tolist()
        xywhn = xyxy_to_xywh(places)
        class_id, sure = self._classes(queries, store, pixels, image, xywhn, chance)
        return Scores.of_images(
            self,
            MISSING,
            image_id=queries.images.image_id[image],
            score=chance,
            raw=logit,
            class_id=class_id,
            place=xywhn,
            reason=[
                "an object like the labelled ones, and no box"
                + (f"; looks like {queries.name(c)} ({p:.0%})" if c != NO_CLASS else "")
                + "; cut by the border" * at_edge
                + "; out of focus" * unsharp
                for c, p, at_edge, unsharp in zip(class_id.tolist(), sure, cut, blurred, strict=True)
            ],
            evidence=[
                {"looks_like_an_object": round(float(expit(v)), 4), "class_chance": round(float(p), 4)}
                | ({"cut_by_border": True} if at_edge else {})
                | ({"out_of_focus": True} if unsharp else {})
                for v, p, at_edge, unsharp in zip(logit, sure, cut, blurred, strict=True)
            ],
        )

    def _blurred(
        self, queries: Samples, pixels: Pixels, image: NDArray[np.int64], places: Floats, overlap: Floats
    ) -> NDArray[np.bool_]:
        """(m,) places less sharp than all but few of those with a label; False where it cannot be told."""
        xywhn, sharp = xyxy_to_xywh(places), np.full(len(image), np.nan)
        asked = np.unique(image).tolist()
        for number, row in enumerate(asked):
            self._progress("missing: focus", number, len(asked))
            mine = image == row
            told = pixels.sharpness(int(queries.images.image_id[row]), xywhn[mine])
            if told is not None:
                sharp[mine] = told
        usual = sharp[(overlap >= ON) & ~np.isnan(sharp)]
        return sharp < np.quantile(usual, _UNSHARP) if len(usual) else np.zeros(len(image), bool)

    def _covered(self, samples: Samples, image: NDArray[np.int64], places: Floats) -> NDArray[np.bool_]:
        """(m,) places that hold a labelled box, or lie in one: parts and groups of objects."""
        rows = rows_of(samples.image_row, len(samples.images))
        corners = samples.boxes.xyxyn
        out = np.zeros(len(image), bool)
        for at, row in enumerate(image.tolist()):
            if len(rows[row]):
                out[at] = overlaps(places[at : at + 1], corners[rows[row]])[1].max() >= _COVERED
        return out

    def _classes(
        self,
        queries: Samples,
        store: Samples,
        pixels: Pixels,
        image: NDArray[np.int64],
        xywhn: Floats,
        chance: Floats,
    ) -> tuple[NDArray[np.int64], Floats]:
        """Class id and its chance for each place; NO_CLASS and 0 where none is likely or can be asked.

        On an image whose name lists what is on it, the likeliest places get the classes that have no box.
        """
        rows = rows_of(queries.image_row, len(queries.images))
        class_id, sure = np.full(len(image), NO_CLASS, np.int64), np.zeros(len(image))
        models = Classes.of(store)
        asked = np.unique(image).tolist()
        for number, row in enumerate(asked):
            self._progress("missing: classes", number, len(asked))
            mine = np.flatnonzero(image == row)
            mine = mine[np.argsort(-chance[mine], kind="stable")]
            vectors = pixels.vectors(int(queries.images.image_id[row]), xywhn[mine])
            if vectors is not None and vectors.shape[1] == store.vectors.shape[1]:
                lacking = _lacking(queries, row, rows[row]) if chance[mine[0]] >= _LISTED else {}
                class_id[mine], sure[mine] = models.likeliest(vectors, lacking)
        return class_id, sure

    def _bad(self, samples: Samples, found: Mapping[int, OneImage]) -> Scores:
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
        return Scores.of(
            self,
            BAD,
            samples,
            raw=np.where(clear_one, 1 - np.nan_to_num(fit), 0.0),
            score=score,
            reason=[
                f"overlaps the object by IoU {f:.2f}; usual is {u:.2f}"
                for f, u in zip(fit, usual, strict=True)
            ],
            abstain=why,
            place=place,
            evidence=[{"iou": round(float(f), 4)} if j else {} for f, j in zip(fit, clear_one, strict=True)],
        )


def at_border(places: Floats) -> NDArray[np.bool_]:
    """(m,) places (m, 4) that end at the border of the image: objects that it cuts, for the most part."""
    return np.asarray((places[:, :2].min(axis=1) <= _EDGE) | (places[:, 2:].max(axis=1) >= 1 - _EDGE))


def _lacking(samples: Samples, image: int, rows: NDArray[np.int64]) -> dict[int, int]:
    """Class id → how many boxes of it the image lacks by its name."""
    listed = None if samples.listing is None else samples.listing.listed[image]
    if not listed:
        return {}
    there = Counter(samples.boxes.class_id[rows].tolist())
    return {c: n - there[c] for c, n in listed.items() if n > there[c]}
