"""Which class does each box have, given its crop, its photo and its label? All boxes judged together.

A wrong label spoils what its photo seems to hold and what its neighbours are told, so beliefs are improved in
rounds (mean field with damping): evidence from beliefs, weights from evidence, new beliefs from both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.evidence.classmodel import can_model, one_hot, visual_evidence, votes
from healtheat.signals.evidence.context import missing_class, repetition
from healtheat.signals.evidence.stack import fit_weights
from healtheat.signals.samples import Samples

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


def class_beliefs(samples: Samples, *, wrong: float = 0.05) -> Beliefs:
    """Beliefs about every box, computed once; flat where there is nothing to compare with."""
    if "beliefs" not in samples.memo:
        samples.memo["beliefs"] = _beliefs(samples, wrong)
    found: Beliefs = samples.memo["beliefs"]
    return found


def _beliefs(samples: Samples, wrong: float) -> Beliefs:
    n, c = len(samples), len(samples.class_ids)
    if not can_model(samples):
        return Beliefs(np.full((n, c), -np.log(max(c, 1))), {})
    code, photo, photos = samples.class_code, samples.image_row, len(samples.images)
    visual = visual_evidence(samples)
    names = [*("discriminant", "logistic")[: len(visual)], "neighbours", "missing", "repetition"]
    belief = one_hot(code, c)
    for _ in range(ROUNDS):
        parts = [
            *visual,
            votes(samples.neighbours, belief),
            missing_class(belief, photo, samples.group, photos),
            repetition(belief, photo, photos),
        ]
        stacked = fit_weights(parts, code, wrong)
        belief = _DAMPING * believe(stacked.log_p, code, wrong) + (1 - _DAMPING) * belief
    return Beliefs(stacked.log_p, dict(zip(names, stacked.weights.round(4).tolist(), strict=True)))
