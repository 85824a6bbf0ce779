"""Objects like the labelled ones on every image of a set, by models that saw no image of its source.

First the whole image at a few scales: a small head says where middles of objects are (heads.py). Then
crops of the best places: each is moved to its object twice and judged again (refine.py). Labelled boxes are
moved to their objects in the same way, which shows those that are placed badly. Images outside the set are
looked at by models that saw all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import rows_of
from healtheat.core.overlap import iou
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.embedding.feature_maps import FeatureMaps
from healtheat.signals.evidence.classmodel import folds
from healtheat.signals.evidence.pixels import Pixels
from healtheat.signals.regions.found import Ends, OneImage
from healtheat.signals.regions.heads import Heads, Lessons, suppress
from healtheat.signals.regions.loose import loosened
from healtheat.signals.regions.masks import MaskBoxes, exact, of_size, same
from healtheat.signals.regions.pyramid import Pyramid
from healtheat.signals.regions.refine import Crops, Refiner, Selector, crop_features, shaken, steps
from healtheat.signals.samples import Samples

Floats = NDArray[np.float64]

FOLDS = 3
MOST_TAUGHT = 300  # images that are learned from
_MOST_SHAKEN = 2_500  # crops that the refiner learns from
_SHAKES = 5  # of a box
_MOST_PLACES = 16  # of an image beside its labelled boxes
_ROUNDS = 2  # of learning without places that look like objects nobody labelled
ON, OFF = 0.5, 0.3  # IoU with a label from which a place shows it, and below which it shows none
FEWEST_BOXES, FEWEST_IMAGES = 30, 10


@dataclass(slots=True)
class _Looked:
    """What is judged once the selectors are there: crops of places and of labelled boxes, and their heat."""

    places: Floats
    crops: Crops
    heat: Floats
    boxes: Ends
    box_crops: Crops
    loose: Ends
    made: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Models:
    """What was learned, for each fold from the others; a last one from all, where it was asked for."""

    heads: list[Heads]
    refiners: list[Refiner]
    selectors: list[Selector]


def too_few(samples: Samples) -> str:
    """Why nothing can be learned from the boxes of `samples`; "" where something can."""
    images = len(np.unique(samples.image_row))
    if len(samples) >= FEWEST_BOXES and images >= FEWEST_IMAGES:
        return ""
    few = f"{counted(len(samples), 'box', 'boxes')} on {counted(images, 'image')}"
    return f"{few} are too few to learn from ({FEWEST_BOXES} and {FEWEST_IMAGES})"


def clear(overlap: Floats) -> NDArray[np.bool_]:
    """(m,) places that show a labelled box, or none, by their `overlap` (m,) with the nearest."""
    return (overlap >= ON) | (overlap < OFF)


class Search:
    """One search of a set. `run` tells what is on its images, `outside` then what is on others."""

    def __init__(
        self,
        samples: Samples,
        pixels: Pixels,
        progress: Progress = silent,
        seed: int = 0,
        *,
        outside: bool = False,
        masks: MaskBoxes | None = None,
    ) -> None:
        """`outside`: images that are not of the set will be asked about. `masks` propose more places."""
        self.masks = masks
        self.samples, self.pixels, self.progress = samples, pixels, progress
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.maps = FeatureMaps()
        corners = samples.boxes.xyxyn
        rows = rows_of(samples.image_row, len(samples.images))
        self.boxes = [corners[r] for r in rows]
        keys = np.unique(samples.images.group_key.astype(str), return_inverse=True)[1].astype(np.int32)
        self.fold = folds(keys.reshape(-1), FOLDS)
        self.pyramid = Pyramid.of(samples.boxes.xywhn)
        self.taught = self._taught()
        self._folds = FOLDS + outside  # no image of the set is of the last one, which thus learns from all
        self._most_boxes = max((len(boxes) for boxes in self.boxes), default=0)
        self._models: _Models | None = None

    def run(self, rows: Sequence[int]) -> dict[int, OneImage]:
        """Row of an image → what is on it, for the images asked about. {} where too little can be learned."""
        lessons, shakes = self._lessons(self.taught)
        heads, refiners = self._first(lessons, shakes)
        if not heads:
            return {}
        asked = set(rows)
        looked = self._look(self.taught, heads, refiners, "places")
        selectors = self._selectors(looked)
        if not selectors:
            return {}
        self._models = _Models(heads, refiners, selectors)
        found = {row: self._judged(row, looked.pop(row), selectors) for row in list(looked)}
        for row in rows:
            if row not in found:
                one = self._look([row], heads, refiners, "")
                found[row] = self._judged(row, one[row], selectors) if row in one else OneImage()
            self.progress("missing: images", len(found), max(len(asked | set(found)), 1))
        self._take_masks(found)
        return {row: one for row, one in found.items() if row in asked}

    def _take_masks(self, found: dict[int, OneImage]) -> None:
        """Where the masks are exact, labelled boxes with one are moved to it."""
        all_of = [one.boxes for one in found.values() if len(one.boxes.boxes)]
        if self.masks is None or not all_of:
            return
        if exact(*(np.concatenate([getattr(e, n) for e in all_of]) for n in ("boxes", "moved", "masks"))):
            for one in found.values():
                one.boxes, one.loose = one.boxes.to_masks(), one.loose.to_masks()

    def outside(self, pixels: NDArray[np.uint8]) -> OneImage:
        """What is on an RGB image (height, width, 3) outside the set, once `run` has learned from the set."""
        models = self._models
        if models is None or self._folds == FOLDS:
            raise RuntimeError("the search did not learn for images outside its set")
        nothing = np.empty((0, 4))
        most = _MOST_PLACES + self._most_boxes
        one = self._one(pixels, nothing, most, models.heads[FOLDS], models.refiners[FOLDS])
        return _judged(one, nothing, models.selectors[FOLDS])

    def _taught(self) -> list[int]:
        """Rows of images with boxes, at random, at most MOST_TAUGHT."""
        rows = np.array([row for row, boxes in enumerate(self.boxes) if len(boxes)], np.int64)
        return sorted(self.rng.permutation(rows)[:MOST_TAUGHT].tolist())

    def _lessons(self, taught: Sequence[int]) -> tuple[dict[int, Lessons], dict[int, tuple[Crops, Floats]]]:
        """Row of an image → places to learn from; and crops of shaken boxes with what moves them back."""
        lessons, shakes = {}, {}
        count = 0
        for number, row in enumerate(taught):
            self.progress("missing: learn", number, len(taught))
            image = self._read(row)
            if image is None:
                continue
            boxes = self.boxes[row]
            lessons[row] = Lessons.join(
                [Lessons.of(level, boxes, self.rng) for level in self.pyramid.levels(image, self.maps)]
            )
            if count < _MOST_SHAKEN:
                goals = np.repeat(boxes, _SHAKES, axis=0)[: _MOST_SHAKEN - count]
                moved = shaken(goals, self.rng)
                shakes[row] = (crop_features(image, moved, self.maps), steps(moved, goals))
                count += len(goals)
        return lessons, shakes

    def _first(
        self, lessons: dict[int, Lessons], shakes: dict[int, tuple[Crops, Floats]]
    ) -> tuple[list[Heads], list[Refiner]]:
        """Heads and refiners for each fold, which did not see it."""
        heads, refiners = [], []
        for fold in range(self._folds):
            mine = [row for row in lessons if self.fold[row] != fold]
            told = sum(int((~np.isnan(lessons[row].sides[:, 0])).sum()) for row in mine)
            crops = [shakes[row] for row in mine if row in shakes]
            if not told or sum(len(c) for c, _ in crops) < FEWEST_BOXES:
                return [], []
            heads.append(Heads.fit(Lessons.join([lessons[row] for row in mine])))
            refiners.append(
                Refiner.fit(np.concatenate([c for c, _ in crops]), np.concatenate([m for _, m in crops]))
            )
        return heads, refiners

    def _look(
        self, rows: Iterable[int], heads: Sequence[Heads], refiners: Sequence[Refiner], stage: str
    ) -> dict[int, _Looked]:
        out = {}
        rows = list(rows)
        for number, row in enumerate(rows):
            if stage:
                self.progress(f"missing: {stage}", number, len(rows))
            image = self._read(row)
            if image is None:
                continue
            fold, boxes = int(self.fold[row]), self.boxes[row]
            most = _MOST_PLACES + len(boxes)
            out[row] = self._one(image, boxes, most, heads[fold], refiners[fold], row if stage else None)
        return out

    def _one(
        self,
        image: NDArray[np.uint8],
        boxes: Floats,
        most: int,
        heads: Heads,
        refiner: Refiner,
        row: int | None = None,
    ) -> _Looked:
        """The best places of an image, at most `most`, and its labelled `boxes` (b, 4); for the image in
        `row` also boxes that are made loose.
        """
        sizes = self.pyramid.sizes
        masks = np.empty((0, 4)) if self.masks is None else self.masks.boxes(image, sizes[0])
        masks = masks[of_size(masks, sizes)]
        places, heat = heads.propose(self.pyramid.levels(image, self.maps), most, masks)
        first = refiner(places, crop_features(image, places, self.maps)) if len(places) else places
        crops = crop_features(image, first, self.maps)
        ends, box_crops = self._ends(image, boxes, masks, refiner)
        loose = loosened(boxes, np.random.default_rng([self.seed, row])) if row is not None else boxes[:0]
        made = np.flatnonzero(~np.isnan(loose[:, 0]))
        return _Looked(
            places=refiner(first, crops) if len(first) else first,
            crops=crops,
            heat=heat,
            boxes=ends,
            box_crops=box_crops,
            loose=self._ends(image, loose[made], masks, refiner)[0],
            made=made,
        )

    def _ends(
        self, image: NDArray[np.uint8], boxes: Floats, masks: Floats, refiner: Refiner
    ) -> tuple[Ends, Crops]:
        """Where the objects in boxes (b, 4) of an image end, and the crops that the last step was told by."""
        moved = refiner(boxes, crop_features(image, boxes, self.maps)) if len(boxes) else boxes
        crops = crop_features(image, moved, self.maps)
        moved = refiner(moved, crops) if len(boxes) else moved
        return Ends(boxes, moved, same(moved, masks)), crops

    def _selectors(self, looked: dict[int, _Looked]) -> list[Selector]:
        """A selector for each fold, which did not see it."""
        overlap = {row: _overlap(one.places, self.boxes[row]) for row, one in looked.items()}
        out = []
        for fold in range(self._folds):
            mine = [row for row in looked if self.fold[row] != fold]
            if not mine:
                return []
            over = np.concatenate([overlap[row] for row in mine])
            told = clear(over)
            is_one = over[told] >= ON
            if is_one.sum() < FEWEST_BOXES:
                return []
            crops = np.concatenate([looked[row].crops for row in mine])[told]
            heat = np.concatenate([looked[row].heat for row in mine])[told]
            if is_one.all():  # nothing else on any image looks like an object
                is_one = np.r_[is_one, False]
                crops, heat = np.r_[crops, np.zeros_like(crops[:1])], np.r_[heat, 0.0]
            out.append(self._selector(crops, heat, is_one))
        return out

    def _selector(self, crops: Crops, heat: Floats, is_one: NDArray[np.bool_]) -> Selector:
        """Places without a label that look like objects may be some: others are learned from without them."""
        found = Selector.fit(crops, heat, is_one)
        for _ in range(_ROUNDS):
            kept = is_one | (found(crops, heat) < 0)
            if kept.all() or is_one[kept].all():
                break
            found = Selector.fit(crops[kept], heat[kept], is_one[kept])
        return found

    def _judged(self, row: int, one: _Looked, selectors: Sequence[Selector]) -> OneImage:
        return _judged(one, self.boxes[row], selectors[int(self.fold[row])])

    def _read(self, row: int) -> NDArray[np.uint8] | None:
        return self.pixels.rgb(int(self.samples.images.image_id[row]))


def _judged(one: _Looked, boxes: Floats, selector: Selector) -> OneImage:
    """What was found on an image with the labelled `boxes` (b, 4)."""
    logits = selector(one.crops, one.heat)
    kept = suppress(one.places, logits, len(logits))
    own_heat = np.full(len(boxes), 0.9)
    return OneImage(
        xyxyn=one.places[kept],
        logit=logits[kept],
        overlap=_overlap(one.places[kept], boxes),
        boxes=one.boxes,
        sure=selector(one.box_crops, own_heat),
        loose=one.loose,
        made=one.made,
        read=True,
    )


def _overlap(places: Floats, boxes: Floats) -> Floats:
    """(m,) highest IoU of each place with a box."""
    if not len(places) or not len(boxes):
        return np.zeros(len(places))
    return np.asarray(iou(places, boxes).max(axis=1))
