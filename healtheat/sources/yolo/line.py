"""The line formats of YOLO label files, one function each. Parsed strictly, nothing repaired."""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass
from typing import Literal

from healtheat.core.boxes import MAX_CLASS_ID, ProblemCode
from healtheat.core.text import shown

Task = Literal["detect", "segment", "pose", "obb"]
# What `yolo track save_txt` adds to a box: its track's number, with or without the confidence before it.
Tracks = Literal["", "id", "confidence id"]

# float() takes more than a label file may hold: "1_0", "infinity", digits of other scripts
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_INTEGER = re.compile(r"[0-9]{1,10}")
_WHOLE = re.compile(r"[0-9]{1,10}(?:\.0*)?")  # pandas writes ids as 1.0; there is one meaning


def single(value: float) -> float:
    """`value` in single precision, in which the trainer compares."""
    return array("f", [value])[0]


# The trainer takes coordinates that leave the image by 1 %.
LOW, HIGH = single(-0.01), single(1.01)


class BadLine(ValueError):
    """A label line that is no box; the message is the reason, `code` the kind."""

    def __init__(self, reason: str, code: ProblemCode = ProblemCode.BAD_LINE) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class LabelRules:
    """How the lines of a data set are read, which no line can tell by itself. See `task.rules_of`."""

    task: Task = "detect"
    keypoints: tuple[int, int] | None = None  # `kpt_shape` of data.yaml: number, values of each (2 or 3)
    tracks: Tracks = ""

    @property
    def pose_fields(self) -> int:
        """Fields of a line with keypoints; 0 where the data set has none."""
        return 5 + self.keypoints[0] * self.keypoints[1] if self.keypoints else 0


PLAIN = LabelRules()


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """One parsed line. `xywhn` are the file's numbers (of a polygon: its bounding box).

    `numbers` is everything after the class id that makes it differ from another line; of a polygon they are
    its points. `beyond` says that a coordinate lies outside of the image, by no more than the trainer allows.
    """

    class_id: int
    xywhn: tuple[float, float, float, float]
    confidence: float = math.nan
    numbers: tuple[float, ...] = ()
    fields: int = 5
    beyond: bool = False
    is_polygon: bool = False


def parse_line(line: str, rules: LabelRules = PLAIN) -> ParsedLine:
    """The box of one line that is not blank; the number of fields and `rules` decide the format.

    5 fields `class x y w h`; 6 `class x y w h confidence` (`yolo predict save_txt save_conf`), or of tracks
    `class x y w h id`; as many as `kpt_shape` says: a box and its keypoints; 7 of tracks `class x y w h
    confidence id`; else an odd number from 7 up `class x1 y1 x2 y2 x3 y3 …` (segments; with 9 fields also
    oriented boxes). Raises BadLine.
    """
    fields = line.strip(" \t\r\n").replace("\t", " ").split(" ")
    fields = [field for field in fields if field]
    n = len(fields)
    if n == 5:
        return parse_box(fields)
    if n and n == rules.pose_fields:
        return parse_pose(fields, rules)
    if n == 6:
        return parse_track(fields) if rules.tracks == "id" else parse_box_with_confidence(fields)
    if n == 7 and rules.tracks == "confidence id":
        return parse_track(fields)
    if n >= 7 and n % 2 == 1 and rules.task != "pose":
        return parse_polygon(fields)
    pose = f", {rules.pose_fields} with its keypoints" if rules.keypoints else ""
    raise BadLine(
        f"{n} field{'s' if n != 1 else ''}; a box has 5 (class x y w h), or 6 with its confidence{pose}"
        + ("" if rules.task == "pose" else ", a polygon an odd number from 7 up")
    )


def parse_box(fields: list[str]) -> ParsedLine:
    """`class x y w h`: centre and size as shares of the image."""
    ident, xywh = class_id(fields[0]), _xywh(fields[1:5])
    return ParsedLine(ident, xywh, numbers=xywh, beyond=_beyond(xywh))


def parse_box_with_confidence(fields: list[str]) -> ParsedLine:
    """`class x y w h confidence`."""
    ident, xywh = class_id(fields[0]), _xywh(fields[1:5])
    confidence = share(fields[5], "confidence")
    return ParsedLine(ident, xywh, confidence, (*xywh, confidence), 6, _beyond(xywh))


def parse_track(fields: list[str]) -> ParsedLine:
    """`class x y w h id` or `class x y w h confidence id`. The track's number is no part of the box."""
    ident, xywh = class_id(fields[0]), _xywh(fields[1:5])
    confidence = share(fields[5], "confidence") if len(fields) == 7 else math.nan
    if not _INTEGER.fullmatch(fields[-1]):
        raise BadLine(f"track id {shown(fields[-1])!r} is not an integer from 0 up")
    numbers = (*xywh, *map(float, fields[5:]))
    return ParsedLine(ident, xywh, confidence, numbers, len(fields), _beyond(xywh))


def parse_pose(fields: list[str], rules: LabelRules) -> ParsedLine:
    """`class x y w h` and keypoints; the box is the first five. Keypoints count where the task is pose."""
    ident, xywh = class_id(fields[0]), _xywh(fields[1:5])
    numbers: tuple[float, ...] = xywh
    if rules.task == "pose" and rules.keypoints:
        values = rules.keypoints[1]
        for at, field in enumerate(fields[5:]):
            what = f"{'xyv'[at % values]} of keypoint {at // values + 1}"
            value = near(field, what) if at % values < 2 else _number(field, what)
            if value < 0 and single(value) < LOW:
                raise BadLine(f"{what} {shown(field)} is negative")
            numbers += (value,)
    return ParsedLine(ident, xywh, numbers=numbers, fields=len(fields), beyond=_beyond(xywh))


def parse_polygon(fields: list[str]) -> ParsedLine:
    """`class x1 y1 x2 y2 x3 y3 …` becomes the smallest upright box around the points, which are kept.

    Points may lie outside the image as long as the box around them is one that the trainer takes.
    """
    ident = class_id(fields[0])
    values = [_number(field, _point(at)) for at, field in enumerate(fields[1:])]
    left, right = min(values[0::2]), max(values[0::2])
    top, bottom = min(values[1::2]), max(values[1::2])
    beyond = min(left, top) < 0 or max(right, bottom) > 1
    if beyond and not _is_taken(left, top, right, bottom):
        far = [at for at, value in enumerate(values) if not LOW <= value <= HIGH]
        at = (far or [at for at, value in enumerate(values) if not 0 <= value <= 1])[0]
        raise BadLine(_outside(_point(at), fields[1 + at]))
    if right <= left or bottom <= top:
        raise BadLine("polygon has zero area: all its points lie on one line along an axis")
    box = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    _check_seen(box)
    return ParsedLine(ident, box, numbers=tuple(values), fields=len(fields), beyond=beyond, is_polygon=True)


def class_id(field: str) -> int:
    """The class id, an integer from 0 up, as the file says it (`1.0` is 1). Raises BadLine."""
    if not _WHOLE.fullmatch(field):
        raise BadLine(f"class id {shown(field)!r} is not an integer from 0 up")
    if (value := int(field.partition(".")[0])) > MAX_CLASS_ID:
        raise BadLine(f"class id {value} is larger than {MAX_CLASS_ID}")
    return value


def share(field: str, what: str) -> float:
    """A finite number in [0, 1]. Raises BadLine."""
    value = _number(field, what)
    if not 0 <= value <= 1:
        raise BadLine(_outside(what, field))
    return value


def near(field: str, what: str) -> float:
    """A finite number in [0, 1], or outside by no more than the trainer allows (1 %). Raises BadLine."""
    value = _number(field, what)
    if not (0 <= value <= 1 or LOW <= single(value) <= HIGH):
        raise BadLine(_outside(what, field))
    return value


def _number(field: str, what: str) -> float:
    if not _NUMBER.fullmatch(field):
        if _NOT_FINITE.fullmatch(field):
            raise BadLine(f"{what} is {shown(field)}, not a finite number")
        raise BadLine(f"{what} {shown(field)!r} is not a number")
    value = float(field)
    if abs(value) > 1e30:  # more than single precision holds
        raise BadLine(_outside(what, field))
    return value


def _outside(what: str, field: str) -> str:
    return f"{what} {shown(field)} lies outside 0 to 1; values are shares of the image, not pixels"


def _point(at: int) -> str:
    return f"{'xy'[at % 2]}{at // 2 + 1}"


def _xywh(fields: list[str]) -> tuple[float, float, float, float]:
    x, y, w, h = (near(field, what) for field, what in zip(fields, ("x", "y", "w", "h"), strict=True))
    if w < 0 or h < 0:
        raise BadLine(_outside("w" if w < 0 else "h", fields[2 if w < 0 else 3]))
    if w == 0 or h == 0:
        raise BadLine(f"zero area: {'w' if w == 0 else 'h'} is 0")
    _check_seen((x, y, w, h))
    return x, y, w, h


def _check_seen(box: tuple[float, float, float, float]) -> None:
    x, y, w, h = box
    if x - w / 2 >= 1 or x + w / 2 <= 0 or y - h / 2 >= 1 or y + h / 2 <= 0:
        raise BadLine("the box lies outside of the image, beside its border")


def _beyond(xywh: tuple[float, float, float, float]) -> bool:
    return not all(0 <= value <= 1 for value in xywh)


def _is_taken(left: float, top: float, right: float, bottom: float) -> bool:
    """Whether the trainer takes a polygon with these bounds; computed as it does, in single precision."""
    left, top, right, bottom = map(single, (left, top, right, bottom))
    centre = [single(left + right) / 2, single(top + bottom) / 2]
    size = [single(right - left), single(bottom - top)]
    return max(centre + size) <= HIGH and min(centre) >= LOW
