"""The map of the embedding: dots as a picture, class numbers and flagged boxes as marks laid over it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from healtheat.signals import Samples
from healtheat.view.map import colour_of
from healtheat.view.pictures import Picture
from healtheat.view.places import GRID

SIDE = 1000  # of the map, in its own units; twice what it is shown at on most pages
MOST_MARKS = 1500
LABELLED = 24  # classes whose number stands on the map and whose colour is explained
_DRAWN = 2  # times as large, so that dots are round
SHAPES: Mapping[str, str] = {  # around (0, 0); told apart by shape, not by colour alone
    "mislabel": "M-11 0a11 11 0 1 0 22 0a11 11 0 1 0 -22 0z",
    "outlier": "M0 -13L12 9H-12z",
    "background": "M-10 -10L10 10M10 -10L-10 10",
    "bad_box": "M0 -14L14 0L0 14L-14 0z",
    "duplicate": "M-10 -10H10V10H-10z",
    "unexpected_class": "M0 -13V13M-13 0H13",
    "low_quality": "M-13 0H13M-13 6H13",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A flagged box on the map."""

    x: int
    y: int
    issue: str
    finding_id: int
    class_id: int


@dataclass(frozen=True, slots=True)
class ClassMark:
    """The number of a class in the middle of its boxes, and its colour as #rrggbb."""

    x: int
    y: int
    class_id: int
    colour: str
    boxes: int


@dataclass(frozen=True, slots=True)
class Map:
    """`picture` is a transparent PNG as data URI; `marks_left_out` flagged boxes are not marked."""

    picture: str
    marks: Sequence[Mark]
    labels: Sequence[ClassMark]
    marks_left_out: int

    @property
    def issues(self) -> list[str]:
        """The issues that are marked, in the order of SHAPES."""
        seen = {mark.issue for mark in self.marks}
        return [issue for issue in SHAPES if issue in seen]


def draw_map(
    samples: Samples, placed: NDArray[np.uint16], flagged: Sequence[tuple[int, int, str]]
) -> Map | None:
    """The map of all boxes; None without boxes. `placed` (n, 2): where `view.places` puts each of them;
    `flagged`: (finding_id, box_id, issue), worst first.
    """
    if not len(samples):
        return None
    # as the review page has it, with a margin for the dots
    at = ((placed.astype(np.float64) / GRID * 2 - 1) * 0.95 + 1) / 2 * SIDE
    row = {int(box_id): i for i, box_id in enumerate(samples.boxes.box_id)}
    known = [(f, row[box], issue) for f, box, issue in flagged if box in row and issue in SHAPES]
    marks = [
        Mark(round(at[r, 0]), round(at[r, 1]), issue, f, int(samples.boxes.class_id[r]))
        for f, r, issue in known[:MOST_MARKS]
    ]
    labels = []
    for code in np.argsort(-samples.class_count, kind="stable")[:LABELLED].tolist():
        mine = at[samples.class_code == code]
        if len(mine):
            x, y = mine[np.abs(mine - np.median(mine, axis=0)).sum(axis=1).argmin()].round().tolist()
            colour = "#{:02x}{:02x}{:02x}".format(*colour_of(code))
            labels.append(ClassMark(int(x), int(y), int(samples.class_ids[code]), colour, len(mine)))
    return Map(_dots(at, samples.class_code), marks, labels, len(known) - len(marks))


def _dots(at: NDArray[np.float64], code: NDArray[np.int64]) -> str:
    size = SIDE * _DRAWN
    picture = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    radius = 5 * _DRAWN if len(at) <= 3000 else 2.5 * _DRAWN
    for (x, y), k in zip((at * _DRAWN).tolist(), code.tolist(), strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colour_of(k), 220))
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
    out = io.BytesIO()
    small.quantize(256, Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return Picture(out.getvalue(), "image/png").data_uri
