"""Numbers that XML holds as text."""

from __future__ import annotations

import math

from healtheat.core.text import shown
from healtheat.sources.coco.fields import BadItem


def float_of(text: str, what: str) -> float:
    """The finite number that `text` is. Raises BadItem, which names `what`."""
    text = text.strip()
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) < 1e12:
        raise BadItem(f"{what} is {f'{shown(text)!r}, not a number' if text else 'missing'}")
    return value
