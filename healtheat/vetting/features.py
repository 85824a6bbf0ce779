"""What speaks against a box under a given class, as a row of numbers: looks and the rest of its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.evidence.context import missing_class, repetition
from healtheat.signals.evidence.stack import fit_weights, log_softmax
from healtheat.vetting.looks import Sight

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_FLOOR = 0.01  # probability that means nothing
_OF_ALL = 3.0  # boxes that the set as a whole counts for beside those of a class
FEATURES = (
    "class",  # surprise at the class by the crop
    "class_in_image",  # and with the rest of its image
    "logistic",
    "votes",
    "unlike",  # how much farther than usual the nearest crops of its class are
    "distance",  # to the middle of its class
    "ground",  # log odds of background
    "ground_nearer",  # how much nearer tiles of background are than crops of its class
    "other_nearer",  # how much nearer crops of another class are
    "elsewhere_nearer",  # and crops of any class, known or not
    "missing",  # how little its class is what its image lacks
    "repeated",
)


@dataclass(frozen=True, slots=True)
class Scales:
    """What is usual among trusted crops, as numbers that make looks into features.

    `crop`, `whole` are the weights of the pieces of evidence, of the crop alone and with its image; `similar`
    (c,) the usual cosine to crops of the own class; `distance` the usual squared distance to its middle.
    """

    vote: float
    crop: Floats
    whole: Floats
    similar: Floats
    distance: float


@dataclass(frozen=True, slots=True)
class Context:
    """(n, c) what the other boxes of its image say about each class: see signals/evidence/context.py."""

    missing: Floats
    repeated: Floats

    @classmethod
    def of(
        cls, belief: Floats, image: Ids, group: NDArray[np.int32], images: int, teaches: NDArray[np.bool_]
    ) -> Context:
        """From `belief` (n, c) about each box on `image` (n,) of the source `group` (n,)."""
        missing = missing_class(belief, image, group, images, teaches)
        return cls(missing, repetition(belief, image, images, teaches))

    def rows(self, at: Ids | slice) -> Context:
        """Those of the rows `at`."""
        return Context(self.missing[at], self.repeated[at])


def learn_scales(looks: Sight, code: Ids, context: Context, vote: float) -> Scales:
    """From trusted crops that no model saw; `code` (n,) are their classes."""
    parts = looks.parts(vote)
    at = np.arange(len(code))
    c = looks.distance.shape[1]
    own = looks.near.to_class()[at, code]
    known = own > -1
    usual = float(np.median(own[known])) if known.any() else 0.0
    total = np.bincount(code[known], own[known], minlength=c)
    count = np.bincount(code[known], minlength=c)
    return Scales(
        vote=vote,
        crop=fit_weights(parts, code).weights,
        whole=fit_weights([*parts, context.missing, context.repeated], code).weights,
        similar=(total + _OF_ALL * usual) / (count + _OF_ALL),
        distance=max(float(np.median(looks.distance[at, code])), 1e-9),
    )


def weighed(parts: Sequence[Floats], weights: Floats) -> Floats:
    """(n, c) log probabilities of the classes."""
    centred = [p - p.mean(axis=1, keepdims=True) for p in parts]
    return log_softmax(np.stack(centred, axis=2) @ weights)


def by_crop(looks: Sight, scales: Scales) -> Floats:
    """(n, c) log probabilities of the classes by the crops alone."""
    return weighed(looks.parts(scales.vote), scales.crop)


def by_all(looks: Sight, context: Context, scales: Scales, hidden: Ids | None = None) -> Floats:
    """(n, c) log probabilities with the rest of the images; `hidden` (n,) classes do not exist."""
    log_p = weighed([*looks.parts(scales.vote), context.missing, context.repeated], scales.whole)
    if hidden is not None:
        log_p[np.arange(len(hidden)), hidden] = -np.inf
        log_p = log_softmax(log_p)
    return log_p


def features(
    looks: Sight,
    context: Context,
    given: Ids,
    scales: Scales,
    hidden: Ids | None = None,
    among: Floats | None = None,
) -> Floats:
    """(n, 12) the FEATURES of boxes that are said to be of the classes `given` (n,); all finite.

    With `hidden` (n,), as if that class did not exist: what it shows is then a product that is met again on
    other new images alone. `among` (n,) are the mean cosines of boxes of a batch to the nearest others of it.
    """
    anywhere = looks.near.to_class().max(axis=1)
    if among is not None:
        anywhere = np.maximum(anywhere, among)
    looks = looks if hidden is None else looks.without(hidden)
    at = np.arange(len(given))
    crop, whole = np.exp(by_crop(looks, scales)), np.exp(by_all(looks, context, scales, hidden))
    near = looks.near.to_class()
    own = near[at, given]
    logistic = looks.logistic[at, given] if looks.logistic.shape[1] else np.zeros(len(given))
    return np.stack(
        [
            -np.log(crop[at, given] + _FLOOR),
            -np.log(whole[at, given] + _FLOOR),
            -logistic,
            -looks.votes(scales.vote)[at, given],
            scales.similar[given] - own,
            looks.distance[at, given] / scales.distance,
            looks.ground,
            looks.to_tiles - own,
            near.max(axis=1) - own,
            anywhere - own,
            -context.missing[at, given],
            -context.repeated[at, given],
        ],
        axis=1,
    )
