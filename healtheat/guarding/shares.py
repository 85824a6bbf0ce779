"""How boxes spread over classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from healtheat.core.boxes import NO_CLASS


@dataclass(frozen=True, slots=True)
class Shares:
    """The spread of `boxes` boxes over `classes` classes.

    `entropy_nats` is Shannon's entropy; `normalised_entropy` divides it by ln(classes): 1 where all classes
    are equally frequent, 0 where there is one. `effective_classes` = exp(entropy): as many equally frequent
    classes would have that entropy (Hill number of order 1; Hill 1973, doi:10.2307/1934352).
    """

    boxes: int
    classes: int
    alive: int
    dead: tuple[int, ...]
    top_class: int
    top_share: float
    entropy_nats: float
    normalised_entropy: float
    effective_classes: float
    counts: Mapping[int, int]


def shares(counts: Mapping[int, int], declared: Iterable[int] = ()) -> Shares:
    """The spread of `counts` (class id → boxes) over the classes declared or seen.

    >>> round(shares({0: 50, 1: 50}, declared=range(4)).effective_classes, 6)
    2.0
    """
    alive = {c: n for c, n in sorted(counts.items()) if n > 0}
    everything = sorted(set(declared) | set(alive))
    total = sum(alive.values())
    parts = [n / total for n in alive.values()]
    entropy = -sum(p * math.log(p) for p in parts) + 0.0
    top = max(alive, key=lambda c: alive[c]) if alive else NO_CLASS
    return Shares(
        boxes=total,
        classes=len(everything),
        alive=len(alive),
        dead=tuple(c for c in everything if c not in alive),
        top_class=top,
        top_share=alive[top] / total if alive else 0.0,
        entropy_nats=entropy,
        normalised_entropy=entropy / math.log(len(everything)) if len(everything) > 1 else 0.0,
        effective_classes=math.exp(entropy) if alive else 0.0,
        counts=alive,
    )
