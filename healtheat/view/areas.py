"""An area of the map as a polygon in the address: `120.40-300.40-300.200` are three corners `x.y`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from healtheat.core.errors import InputError
from healtheat.view.places import GRID

Area = tuple[tuple[int, int], ...]
MOST_CORNERS = 64
_CORNER = re.compile(r"\d{1,4}\.\d{1,4}", re.ASCII)


def read_area(text: str) -> Area:
    """The polygon an address asks for, empty for none. Raises InputError for anything else."""
    if not text:
        return ()
    parts = text.split("-", MOST_CORNERS)
    if not 3 <= len(parts) <= MOST_CORNERS or not all(_CORNER.fullmatch(part) for part in parts):
        raise InputError(f"area {text[:40]!r}: expected 3 to {MOST_CORNERS} corners x.y, joined by -")
    area = tuple((int(x), int(y)) for x, y in (part.split(".") for part in parts))
    if max(max(corner) for corner in area) > GRID:
        raise InputError(f"area {text[:40]!r}: corners lie in 0 to {GRID}")
    return area


def area_text(area: Area) -> str:
    """What `read_area` reads."""
    return "-".join(f"{x}.{y}" for x, y in area)


def rectangle(left: int, top: int, right: int, bottom: int) -> Area:
    """The polygon of a rectangle that holds its border: the rule for corners leaves out right and bottom."""
    low_x, high_x = sorted((min(left, GRID), min(right, GRID)))
    low_y, high_y = sorted((min(top, GRID), min(bottom, GRID)))
    return ((low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y))


def inside_sql(area: Area, x: str = "map_x", y: str = "map_y") -> str:
    """SQL condition: the place lies in the polygon by the even-odd rule (Shimrat 1962).

    A place on a border counts as in or out by its side, so that areas beside each other share no place. The
    corners are whole numbers of ours, so the text holds nothing that a stranger wrote.
    """
    terms = []
    for (x0, y0), (x1, y1) in _edges(area):
        if y0 == y1:
            continue
        (x0, y0), (x1, y1) = sorted(((x0, y0), (x1, y1)), key=lambda corner: corner[1])
        # upwards edges only: a half-open span of y, the crossing to the right of the place, in whole numbers
        terms.append(
            f"(({y} >= {y0} AND {y} < {y1}) AND ({x} - {x0}) * {y1 - y0} < ({y} - {y0}) * {x1 - x0})::INT"
        )
    if not terms:
        return "false"
    return f"({x} IS NOT NULL AND ({' + '.join(terms)}) % 2 = 1)"


def _edges(area: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return list(zip(area, (*area[1:], area[0]), strict=True))
