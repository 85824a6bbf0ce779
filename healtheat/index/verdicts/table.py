"""The verdict log as a table, with each verdict tied to the box or photo it is about today."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from healtheat.core.boxes import Boxes, Images
from healtheat.index.keys import box_key, photo_key
from healtheat.index.verdicts.log import Verdict

VERDICTS_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("at", pa.string()),
        ("who", pa.string()),
        ("box_key", pa.string()),
        ("box_id", pa.int64()),  # -1 for a whole photo; NULL where it is not in the index (any more)
        ("image_id", pa.int64()),  # NULL likewise
        ("image", pa.string()),
        ("line", pa.int64()),
        ("class_id", pa.int64()),
        ("issue", pa.string()),
        ("verdict", pa.string()),
        ("relabel_to", pa.int64()),
        ("undone", pa.bool_()),
    ]
)
# The last word on each box and issue.
CURRENT_VERDICTS = """
SELECT * EXCLUDE (undone) FROM verdicts WHERE NOT undone AND image_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY box_id, image_id, box_key, issue ORDER BY seq DESC) = 1
"""


class Targets:
    """Finds what a verdict is about: by its key, so that it survives a new numbering and new file names."""

    def __init__(self, boxes: Boxes, images: Images) -> None:
        self._boxes = boxes
        self._images = images
        self._photo_keys: dict[int, dict[str, list[int]]] = {}

    def find(self, verdict: Verdict) -> tuple[int | None, int | None]:
        """(box_id, image_id); (-1, image_id) for a whole photo; (None, None) if it is not here."""
        if verdict.line < 0:
            rows = self._photos(verdict.class_id).get(verdict.box_key, [])
            row = self._same_path(rows, rows, verdict.image)
            return (None, None) if row is None else (-1, int(self._images.image_id[row]))
        rows = self._box_rows.get(verdict.box_key, [])
        row = self._same_path(rows, [int(self._image_row[r]) for r in rows], verdict.image)
        if row is None:
            return None, None
        return int(self._boxes.box_id[row]), int(self._boxes.image_id[row])

    def box_key(self, row: int) -> str:
        """The key of the box in row `row`."""
        sha256 = str(self._images.sha256[self._image_row[row]])
        return box_key(sha256, self._boxes.xywhn[row], int(self._boxes.class_id[row]))

    def _same_path(self, rows: list[int], image_rows: list[int], path: str) -> int | None:
        # The same photo may lie in two folders: the verdict is about the copy it was given on.
        for row, image_row in zip(rows, image_rows, strict=True):
            if self._images.path[image_row] == path:
                return row
        return rows[0] if rows else None

    @cached_property
    def _image_row(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        return np.searchsorted(self._images.image_id, self._boxes.image_id)

    @cached_property
    def _box_rows(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row in range(len(self._boxes)):
            found.setdefault(self.box_key(row), []).append(row)
        return found

    def _photos(self, class_id: int) -> dict[str, list[int]]:
        if class_id not in self._photo_keys:
            found: dict[str, list[int]] = {}
            for row, (sha256, path) in enumerate(zip(self._images.sha256, self._images.path, strict=True)):
                found.setdefault(photo_key(str(sha256), str(path), class_id), []).append(row)
            self._photo_keys[class_id] = found
        return self._photo_keys[class_id]


def verdict_table(log: Sequence[Verdict], targets: Targets) -> pa.Table:
    """Decisions in VERDICTS_SCHEMA, oldest first, none undone. Lines that undo another are no rows."""
    rows = []
    for verdict in log:
        if verdict.undoes is None:
            box_id, image_id = targets.find(verdict)
            row = {name: getattr(verdict, name) for name in VERDICTS_SCHEMA.names if hasattr(verdict, name)}
            rows.append({**row, "box_id": box_id, "image_id": image_id, "undone": False})
    return pa.Table.from_pylist(rows, schema=VERDICTS_SCHEMA)
