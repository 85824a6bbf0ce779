"""Spots of images where a box is missing: what a verdict that names a place is tied to.

A place that is found again after another scoring, or by another signal, has about the same coordinates, never
the very same. So the findings of an image whose places overlap by at least `SAME` are one spot, and a verdict
belongs to the spot that its own place overlaps most.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

from healtheat.core.overlap import iou
from healtheat.core.verdicts import Place

SAME = 0.5  # intersection over union from which two places are one spot
SPOTS_SCHEMA = pa.schema([("finding_id", pa.int64()), ("spot", pa.int64())])
# Findings about no box; those with a place are at a spot.
FOUND = """
SELECT finding_id, image_id, coalesce(class_id, -1) AS class_id, issue, cx, cy, w, h FROM findings
WHERE box_id < 0 AND kind = 'place' ORDER BY score DESC, finding_id
"""


def overlap(one: Place, other: Place) -> float:
    """Intersection over union of two places."""
    corners = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2] for cx, cy, w, h in (one, other)])
    return float(iou(corners[:1], corners[1:])[0, 0])


class Spots:
    """The spots of an index. Their numbers are below -1: they stand where a class id else tells apart what
    verdicts on an image are about.
    """

    def __init__(self, found: pa.Table) -> None:
        """`found`: the rows of `FOUND`."""
        self._of_image: defaultdict[int, list[tuple[Place, int]]] = defaultdict(list)
        self._of_finding: dict[int, int] = {}
        self._of_class: defaultdict[tuple[int, int], set[int | None]] = defaultdict(set)
        for row in found.to_pylist():
            spot = None
            if row["cx"] is not None:
                place = (row["cx"], row["cy"], row["w"], row["h"])
                spot = self._at(row["image_id"], place, -2 - 2 * row["finding_id"])
                self._of_finding[row["finding_id"]] = spot
            self._of_class[row["image_id"], row["class_id"]].add(spot)

    def table(self) -> pa.Table:
        """The spot of every finding that has one, in SPOTS_SCHEMA."""
        columns = [list(self._of_finding), list(self._of_finding.values())]
        return pa.Table.from_arrays([pa.array(c, pa.int64()) for c in columns], schema=SPOTS_SCHEMA)

    def of(self, image_id: int, about: Place | None, class_id: int, seq: int) -> int | None:
        """The spot of line `seq` of the log, which is about a missing box; None for one that is about all of
        the image.

        One that names no place is about the only spot of its class, where there is exactly one: so was it
        meant before verdicts could name places.
        """
        if about is not None:
            return self._at(image_id, about, -3 - 2 * seq)
        spots = self._of_class.get((image_id, class_id), set())
        return next(iter(spots)) if len(spots) == 1 else None

    def _at(self, image_id: int, place: Place, new: int) -> int:
        """The spot of the image that `place` overlaps most; a new one where it overlaps none by `SAME`."""
        near = [(overlap(place, other), -n, spot) for n, (other, spot) in enumerate(self._of_image[image_id])]
        best = max(near, default=(0.0, 0, new))
        if best[0] >= SAME:
            return best[2]
        self._of_image[image_id].append((place, new))
        return new
