"""Labelled boxes beside a detector's predictions on all images: facts only, nothing learned from them yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, Boxes, rows_of
from healtheat.signals.detector.matching import match
from healtheat.signals.detector.predictions import Predictions
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Seen:
    """What the matching gave, box by box (n,) and prediction by prediction, before anything is learned."""

    why: list[str | None]  # (n,) why the box cannot be compared at all
    flaw: list[str | None]  # (n,) why "not predicted" says nothing about it
    iou: Floats  # (n,) with the matched prediction, NaN if none
    other: NDArray[np.int64]  # (n,) class predicted there, NO_CLASS if none
    place: Floats  # (n, 4) xywhn predicted there, NaN if none
    sure: Floats  # (n,) how sure the detector is of that class
    confidence: Floats  # (n,) of that prediction
    best: Floats  # (n,) highest confidence of any prediction that touches the box
    predictions: list[Boxes] = field(default_factory=list)  # kept ones of each image, numbered by image
    touched: list[NDArray[np.bool_]] = field(default_factory=list)
    whole: list[NDArray[np.bool_]] = field(default_factory=list)  # all label lines of the image were read


def compare(samples: Samples, predicted: Predictions) -> Seen:
    """Every labelled box beside the predictions on its image; `predicted` is about the samples' images."""
    n, boxes, images = len(samples), samples.boxes, samples.images
    seen = Seen(
        why=[None] * n,
        flaw=[None] * n,
        iou=np.full(n, np.nan),
        other=np.full(n, NO_CLASS, np.int64),
        place=np.full((n, 4), np.nan),
        sure=np.zeros(n),
        confidence=np.zeros(n),
        best=np.zeros(n),
    )
    rows_of_image = rows_of(samples.image_row, len(images))
    corners = boxes.xyxyn
    for place, said in enumerate(predicted.of):
        rows = rows_of_image[place]
        if said is None:
            for row in rows:
                seen.why[row] = predicted.why[place]
            continue
        there = said.boxes
        if said.flaw and not len(there):
            for row in rows:
                seen.why[row] = said.flaw
            continue
        found = match(corners[rows], there.xyxyn, there.class_id, there.confidence)
        with_one = found.of >= 0
        at, of = rows[with_one], found.of[with_one]
        seen.iou[at], seen.other[at], seen.sure[at] = (
            found.iou[with_one],
            there.class_id[of],
            found.sure[of],
        )
        seen.confidence[at], seen.place[at], seen.best[rows] = (
            there.confidence[of],
            there.xywhn[of],
            found.best,
        )
        for row in rows:
            seen.flaw[row] = said.flaw or None
        seen.predictions.append(there[found.kept].numbered(0, int(images.image_id[place])))
        seen.touched.append(found.touched[found.kept])
        whole = not broken_classes(samples.problems_of[images.path[place]])
        seen.whole.append(np.full(int(found.kept.sum()), whole))
    return seen
