"""Which class does each box have, given its crop, its image and its label? All boxes judged together.

Where a name lists what is on the image, its boxes are assigned to that list (listed.py); what the same object
is called on other images of its source counts where they differ (objects.py).

A wrong label spoils what its image seems to hold and what its neighbours are told, so beliefs are improved in
rounds (mean field with damping): evidence from beliefs, weights from evidence, new beliefs from both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.evidence.classmodel import one_hot, visual_evidence, votes
from healtheat.signals.evidence.context import missing_class, repetition
from healtheat.signals.evidence.listed import Assigned, Tray, assign, trays_of
from healtheat.signals.evidence.objects import same_objects, vouched
from healtheat.signals.evidence.stack import fit_weights, log_softmax
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
ROUNDS = 4
SHARPNESS = 1.5  # makes up for what wrong labels took from the beliefs
DOUBT = 0.002  # chance that the class model knows nothing about a box
_DAMPING = 0.5


@dataclass(frozen=True, slots=True)
class Beliefs:
    """`log_p` (n, c): the class from everything but the box's own label; `weights` of the evidence.

    `copies` (n, c): what other images of the source call the same object, 0 where all agree. `assigned`: the
    boxes of images whose names list what is on them; None where there are none.
    """

    log_p: Floats
    weights: dict[str, float]
    copies: Floats
    assigned: Assigned | None = None


def believe(log_p: Floats, code: NDArray[np.int64], wrong: float) -> Floats:
    """(n, c) the class once the label is known as well, `wrong` of the labels being random other classes."""
    n, c = log_p.shape
    out = np.exp(log_p) * (wrong / max(c - 1, 1))
    at = np.arange(n)
    out[at, code] = np.exp(log_p[at, code]) * (1 - wrong)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def class_beliefs(
    pool: Pool, visual: Sequence[Floats] | None = None, *, wrong: float = 0.05, trays: Sequence[Tray] = ()
) -> Beliefs:
    """Beliefs about every box; flat where there is nothing to compare with.

    Evidence and its weights are learned from the boxes that teach. `visual` is `visual_evidence(pool)` where
    that is known already; `trays` are the images whose names were read, in rows of the pool's samples.
    """
    s, teaches = pool.samples, pool.teaches
    n, c = len(s), len(s.class_ids)
    visual = visual_evidence(pool) if visual is None else visual
    if not visual:
        return Beliefs(np.full((n, c), -np.log(max(c, 1))), {}, np.zeros((n, c)))
    code, image, images = s.class_code, s.image_row, len(s.images)
    names = [*("discriminant", "logistic")[: len(visual)], "neighbours", "missing", "repetition"]
    belief = one_hot(code, c)
    others = vouched(same_objects(s), code, c)
    base = np.bincount(code[teaches], minlength=c) + 0.5
    assigned: Assigned | None = None
    for _ in range(ROUNDS):
        crop = [*visual, votes(pool.neighbours, belief, teaches=teaches)]
        context = [
            missing_class(belief, image, s.group, images, teaches),
            repetition(belief, image, images, teaches),
        ]
        stacked = fit_weights([*crop, *context], code, wrong, teaches)
        log_p = log_softmax(stacked.log_p + others)
        now = believe(log_p, code, wrong)
        if trays:  # what similar images hold says nothing more where the name says it
            alone = sum((w * part for w, part in zip(stacked.weights, crop, strict=False)), others)
            rate = assigned.exchange if assigned is not None else wrong
            looks = _doubtful(alone, int(teaches.sum()))
            assigned = assign(trays, looks, base / base.sum(), s.class_ids, code, images, rate)
            now[assigned.known] = _shares(assigned.posterior[assigned.known])
        belief = _DAMPING * now + (1 - _DAMPING) * belief
    weights = dict(zip(names, stacked.weights.round(4).tolist(), strict=True))
    return Beliefs(log_p, weights, others, assigned)


def judged_beliefs(queries: Samples, store: Samples) -> tuple[Pool, Sequence[Floats], Beliefs]:
    """The pool, its visual evidence and beliefs about `queries` judged by `store`.

    Images that the listing of `queries` knows are assigned; then two signals ask, and it is worked out once.
    """
    known = queries.memo.get("beliefs")
    if known is not None and known[0] is store:
        return known[1]  # type: ignore[no-any-return]
    pool = Pool.of(queries, store)
    first = len(pool.samples.images) - len(queries.images)
    trays = [
        replace(tray, image=first + tray.image, rows=pool.judged[tray.rows]) for tray in trays_of(queries)
    ]
    visual = visual_evidence(pool)
    result = pool, visual, class_beliefs(pool, visual, trays=trays)
    if queries.listing is not None:
        queries.memo["beliefs"] = store, result
    return result


def _doubtful(logit: Floats, taught: int) -> Floats:
    """(n, c) log probabilities, sharpened for what wrong labels took, that are never quite sure.

    The fewer boxes a class has, the less is known of it (Witten, Bell 1991: c classes in n boxes leave a
    chance of c / (n + c) for what was not seen).
    """
    p = np.exp(log_softmax(SHARPNESS * logit))
    c = p.shape[1]
    doubt = max(DOUBT, c / (taught + c))
    return np.asarray(np.log((1 - doubt) * p + doubt / c))


def _shares(p: Floats) -> Floats:
    """(m, c) rows that sum to 1; a class no box has may have taken all."""
    p = p + 1e-9
    return np.asarray(p / p.sum(axis=1, keepdims=True))
