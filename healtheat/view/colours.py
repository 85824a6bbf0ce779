"""One colour a class, the same on the map of the review page and on that of the report."""

from __future__ import annotations

import colorsys

_GOLDEN = 0.618034  # of the circle of hues: neighbours in number lie far from each other


def colour_of(number: int) -> tuple[int, int, int]:
    """Red, green, blue (0 to 255) of the number-th class by class id; seen on white and on black."""
    red, green, blue = colorsys.hls_to_rgb((number * _GOLDEN) % 1, (0.5, 0.58)[number % 2], 0.7)
    return round(red * 255), round(green * 255), round(blue * 255)
