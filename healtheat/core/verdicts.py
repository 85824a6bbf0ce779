"""The words of a verdict, and the places that a verdict can name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from healtheat.core.errors import InputError

DECISIONS = ("ok", "drop", "relabel", "unsure", "added", "moved")
SETTLES = ("ok", "drop", "relabel", "moved")  # such a verdict on one finding of a box closes the others
CONFIRMS = ("drop", "relabel", "added", "moved")  # the label is wrong, and a person said what to do
PLACES = ("added", "moved")  # such a verdict says where a box should be

Place = tuple[float, float, float, float]  # centre x, centre y, width, height as shares of the image

_DIGITS = 6  # as in a label line: a thousandth of a pixel of the largest image
_BEYOND = 10.0**-_DIGITS  # how far rounding may carry a side over the edge of the image


def drawn_place(given: Sequence[float]) -> Place:
    """The place of a box that a person drew, as a label line holds it: six digits.

    Raises InputError for what is no box inside of its image.

    >>> drawn_place([0.5, 1 / 3, 0.25, 0.1])
    (0.5, 0.333333, 0.25, 0.1)
    """
    if len(given) != 4 or not all(math.isfinite(value) for value in given):
        raise InputError("a box is four numbers: centre x, centre y, width and height")
    cx, cy, w, h = (round(value, _DIGITS) for value in given)
    if w <= 0 or h <= 0:
        raise InputError("the box has no area")
    if any(c - s / 2 < -_BEYOND or c + s / 2 > 1 + _BEYOND for c, s in ((cx, w), (cy, h))):
        raise InputError("the box reaches beyond the image; its sides lie in [0, 1]")
    return cx, cy, w, h


def is_place(given: Sequence[float]) -> bool:
    """Whether these are four numbers that a box can have."""
    return len(given) == 4 and all(map(math.isfinite, given)) and given[2] > 0 and given[3] > 0
