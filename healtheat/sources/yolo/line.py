"""The line formats of YOLO label files, one function each. Parsed strictly, nothing repaired."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from healtheat.core.boxes import MAX_CLASS_ID, ProblemCode
from healtheat.core.text import shown

# float() takes more than a label file may hold: "1_0", "infinity", digits of other scripts
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_INTEGER = re.compile(r"[0-9]{1,10}")


class BadLine(ValueError):
    """A label line that is no box; the message is the reason, `code` the kind."""

    def __init__(self, reason: str, code: ProblemCode = ProblemCode.BAD_LINE) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """One parsed line. `xywhn` are the file's numbers (of a polygon: its bounding box)."""

    class_id: int
    xywhn: tuple[float, float, float, float]
    confidence: float = math.nan


def parse_line(line: str) -> ParsedLine:
    """The box of one line that is not blank; the number of fields decides the format.

    5 fields `class x y w h`; 6 `class x y w h confidence` (`yolo predict save_txt save_conf`); an odd number
    from 7 up `class x1 y1 x2 y2 x3 y3 …` (segments; with 9 fields also oriented boxes). Raises BadLine.
    """
    fields = line.strip(" \t\r\n").replace("\t", " ").split(" ")
    fields = [field for field in fields if field]
    n = len(fields)
    if n == 5:
        return parse_box(fields)
    if n == 6:
        return parse_box_with_confidence(fields)
    if n >= 7 and n % 2 == 1:
        return parse_polygon(fields)
    raise BadLine(
        f"{n} field{'s' if n != 1 else ''}; a box has 5 (class x y w h), or 6 with its confidence, "
        "a polygon an odd number from 7 up"
    )


def parse_box(fields: list[str]) -> ParsedLine:
    """`class x y w h`: centre and size as shares of the image."""
    return ParsedLine(class_id(fields[0]), _xywh(fields[1:5]))


def parse_box_with_confidence(fields: list[str]) -> ParsedLine:
    """`class x y w h confidence`."""
    return ParsedLine(class_id(fields[0]), _xywh(fields[1:5]), share(fields[5], "confidence"))


def parse_polygon(fields: list[str]) -> ParsedLine:
    """`class x1 y1 x2 y2 x3 y3 …` becomes the smallest upright box around the points."""
    ident = class_id(fields[0])
    values = [share(field, f"{'xy'[i % 2]}{i // 2 + 1}") for i, field in enumerate(fields[1:])]
    left, right = min(values[0::2]), max(values[0::2])
    top, bottom = min(values[1::2]), max(values[1::2])
    if right <= left or bottom <= top:
        raise BadLine("polygon has zero area: all its points lie on one line along an axis")
    return ParsedLine(ident, ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top))


def class_id(field: str) -> int:
    """The class id, an integer from 0 up exactly as written. Raises BadLine."""
    if not _INTEGER.fullmatch(field):
        fix = f"; write {field.split('.')[0]}" if re.fullmatch(r"[0-9]{1,10}\.0*", field) else ""
        raise BadLine(f"class id {shown(field)!r} is not an integer from 0 up{fix}")
    if (value := int(field)) > MAX_CLASS_ID:
        raise BadLine(f"class id {value} is larger than {MAX_CLASS_ID}")
    return value


def share(field: str, what: str) -> float:
    """A finite number in [0, 1]. Raises BadLine."""
    if not _NUMBER.fullmatch(field):
        if _NOT_FINITE.fullmatch(field):
            raise BadLine(f"{what} is {shown(field)}, not a finite number")
        raise BadLine(f"{what} {shown(field)!r} is not a number")
    value = float(field)
    if not 0 <= value <= 1:
        raise BadLine(
            f"{what} {shown(field)} lies outside 0 to 1; values are shares of the image, not pixels"
        )
    return value


def _xywh(fields: list[str]) -> tuple[float, float, float, float]:
    x, y, w, h = (share(field, what) for field, what in zip(fields, ("x", "y", "w", "h"), strict=True))
    if w <= 0 or h <= 0:
        raise BadLine(f"zero area: {'w' if w <= 0 else 'h'} is 0")
    return x, y, w, h
