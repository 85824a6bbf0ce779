"""Which class does each box have, given its crop, its image and its label? All boxes judged together.

A wrong label spoils what its image seems to hold and what its neighbours are told, so beliefs are improved in
rounds (mean field with damping): evidence from beliefs, weights from evidence, new beliefs from both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.evidence.classmodel import one_hot, visual_evidence, votes
from healtheat.signals.evidence.context import missing_class, repetition
from healtheat.signals.evidence.stack import fit_weights
from healtheat.signals.samples import Pool

Floats = NDArray[np.float64]
ROUNDS = 4
_DAMPING = 0.5


@dataclass(frozen=True, slots=True)
class Beliefs:
    """`log_p` (n, c): the class from everything but the box's own label; `weights` of the evidence."""

    log_p: Floats
    weights: dict[str, float]


def believe(log_p: Floats, code: NDArray[np.int64], wrong: float) -> Floats:
    """(n, c) the class once the label is known as well, `wrong` of the labels being random other classes."""
    n, c = log_p.shape
    out = np.exp(log_p) * (wrong / max(c - 1, 1))
    at = np.arange(n)
    out[at, code] = np.exp(log_p[at, code]) * (1 - wrong)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def class_beliefs(pool: Pool, visual: Sequence[Floats] | None = None, *, wrong: float = 0.05) -> Beliefs:
    """Beliefs about every box; flat where there is nothing to compare with.

    Evidence and its weights are learned from the boxes that teach. `visual` is `visual_evidence(pool)` where
    that is known already.
    """
    s, teaches = pool.samples, pool.teaches
    n, c = len(s), len(s.class_ids)
    visual = visual_evidence(pool) if visual is None else visual
    if not visual:
        return Beliefs(np.full((n, c), -np.log(max(c, 1))), {})
    code, image, images = s.class_code, s.image_row, len(s.images)
    names = [*("discriminant", "logistic")[: len(visual)], "neighbours", "missing", "repetition"]
    belief = one_hot(code, c)
    for _ in range(ROUNDS):
        parts = [
            *visual,
            votes(pool.neighbours, belief, teaches=teaches),
            missing_class(belief, image, s.group, images, teaches),
            repetition(belief, image, images, teaches),
        ]
        stacked = fit_weights(parts, code, wrong, teaches)
        belief = _DAMPING * believe(stacked.log_p, code, wrong) + (1 - _DAMPING) * belief
    return Beliefs(stacked.log_p, dict(zip(names, stacked.weights.round(4).tolist(), strict=True)))
