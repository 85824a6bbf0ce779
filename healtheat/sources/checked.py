"""The last look at what a format hands over: what no index can hold becomes a problem."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from healtheat.core.boxes import MAX_CLASS_ID, Boxes, Problem, ProblemCode
from healtheat.core.corners import MOST_NUMBERS, outlines, what_is_wrong
from healtheat.core.errors import InputError
from healtheat.core.text import bad_name, counted, shown
from healtheat.sources.base import LabelFile, LabelledImage, Record, Source


def checked(source: Source) -> Iterator[Record]:
    """The records of `source`, without boxes that are none and without paths that lead elsewhere.

    A box needs a class id from 0 to MAX_CLASS_ID, a line from 0 and a finite place with an area; each that
    lacks one is a BAD_LINE. An outline that no index can hold is a SHAPE_LEFT_OUT, and the box stays. A path
    is relative and without `..`, or where the file really lies; an image or a label file with another is a
    BAD_PATH. Raises InputError for numbers beyond 64 bits.
    """
    room = _Room()
    try:
        for record in source.read():
            if isinstance(record, LabelledImage):
                yield from _image(record, room)
            elif isinstance(record, LabelFile) and (reason := _bad_path(record.path)):
                yield Problem(ProblemCode.BAD_PATH, shown(record.path), None, reason)
            else:
                yield record
    except OverflowError as error:
        raise InputError(
            f"{source.data}: holds a number that no index can keep ({error}); class ids go from 0 to "
            f"{MAX_CLASS_ID}"
        ) from None


def _image(record: LabelledImage, room: _Room) -> Iterator[Record]:
    for path in (record.path, record.label_path, *dict.fromkeys(record.box_label_path)):
        if reason := _bad_path(path, record.file if path is record.path else None):
            are = counted(len(record.boxes), "box is", "boxes are")
            lost = f" (its {are} left out)" if len(record.boxes) else ""
            yield Problem(ProblemCode.BAD_PATH, shown(path), None, reason + lost)
            return
    boxes = record.boxes
    bad = _bad_boxes(boxes)
    for row, reason in bad.items():
        yield _problem(ProblemCode.BAD_LINE, record, row, reason)
    if bad:
        kept = [row for row in range(len(boxes)) if row not in bad]
        files = tuple(record.box_label_path[row] for row in kept) if record.box_label_path else ()
        record = replace(record, boxes=boxes[kept], box_label_path=files)
    shapeless = room.take(record.boxes)
    for row, reason in shapeless.items():
        yield _problem(ProblemCode.SHAPE_LEFT_OUT, record, row, reason)
    if shapeless or room.is_full:
        record = replace(record, boxes=_without_outlines(record.boxes, None if room.is_full else shapeless))
    yield record


def _without_outlines(boxes: Boxes, rows: Container[int] | None) -> Boxes:
    """The boxes without the outlines of `rows`, or of all with None."""
    kept = (None if rows is None or row in rows else c for row, c in enumerate(boxes.corners))
    return replace(boxes, corners=outlines(kept))


def _problem(code: ProblemCode, record: LabelledImage, row: int, reason: str) -> Problem:
    line = int(record.boxes.line[row])
    file = record.box_label_path[row] if record.box_label_path else record.label_path or record.path
    return Problem(code, file, line if line >= 0 else None, reason, record.path)


class _Room:
    """How many numbers of outlines may still come: a stranger's polygons must not fill the memory."""

    def __init__(self) -> None:
        self._left = MOST_NUMBERS
        self.is_full = False  # no outline is taken any more

    def take(self, boxes: Boxes) -> dict[int, str]:
        """Row → why its outline is left out; where the room ends, of the first of the image alone."""
        if self.is_full:
            return {}
        found: dict[int, str] = {}
        for row, outline in enumerate(boxes.corners):
            if outline is None:
                continue
            if reason := what_is_wrong(outline):
                found[row] = f"{reason}; its box is kept"
                continue
            self._left -= outline.size
            if self._left < 0:
                self.is_full = True
                found[row] = f"more than {MOST_NUMBERS // 2:,} points; from here on only boxes are kept"
                break
        return found


def _bad_boxes(boxes: Boxes) -> dict[int, str]:
    """Row → why it is no box."""
    found: dict[int, str] = {}
    ids, lines, places = boxes.class_id, boxes.line, boxes.xywhn
    solid = np.isfinite(places).all(1) & (places[:, 2:] > 0).all(1)
    for row in np.flatnonzero((ids < 0) | (ids > MAX_CLASS_ID) | (lines < 0) | ~solid).tolist():
        if not 0 <= ids[row] <= MAX_CLASS_ID:
            found[row] = f"class id {ids[row]} is not an integer from 0 to {MAX_CLASS_ID}"
        elif lines[row] < 0:
            found[row] = f"line {lines[row]}: lines count from 0"
        else:
            found[row] = "the box has no area, or a number that is not finite"
    return found


def _bad_path(path: str, file: Path | None = None) -> str | None:
    """Why `path` cannot be kept, or None. `file` is where an image lies; an absolute path must lead there."""
    if reason := bad_name(path):
        return reason
    if ".." in PurePosixPath(path).parts:
        return "the path leaves the data set by '..'"
    if file is not None and not path:
        return "the image has no path"
    if file is not None and Path(path).is_absolute() and Path(path) != file.absolute():
        return f"the path is absolute, but the image lies at {shown(file.as_posix())}"
    return None
