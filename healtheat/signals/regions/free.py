"""Places that look like objects of the set and have no label: how likely, of which class, and how placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from healtheat.core.boxes import NO_CLASS, rows_of, xyxy_to_xywh
from healtheat.core.overlap import overlaps
from healtheat.core.progress import Progress
from healtheat.signals.detector.rates import plateau
from healtheat.signals.evidence.pixels import Pixels
from healtheat.signals.regions.classes import Classes, Kinds, Likely
from healtheat.signals.regions.found import OneImage
from healtheat.signals.regions.search import OFF, ON, clear
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

_COVERED = 0.5  # share of a place inside a labelled box, or of it inside the place, from which it is none
_SHOWN = 0.02  # chance from which a place is worth a row, as is one that looks like an object rather than not
_LISTED = 0.2  # chance of the best place from which it may be what the image's name lists
_EDGE = 0.005  # of a side of the image
_UNSHARP = 0.02  # of the places with a label are less sharp than what counts as out of focus
_BESIDE = 1.2  # sides between the middles of a box and of what it slipped off from
_AS_LARGE = 0.7  # log of how much larger the one may be than the other
_CLEAR = 1.0  # logit from which a place clearly looks like an object of the set
_FEWEST_UNLIKE, _MOST_UNLIKE = 10, 0.5  # objects of no labelled class, and their share of those without a box


@dataclass(frozen=True, slots=True)
class Free:
    """m places without a label.

    `image` (m,) rows of the images, `xyxyn` (m, 4), `logit` (m,) that an object of the set is there, `chance`
    (m,) of an object that nobody labelled, the class it is `like` (none where it is unlike every class and
    the image's name does not tell it); whether the border cuts the place, whether it is out of focus, and
    whether its object is `unlike` every labelled class.
    """

    image: NDArray[np.int64]
    xyxyn: Floats
    logit: Floats
    chance: Floats
    like: Likely
    cut: Marks
    blurred: Marks
    unlike: Marks

    def __len__(self) -> int:
        """m."""
        return len(self.image)

    def of(self, rows: Marks) -> Free:
        """Those of the marked rows."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def in_part(self) -> bool:
        """Whether the set seems to label some classes only: most clear objects without a box are of no
        labelled class.
        """
        told = self.unlike[self.logit > _CLEAR]
        return bool(told.sum() >= max(_FEWEST_UNLIKE, _MOST_UNLIKE * len(told)))


def without_label(
    found: Mapping[int, OneImage], queries: Samples, store: Samples, pixels: Pixels, progress: Progress
) -> Free:
    """The places of `found` (row of an image → what is on it) that have no label and are worth a row.

    How often places like them have a label, apart for those at the border and those out of focus, makes the
    chance: objects that are not labelled on purpose under such a condition are none that are missing.
    """
    rows = sorted(found)
    image = np.concatenate([np.full(len(found[r].logit), r) for r in rows])
    xyxyn, logit, overlap = (
        np.concatenate([getattr(found[r], name) for r in rows]) for name in ("xyxyn", "logit", "overlap")
    )
    told = clear(overlap)
    image, xyxyn, logit, overlap = image[told], xyxyn[told], logit[told], overlap[told]
    cut, blurred = at_border(xyxyn), _blurred(queries, pixels, image, xyxyn, overlap, progress)
    groups = cut.astype(np.int64), blurred.astype(np.int64)
    chance = plateau(overlap >= ON, expit(logit), *groups).overlooked()
    # A line that could not be read may be the box.
    broken = [r for r in rows if broken_classes(queries.problems_of[queries.images.path[r]])]
    free = (overlap < OFF) & ((chance >= _SHOWN) | (logit > 0)) & ~np.isin(image, broken)
    free &= ~_covered(queries, image, xyxyn)
    image, xyxyn, chance = image[free], xyxyn[free], chance[free]
    like, unlike = _classes(queries, store, pixels, image, xyxyn, chance, progress)
    return Free(image, xyxyn, logit[free], chance, like, cut[free], blurred[free], unlike)


def slipped(samples: Samples, free: Free, fit: Floats, clear_one: Marks) -> dict[int, int]:
    """Labelled box → the place without a label that it slipped off from, in rows of `samples` and of `free`.

    Asked of boxes in which no clear object is (`clear_one` (n,)), or which overlap theirs by an IoU (`fit`
    (n,)) of less than 0.5. The place looks like an object rather than not, is about as large, and touches the
    box or nearly does. The likeliest place comes first and takes the nearest box; a box has one at most.
    """
    rows = rows_of(samples.image_row, len(samples.images))
    off = ~clear_one | (np.nan_to_num(fit) < ON)
    places = xyxy_to_xywh(free.xyxyn)
    out: dict[int, int] = {}
    for at in np.argsort(-free.chance, kind="stable").tolist():
        boxes = np.array([b for b in rows[int(free.image[at])] if off[b] and b not in out], np.int64)
        if free.logit[at] <= 0 or not len(boxes):
            continue
        xywh = samples.boxes.xywhn[boxes]
        apart = np.abs(xywh[:, :2] - places[at, :2]) / ((xywh[:, 2:] + places[at, 2:]) / 2)
        larger = np.abs(np.log(xywh[:, 2:].prod(axis=1) / places[at, 2:].prod()))
        far = np.where(larger <= _AS_LARGE, apart.max(axis=1), np.inf)
        if far.min() <= _BESIDE:
            out[int(boxes[far.argmin()])] = at
    return out


def at_border(places: Floats) -> Marks:
    """(m,) places (m, 4) that end at the border of the image: objects that it cuts, for the most part."""
    low, high = places[:, :2], places[:, 2:]
    return np.asarray((low <= _EDGE).any(axis=1) | (high >= 1 - _EDGE).any(axis=1))


def _blurred(
    queries: Samples,
    pixels: Pixels,
    image: NDArray[np.int64],
    xyxyn: Floats,
    overlap: Floats,
    progress: Progress,
) -> Marks:
    """(m,) places less sharp than all but few of those with a label; False where it cannot be told."""
    xywhn, sharp = xyxy_to_xywh(xyxyn), np.full(len(image), np.nan)
    asked = np.unique(image).tolist()
    for number, row in enumerate(asked):
        progress("missing: focus", number, len(asked))
        mine = image == row
        told = pixels.sharpness(int(queries.images.image_id[row]), xywhn[mine])
        if told is not None:
            sharp[mine] = told
    usual = sharp[(overlap >= ON) & ~np.isnan(sharp)]
    return sharp < np.quantile(usual, _UNSHARP) if len(usual) else np.zeros(len(image), bool)


def _covered(samples: Samples, image: NDArray[np.int64], xyxyn: Floats) -> Marks:
    """(m,) places that hold a labelled box, or lie in one: parts and groups of objects."""
    rows = rows_of(samples.image_row, len(samples.images))
    corners = samples.boxes.xyxyn
    out = np.zeros(len(image), bool)
    for at, row in enumerate(image.tolist()):
        if len(rows[row]):
            out[at] = overlaps(xyxyn[at : at + 1], corners[rows[row]])[1].max() >= _COVERED
    return out


def _classes(
    queries: Samples,
    store: Samples,
    pixels: Pixels,
    image: NDArray[np.int64],
    xyxyn: Floats,
    chance: Floats,
    progress: Progress,
) -> tuple[Likely, Marks]:
    """The likeliest class of each place, none where it cannot be asked; and whether it is unlike every class.

    On an image whose name lists what is on it, the likeliest places get the classes that have no box.
    """
    rows, xywhn = rows_of(queries.image_row, len(queries.images)), xyxy_to_xywh(xyxyn)
    like, unlike = Likely.none(len(image)), np.zeros(len(image), bool)
    models, kinds = Classes.of(store), Kinds.of(store)
    asked = np.unique(image).tolist()
    for number, row in enumerate(asked):
        progress("missing: classes", number, len(asked))
        mine = np.flatnonzero(image == row)
        mine = mine[np.argsort(-chance[mine], kind="stable")]
        vectors = pixels.vectors(int(queries.images.image_id[row]), xywhn[mine])
        if vectors is not None and vectors.shape[1] == store.vectors.shape[1]:
            lacking = _lacking(queries, row, rows[row]) if chance[mine[0]] >= _LISTED else {}
            like.put(mine, models.likeliest(vectors, lacking))
            unlike[mine] = kinds.unlike(vectors)
    like.class_id[unlike & ~like.by_name] = NO_CLASS
    return like, unlike


def _lacking(samples: Samples, image: int, rows: NDArray[np.int64]) -> dict[int, int]:
    """Class id → how many boxes of it the image lacks by its name."""
    listed = None if samples.listing is None else samples.listing.listed[image]
    if not listed:
        return {}
    there = Counter(samples.boxes.class_id[rows].tolist())
    return {c: n - there[c] for c, n in listed.items() if n > there[c]}
