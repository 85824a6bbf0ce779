"""Which findings of an index a newer version of the labels settles, and which are open or new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from healtheat.comparing.changes import Compared, Fate
from healtheat.comparing.classes import ClassMatch
from healtheat.comparing.match import MIN_IOU, ImagePairs
from healtheat.comparing.sides import Side
from healtheat.core.overlap import iou
from healtheat.findings.filters import Filters
from healtheat.findings.query import query
from healtheat.index import Index

# settled: what was asked for was done; otherwise: a verdict asked for one thing and another was done;
# open: nothing was done about it; absent: the new version lacks its image; new: only its index finds it.
STATES = ("settled", "otherwise", "open", "absent", "new")

FINDINGS_SCHEMA = pa.schema(
    [
        ("state", pa.string()),
        ("image", pa.string()),
        ("line", pa.int64()),  # 0-based, -1 for none; of `new` the line in the new version
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("issue", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),  # flagged, or confirmed by a person
        ("verdict", pa.string()),
        ("relabel_to", pa.int64()),
        ("suggestion", pa.int64()),
        ("done", pa.string()),  # what happened to the box: kinds of changes, "" for none
        ("reason", pa.string()),
    ]
)
_OF_ROW = [name for name in FINDINGS_SCHEMA.names if name not in ("state", "done")]
Finding = Mapping[str, Any]
Judged = tuple[Finding, str, Sequence[str]]  # the row of `query`, its state, what was done
_ASKED = ("flagged", "confirmed")
# What does not answer a flag that nobody decided on: a wrong class is no better in another place.
_NO_ANSWER = {"moved": ("mislabel", "unexpected_class"), "relabelled": ("bad_box",)}


def settle(
    old: Side, new: Side, images: ImagePairs, classes: ClassMatch, compared: Compared
) -> pa.Table | None:
    """A row for each box or place of the old index that was flagged or confirmed; None without an index.

    Where the new version is an index too, a flag is open if that one raises it as well, and what only that
    one raises is new. Marks in `compared.rows` whether each change was asked for.
    """
    if old.index is None:
        return None
    for row in compared.rows:
        row["asked_for"] = False
    judge = _Judge(old, new, images, compared)
    judged = [(row, *judge.state(row)) for row in _asked(old.index)]
    if new.index is not None:
        judged = _against_index(judged, judge, new, new.index, classes)
    judged.sort(key=lambda one: STATES.index(one[1]))
    rows = [
        {**{name: row[name] for name in _OF_ROW}, "state": state, "done": ", ".join(done)}
        for row, state, done in judged
    ]
    return pa.Table.from_pylist(rows, FINDINGS_SCHEMA)


def _asked(index: Index) -> list[Finding]:
    rows: list[Finding] = query(index, Filters(statuses=_ASKED), each="box", sort="image").to_pylist()
    return [row for row in rows if row["image"] is not None]


class _Judge:
    """Says what became of each finding."""

    def __init__(self, old: Side, new: Side, images: ImagePairs, compared: Compared) -> None:
        self._partner = images.partner
        self._compared = compared
        self._broken = new.labels.broken
        self.place_of = {path: n for n, path in enumerate(old.labels.images)}
        self.row_of: dict[int, tuple[int, int]] = {}  # box id → (image, row among its boxes)
        boxes = old.labels.boxes
        first = np.searchsorted(boxes.image_id, boxes.image_id)
        for at, (box, image) in enumerate(zip(boxes.box_id.tolist(), boxes.image_id.tolist(), strict=True)):
            self.row_of[box] = (image, at - int(first[at]))
        self._used: set[int] = set()  # added boxes that settled a missing one

    def state(self, row: Finding) -> tuple[str, Sequence[str]]:
        """The state of one finding, and what was done."""
        place = self.place_of[row["image"]]
        if self._partner[place] < 0:
            return "absent", ()
        if row["box_id"] >= 0:
            return self._box(row)
        if row["kind"] == "place":
            return self._missing(row, place)
        if row["kind"] == "line" and int(self._partner[place]) not in self._broken:
            return "settled", ()
        return "open", ()

    def _fate(self, box_id: int) -> Fate:
        image, n = self.row_of[box_id]
        return self._compared.fates[image][n]

    def _box(self, row: Finding) -> tuple[str, Sequence[str]]:
        fate = self._fate(row["box_id"])
        state, done = _of_fate(row, fate), fate.kinds
        if row["verdict"] == "moved" and fate.kinds == ("removed",):
            # Moved so far that the comparison takes it for another box.
            if self._added(row, self.row_of[row["box_id"]][0], row["class_id"], MIN_IOU):
                self._mark(row["box_id"], done)
                return "settled", ("moved",)
        elif state == "settled":
            self._mark(row["box_id"], done)
        elif (
            (state, row["issue"]) == ("open", "duplicate")
            and row["verdict"] != "drop"
            and self._is_removed(row["twin_box_id"])
        ):
            self._mark(row["twin_box_id"], ("removed",))
            return "settled", ("twin removed",)
        return state, done

    def _is_removed(self, box_id: int) -> bool:
        """Whether the box is gone from an image that is still there."""
        image, _ = self.row_of.get(box_id, (-1, -1))
        return image in self._compared.fates and "removed" in self._fate(box_id).kinds

    def key_in_new(self, row: Finding, new: Side) -> tuple[int, ...] | tuple[int, str, int]:
        """What the same finding is known by in the new index."""
        partner = int(self._partner[self.place_of[row["image"]]])
        if row["box_id"] < 0 or partner < 0:
            return partner, row["issue"], -1 if row["class_id"] is None else row["class_id"]
        there = self._fate(row["box_id"]).new_row
        first = int(np.searchsorted(new.labels.boxes.image_id, partner))
        return (int(new.labels.boxes.box_id[first + there]),) if there >= 0 else (-1,)

    def _mark(self, box_id: int, kinds: Sequence[str]) -> None:
        image, n = self.row_of[box_id]
        for kind in kinds:
            self._compared.rows[self._compared.row_of[image, n, kind]]["asked_for"] = True

    def _missing(self, row: Finding, place: int) -> tuple[str, Sequence[str]]:
        wanted = row["class_id"] if row["relabel_to"] is None else row["relabel_to"]
        return ("settled", ("added",)) if self._added(row, place, wanted) else ("open", ())

    def _added(self, row: Finding, place: int, wanted: int | None, least: float = 0.0) -> bool:
        """Whether the new version has a box of its own where the finding wants one, of the class `wanted`."""
        for class_id, xyxyn, at in self._compared.added[place]:
            if at not in self._used and wanted in (None, class_id) and _touches(row, xyxyn, least):
                self._used.add(at)
                self._compared.rows[at]["asked_for"] = True
                return True
        return False


def _of_fate(row: Finding, fate: Fate) -> str:
    if not fate.kinds:
        return "open"
    if row["verdict"] == "drop":
        return "settled" if "removed" in fate.kinds else "otherwise"
    if row["verdict"] == "moved":
        return "settled" if fate.kinds == ("moved",) else "otherwise"
    if row["verdict"] == "relabel":
        if "relabelled" in fate.kinds and fate.class_id == row["relabel_to"]:
            return "settled"
        return "open" if fate.kinds == ("moved",) else "otherwise"
    answers = any(row["issue"] not in _NO_ANSWER.get(kind, ()) for kind in fate.kinds)
    return "settled" if answers else "open"


def _touches(row: Finding, xyxyn: Any, least: float) -> bool:
    """Whether a box lies where one should be (an IoU of `least`); where nobody knows the place, any does."""
    prefix = "" if row["to_cx"] is None else "to_"
    if row[f"{prefix}cx"] is None:
        return True
    cx, cy, w, h = (row[f"{prefix}{name}"] for name in ("cx", "cy", "w", "h"))
    proposed = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]])
    overlap = float(iou(proposed, np.asarray(xyxyn)[None])[0, 0])
    return overlap > 0 and overlap >= least


def _against_index(
    judged: Sequence[Judged], judge: _Judge, new: Side, index: Index, classes: ClassMatch
) -> list[Judged]:
    """What the new index still finds is open, and what only it finds is new."""
    place_of = {path: n for n, path in enumerate(new.labels.images)}
    left: defaultdict[tuple[int, ...] | tuple[int, str, int], list[Finding]] = defaultdict(list)
    for row in _asked(index):
        place, class_id = place_of[row["image"]], row["class_id"]
        as_old = -1 if class_id is None else classes.old_id(class_id)
        left[(row["box_id"],) if row["box_id"] >= 0 else (place, row["issue"], as_old)].append(row)
    out: list[Judged] = []
    for row, state, done in judged:
        found = left[judge.key_in_new(row, new)]
        if row["status"] == "flagged" and state in ("open", "settled"):
            state = "open" if found else "settled"
        del found[:1]
        out.append((row, state, done))
    return [*out, *((row, "new", ()) for rows in left.values() for row in rows)]
