"""The fields of COCO items, checked strictly; BadItem says why one cannot be used."""

from __future__ import annotations

import math
from array import array
from typing import Any

from healtheat.core.boxes import MAX_CLASS_ID
from healtheat.core.corners import FEWEST_POINTS
from healtheat.core.text import shown

MAX_SIDE_PX = 10**6


class BadItem(ValueError):
    """An image, category or annotation that cannot be used; the message is the reason."""


def class_id(item: dict[str, Any], key: str) -> int:
    """The class id; a float that is whole is one too, as pandas writes them. Raises BadItem."""
    value = _whole(item.get(key))
    if type(value) is not int or not 0 <= value <= MAX_CLASS_ID:  # True is an int too
        raise BadItem(f"{key} is {_shown(value)}, not an integer from 0 up to {MAX_CLASS_ID}")
    return value


def image_id(item: dict[str, Any], key: str) -> int | str:
    value = _whole(item.get(key))
    if type(value) is int or isinstance(value, str):
        return value
    raise BadItem(f"{key} is {_shown(value)}, not an integer or text")


def is_crowd(item: dict[str, Any]) -> bool:
    """Whether the annotation is a region. Tools write "no" as 0, 0.0, false, null or "0". Raises BadItem."""
    value = item.get("iscrowd")
    if isinstance(value, list | dict):
        raise BadItem(f"iscrowd is {_shown(value)}, not 0 or 1")
    return value not in (None, 0, False, "0", "")


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def side(item: dict[str, Any], key: str) -> int:
    value = number(item.get(key), key)
    if value != int(value) or not 1 <= value <= MAX_SIDE_PX:
        raise BadItem(f"{key} is {_shown(item[key])}, not a whole number of pixels from 1 to {MAX_SIDE_PX}")
    return int(value)


def bbox(item: dict[str, Any]) -> tuple[float, float, float, float]:
    values = item.get("bbox")
    if not isinstance(values, list) or len(values) != 4:
        raise BadItem("bbox is missing, or not a list of 4 numbers [x, y, width, height]")
    x, y, w, h = (
        number(v, f"bbox {name}") for v, name in zip(values, ("x", "y", "width", "height"), strict=True)
    )
    if w <= 0 or h <= 0:
        raise BadItem("bbox has zero or negative area")
    return x, y, w, h


def score(item: dict[str, Any]) -> float:
    if item.get("score") is None:
        return math.nan
    value = number(item["score"], "score")
    if not 0 <= value <= 1:
        raise BadItem(f"score {value} lies outside 0 to 1")
    return value


def outline(item: dict[str, Any]) -> array[float] | None:
    """x, y, x, y, … in pixels where the segmentation is one polygon; None for parts, masks and anything else.

    COCO allows several polygons of one object, and masks; as corners of one box there is room for one.
    """
    parts = item.get("segmentation")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], list):
        return None
    if len(parts[0]) < 2 * FEWEST_POINTS or len(parts[0]) % 2:
        return None
    try:
        return array("d", parts[0])
    except (TypeError, OverflowError):
        return None


def number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadItem(f"{what} is {_shown(value)}, not a number")
    if not abs(value) < 1e12:  # NaN and integers too large for a float too
        raise BadItem(f"{what} is {_shown(value)}, not a usable finite number")
    return float(value)


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):  # may be large or nested as deeply as Python can
        return "a list" if isinstance(value, list) else "an object"
    return "missing" if value is None else shown(repr(value))
