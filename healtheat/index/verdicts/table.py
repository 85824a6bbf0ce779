"""The verdict log as a table, with each verdict tied to the box or image it is about today."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes, Images, rows_of
from healtheat.core.verdicts import Place
from healtheat.index.keys import box_key, whole_image_key
from healtheat.index.verdicts.log import NewVerdict, Target, Verdict
from healtheat.index.verdicts.spots import SAME, Spots, overlap

VERDICTS_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("at", pa.string()),
        ("who", pa.string()),
        ("box_key", pa.string()),
        ("box_id", pa.int64()),  # -1 for a whole image; NULL where it is not in the index (any more)
        ("image_id", pa.int64()),  # NULL likewise
        ("image", pa.string()),
        ("line", pa.int64()),
        ("class_id", pa.int64()),
        ("issue", pa.string()),
        ("verdict", pa.string()),
        ("relabel_to", pa.int64()),
        ("about", pa.list_(pa.float64())),  # the place that it names, and where a box should be: cx, cy, w, h
        ("box", pa.list_(pa.float64())),
        ("spot", pa.int64()),  # of the image, where a box is missing (spots.py); NULL for none
        ("there", pa.bool_()),  # whether the box that was missing is labelled by now
        ("undone", pa.bool_()),
    ]
)
# The last word on each box and issue.
CURRENT_VERDICTS = """
SELECT * EXCLUDE (undone) FROM verdicts WHERE NOT undone AND image_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY box_id, image_id, coalesce(spot::VARCHAR, box_key), issue ORDER BY seq DESC
) = 1
"""


class Targets:
    """Finds what a verdict is about: by its key, so that it survives a new numbering and new file names."""

    def __init__(self, boxes: Boxes, images: Images) -> None:
        self._boxes = boxes
        self._images = images
        self._first_images: dict[int, dict[str, int]] = {}  # class id → key → row

    def of(self, new: NewVerdict) -> Target:
        """What a new verdict is about. Raises KeyError for a box or image that is not here."""
        if new.box_id < 0:
            row = _row(self._images.image_id, new.image_id, "image")
            return Target(self._image_key(row, new.class_id), str(self._images.path[row]), -1, new.class_id)
        row = _row(self._boxes.box_id, new.box_id, "box")
        path = str(self._images.path[self._image_row[row]])
        return Target(self._box_key(row), path, int(self._boxes.line[row]), int(self._boxes.class_id[row]))

    def find(self, verdict: Verdict) -> tuple[int | None, int | None]:
        """(box_id, image_id); (-1, image_id) for a whole image; (None, None) if it is not here.

        The same image may lie in two folders: the verdict is about the copy it was given on, or else about
        the first.
        """
        there = self._row_of_path.get(verdict.image)
        if verdict.line < 0:
            key = None if there is None else self._image_key(there, verdict.class_id)
            row = there if key == verdict.box_key else self._first_image(verdict)
            return (None, None) if row is None else (-1, int(self._images.image_id[row]))
        near = [] if there is None else self._rows_by_image[there]
        row = next((r for r in near if self._box_key(r) == verdict.box_key), None)
        row = self._first_box.get(verdict.box_key) if row is None else row
        return (None, None) if row is None else (int(self._boxes.box_id[row]), int(self._boxes.image_id[row]))

    def holds(self, image_id: int, class_id: int, place: Place) -> bool:
        """Whether the labels of an image hold a box of this class at this place, or about there."""
        row = int(np.searchsorted(self._images.image_id, image_id))
        own = [r for r in self._rows_by_image[row] if int(self._boxes.class_id[r]) == class_id]
        return any(overlap(place, _place(self._boxes, r)) >= SAME for r in own)

    def _box_key(self, row: int) -> str:
        sha256 = str(self._images.sha256[self._image_row[row]])
        return box_key(sha256, self._boxes.xywhn[row], int(self._boxes.class_id[row]))

    def _image_key(self, row: int, class_id: int) -> str:
        return whole_image_key(str(self._images.sha256[row]), str(self._images.path[row]), class_id)

    @cached_property
    def _image_row(self) -> NDArray[np.int64]:
        return np.searchsorted(self._images.image_id, self._boxes.image_id).astype(np.int64)

    @cached_property
    def _row_of_path(self) -> dict[str, int]:
        return {str(path): row for row, path in enumerate(self._images.path)}

    @cached_property
    def _rows_by_image(self) -> list[list[int]]:
        return [rows.tolist() for rows in rows_of(self._image_row, len(self._images))]

    @cached_property
    def _first_box(self) -> dict[str, int]:
        """Needed only for what was renamed: it takes the hash of every box."""
        found: dict[str, int] = {}
        for row in range(len(self._boxes)):
            found.setdefault(self._box_key(row), row)
        return found

    def _first_image(self, verdict: Verdict) -> int | None:
        if verdict.class_id not in self._first_images:
            found: dict[str, int] = {}
            for row in range(len(self._images)):
                found.setdefault(self._image_key(row, verdict.class_id), row)
            self._first_images[verdict.class_id] = found
        return self._first_images[verdict.class_id].get(verdict.box_key)


def verdict_table(log: Sequence[Verdict], targets: Targets, spots: Spots) -> pa.Table:
    """Decisions in VERDICTS_SCHEMA, oldest first, none undone. Lines that undo another are no rows."""
    rows = []
    for verdict in log:
        if verdict.undoes is None:
            box_id, image_id = targets.find(verdict)
            row = {name: getattr(verdict, name) for name in VERDICTS_SCHEMA.names if hasattr(verdict, name)}
            spot, there = None, False
            if box_id == -1 and image_id is not None and verdict.issue == "missing_box":
                spot = spots.of(image_id, verdict.about, verdict.class_id, verdict.seq)
                if verdict.box is not None and verdict.relabel_to is not None:
                    there = targets.holds(image_id, verdict.relabel_to, verdict.box)
            tied = {"box_id": box_id, "image_id": image_id, "spot": spot, "there": there}
            rows.append({**row, **tied, "undone": False})
    return pa.Table.from_pylist(rows, schema=VERDICTS_SCHEMA)


def _place(boxes: Boxes, row: int) -> Place:
    cx, cy, w, h = boxes.xywhn[row].tolist()
    return cx, cy, w, h


def _row(ids: NDArray[np.int64], wanted: int | None, what: str) -> int:
    """Row of `wanted` among ascending `ids`."""
    row = int(np.searchsorted(ids, -1 if wanted is None else wanted))
    if row >= len(ids) or ids[row] != wanted:
        raise KeyError(f"no {what} {wanted}")
    return row
