"""What a label file says of an image: boxes with the names of their classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.corners import Outline, what_is_wrong
from healtheat.core.text import counted
from healtheat.sources.coco.fields import BadItem

MAX_PROBLEMS = 10_000  # a file; beyond it they are counted, not listed


class NamedBox(NamedTuple):
    """A box: its number in the file (from 0), its class by name, centre and size as shares of the image."""

    line: int
    label: str
    xywhn: tuple[float, float, float, float]
    confidence: float = math.nan
    corners: Outline | None = None  # of a polygon, shares of the image


@dataclass(slots=True)
class Sheet:
    """One image of a label file.

    `image` is its name as written; `stem` is that of the label file where the format calls both alike, else
    "". `entries` counts all that stands there, `problems` (with the label file's name) what is no box.
    """

    image: str
    size_px: tuple[int, int] | None = None
    stem: str = ""
    split: str = ""
    entries: int = 0
    boxes: list[NamedBox] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """What one label file says. `classes` are those that it lists, with their ids, None if it lists none."""

    file: str  # the name that problems carry
    sheets: list[Sheet] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)  # about no image
    classes: Mapping[int, str] | None = None
    sha256: str = ""
    size: int = 0


class NotThisFormat(Exception):
    """A file that is not of the format as a whole; says what it is and what to do. `line` is 0-based."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class SheetWriter:
    """Fills one `Sheet`: every entry is a box or a problem."""

    def __init__(self, file: str, sheet: Sheet, what: str) -> None:
        self.sheet = sheet
        self._file = file
        self._what = what  # how an entry is called: "object", "shapes"
        self._seen: dict[tuple[object, ...], int] = {}

    def add(
        self,
        line: int,
        label: str,
        xyxy: tuple[float, float, float, float],
        points_px: Sequence[tuple[float, float]] = (),
    ) -> None:
        """The box of entry `line`, edges in pixels, and the points of a polygon. Raises BadItem."""
        if self.sheet.size_px is None:
            raise BadItem("the size of the image is not given, so a box in pixels has no place")
        place = in_image(xyxy, self.sheet.size_px)
        corners = np.array(points_px, np.float64) / self.sheet.size_px if points_px else None
        self.add_share(line, label, place, corners)

    def add_polygon(self, line: int, label: str, points: Sequence[tuple[float, float]]) -> None:
        """The box around the points of entry `line`, shares of the image, which are kept. Raises BadItem."""
        self.add_share(
            line, label, in_image(around(points), (1, 1), "its image"), np.array(points, np.float64)
        )

    def add_share(
        self,
        line: int,
        label: str,
        xywhn: tuple[float, float, float, float],
        corners: Outline | None = None,
    ) -> None:
        """The same, already a share of the image."""
        if not label.strip():
            raise BadItem("the class has no name")
        first = self._seen.setdefault((label, *xywhn), line)
        if first != line:
            self.problem(ProblemCode.REPEATED_LINE, line, f"exact duplicate of {self._what}[{first}]")
            return
        if corners is not None and (reason := what_is_wrong(corners)):
            corners = None
            self.problem(ProblemCode.SHAPE_LEFT_OUT, line, f"{reason}; its box is kept")
        self.sheet.boxes.append(NamedBox(line, label, xywhn, corners=corners))

    def problem(self, code: ProblemCode, line: int | None, reason: str) -> None:
        """Note why an entry, or with None the image, gives no box."""
        problems = self.sheet.problems
        if len(problems) < MAX_PROBLEMS:
            where = "" if line is None else f"{self._what}[{line}]: "
            problems.append(Problem(code, self._file, line, where + reason))
        elif len(problems) == MAX_PROBLEMS:
            problems.append(Problem(ProblemCode.NOT_LISTED, self._file, None, "more problems, not listed"))

    def bad_size(self, reason: str) -> None:
        """The claimed size cannot be used, so no box has a place."""
        lost = counted(self.sheet.entries, "box is", "boxes are")
        self.problem(ProblemCode.BAD_ENTRY, None, f"{reason}; {lost} left out")


def around(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the smallest upright box around the points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def in_image(
    xyxy: tuple[float, float, float, float], size_px: tuple[int, int], image: str = ""
) -> tuple[float, float, float, float]:
    """Corners in pixels as centre and size, shares of the image. Raises BadItem.

    As for COCO, a box may stick out, but its centre lies in the image and it is no larger than that. `image`
    is what messages call it.
    """
    left, top, right, bottom = xyxy
    if not all(abs(value) < 1e12 for value in xyxy):  # NaN too
        raise BadItem("a coordinate is not a usable finite number")
    if right <= left or bottom <= top:
        raise BadItem("the box has zero or negative area")
    width, height = size_px
    place = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )
    if not all(0 <= value <= 1 for value in place):
        image = image or f"its image of {width} x {height} px"
        raise BadItem(f"the box lies outside or is larger than {image}")
    if not place[2] or not place[3]:
        raise BadItem("the box has zero area")
    return place
