"""One object, one row: what several rows say of one object without a box becomes one row that says all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, box_number
from healtheat.core.overlap import iou

_SAME_PLACE = 0.5  # IoU of two proposed places of one object

Rows = dict[str, list[Any]]


def join_overlapping(rows: Rows) -> None:
    """One row for a place that several signals propose: that of the highest score."""
    of_image: dict[int, list[int]] = {}
    for at, issue in enumerate(rows["issue"]):
        if issue == "missing_box" and rows["score"][at] is not None and rows["w"][at] is not None:
            of_image.setdefault(rows["image_id"][at], []).append(at)
    for places in of_image.values():
        if len({rows["signal"][at] for at in places}) < 2:
            continue
        places.sort(key=lambda at: -rows["score"][at])
        corners = _corners(rows, places)
        overlap = iou(corners, corners) >= _SAME_PLACE
        for n, at in enumerate(places):
            better = (places[k] for k in range(n) if overlap[n, k] and rows["score"][places[k]] is not None)
            if any(rows["signal"][one] != rows["signal"][at] for one in better):
                rows["score"][at] = None


def join_places(rows: Rows) -> None:
    """One row for a missing box that is known twice: a class that an image's name lists, and a place.

    The place of that class on the image takes over score and reason; the row without a place is no finding.
    """
    nowhere: dict[tuple[int, int], list[int]] = {}
    somewhere: dict[tuple[int, int], list[int]] = {}
    for at, issue in enumerate(rows["issue"]):
        if issue == "missing_box" and rows["score"][at] is not None and rows["class_id"][at] != NO_CLASS:
            key = (rows["image_id"][at], rows["class_id"][at])
            (nowhere if rows["w"][at] is None else somewhere).setdefault(key, []).append(at)
    for key, places in somewhere.items():
        places.sort(key=lambda at: -rows["score"][at])
        for place, listed in zip(places, nowhere.get(key, ()), strict=False):
            rows["score"][place] = max(rows["score"][place], rows["score"][listed])
            rows["reason"][place] = f"{rows['reason'][listed]}; here: {rows['reason'][place]}"
            rows["score"][listed] = None


def hold_moved(rows: Rows, least: float) -> None:
    """A missing box is withheld where a box of the image belongs: it is `bad_box` with a score of at least
    `least`, and proposes that place. Who moves it there needs no new one.
    """
    bad: dict[int, list[int]] = {}
    for at, issue in enumerate(rows["issue"]):
        score = rows["score"][at]
        told = score is not None and score >= least and rows["withheld"][at] is None
        if issue == "bad_box" and told and rows["w"][at] is not None:
            bad.setdefault(rows["image_id"][at], []).append(at)
    for at, issue in enumerate(rows["issue"]):
        beside = bad.get(rows["image_id"][at], [])
        if issue != "missing_box" or not beside or rows["score"][at] is None or rows["w"][at] is None:
            continue
        overlap = iou(_corners(rows, [at]), _corners(rows, beside))[0]
        if overlap.max() >= _SAME_PLACE:
            number = box_number(rows["line"][beside[int(overlap.argmax())]])
            rows["withheld"][at] = rows["withheld"][at] or f"box {number} seems to belong there"


def _corners(rows: Rows, among: list[int]) -> NDArray[np.float64]:
    """(k, 4) left, top, right, bottom of the places of the rows."""
    xywh = np.array([[rows[name][at] for name in ("cx", "cy", "w", "h")] for at in among], np.float64)
    return np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], axis=1)
