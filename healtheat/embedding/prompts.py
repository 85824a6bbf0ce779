"""The coarse questions that are asked of an encoder's text: is it a pill, which family, which colour.

Answers are kinds, never products. The pill encoder ships its own text vectors (English and Korean); an
open_clip model computes them from these English prompts with its own text tower.
"""

from __future__ import annotations

_FAMILIES = {
    "round": "round tablet",
    "oval": "oval tablet",
    "capsule": "capsule",
    "triangle": "triangular tablet",
    "rectangle": "rectangular tablet",
    "pentagon": "five-sided tablet",
    "hexagon": "six-sided tablet",
    "octagon": "eight-sided tablet",
    "drop": "drop-shaped tablet",
    "double": "tablet of two joined circles",
}
_COLOURS = (
    *("brown", "orange", "grey", "white", "pink", "red", "purple"),
    *("green", "blue", "teal", "transparent", "yellow", "black"),
)

PROMPTS: dict[str, dict[str, tuple[str, ...]]] = {
    "pill": {
        "pill": ("a photo of a pill", "a photo of a single tablet", "a photo of a capsule"),
        "background": ("a photo of an empty table", "a photo of a plain surface", "a photo of nothing"),
        "piece": ("a photo of a part of a pill", "a photo of the edge of a tablet"),
    },
    "family": {key: (f"a photo of a {text}", f"a {text}") for key, text in _FAMILIES.items()},
    "colour": {
        colour: tuple(f"a photo of a {colour} {kind}" for kind in ("pill", "tablet", "capsule"))
        for colour in _COLOURS
    },
}
QUESTIONS = tuple(PROMPTS)
