"""What the other boxes of an image say about a box's class.

Pills are photographed in trays: a product that lies there once seldom lies there twice, and trays resemble
each other. Two pieces of evidence, both learned from this data and worth nothing (weight 0) where images
hold one box or classes mix freely: which class is missing compared with the most similar other images, and
how often a class that is already there k times is there once more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SOFTNESS = 0.15  # of the cosine between compositions
_PRIOR = 0.3  # weight of the overall class shares
_REFERENCES = 2_000  # images compared with
_TOP = 32  # of them, the most similar ones count
_BLOCK = 1_000_000


def composition(belief: Floats, image: NDArray[np.int64], images: int) -> Floats:
    """(p, c) how many boxes of each class an image holds, as far as is believed."""
    counts = np.zeros((images, belief.shape[1]))
    np.add.at(counts, image, belief)
    return counts


def missing_class(
    belief: Floats,
    image: NDArray[np.int64],
    group: NDArray[np.int32],
    images: int,
    teaches: NDArray[np.bool_] | None = None,
) -> Floats:
    """(n, c) log share of each class in what similar images of other sources hold beyond its companions.

    `belief` (n, c): the classes each box may have; `image`, `group` (n,): its image and source. Images of
    boxes that teach nothing (`teaches` (n,), all by default) are no reference. A box without companions gets
    zeros: how frequent a class is says nothing about what is missing.
    """
    n, c = belief.shape
    counts = composition(belief, image, images)
    teaching = np.zeros(images, bool)
    teaching[image if teaches is None else image[teaches]] = True
    base = counts[teaching].sum(axis=0) + 0.5
    base /= base.sum()
    out = np.zeros((n, c))
    of_image = np.full(images, -1, np.int64)
    of_image[image] = group
    size = np.bincount(image, minlength=images)
    reference = np.flatnonzero((size >= 2) & teaching)
    if len(reference) > _REFERENCES:
        reference = np.sort(np.random.default_rng(0).choice(reference, _REFERENCES, replace=False))
    rows = np.flatnonzero(size[image] >= 2)
    if not len(rows) or not len(reference):
        return out
    store = counts[reference]
    length = np.maximum(np.linalg.norm(store, axis=1), 1e-9)
    top = min(_TOP, len(reference))
    step = max(1, _BLOCK // (top * c + len(reference)))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        rest = np.maximum(counts[image[block]] - belief[block], 0)
        cosine = rest @ store.T / (np.maximum(np.linalg.norm(rest, axis=1), 1e-9)[:, None] * length)
        cosine[group[block][:, None] == of_image[reference][None, :]] = -np.inf
        best = np.argpartition(-cosine, top - 1, axis=1)[:, :top]
        weight = np.exp((np.take_along_axis(cosine, best, axis=1) - 1) / _SOFTNESS)
        left = np.maximum(store[best] - rest[:, None, :], 0)
        left /= np.maximum(left.sum(axis=2, keepdims=True), 0.5)
        share = (weight[:, :, None] * left).sum(axis=1)
        out[block] = np.log((share + _PRIOR * base) / (share.sum(axis=1, keepdims=True) + _PRIOR))
    return out


def repetition(
    belief: Floats, image: NDArray[np.int64], images: int, teaches: NDArray[np.bool_] | None = None
) -> Floats:
    """(n, c) log of how much more often than by chance a class is on an image that holds k boxes of it.

    k = 0, 1, 2, 3 or more; one figure per k for all classes, learned from boxes that teach.
    """
    n, c = belief.shape
    counts = composition(belief, image, images)
    known = np.ones(n, bool) if teaches is None else teaches
    base = belief[known].sum(axis=0) + 0.5
    base /= base.sum()
    rest = np.maximum(counts[image] - belief, 0)
    several = rest.sum(axis=1) > 0.5
    there = np.minimum(np.rint(rest), 3).astype(np.int64)
    ratio = np.zeros(4)
    for k in range(4):
        at = (there == k) & (several & known)[:, None]
        ratio[k] = np.log((belief[at].sum() + 1) / (np.broadcast_to(base, (n, c))[at].sum() + 1))
    return np.where(several[:, None], ratio[there], 0.0)
