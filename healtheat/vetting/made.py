"""Errors made of trusted boxes: what a wrong box looks like on this data.

A box gets another class, any or the one that it looks like most; it is moved off its object; a tile of
background is called an object; a product is hidden from the models, so that it is one they do not know.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from healtheat.core.overlap import iou

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_IOU = (0.1, 0.6)  # of a moved box with the one it was: it shows a part of the object
_RESIZED = 0.25  # natural logarithm of the most that a side grows or shrinks
_STEPS = np.linspace(0, 1.2, 49)  # of the box's sides, that it is moved by
_TRIES = 12


def moved(xywhn: Floats, rng: np.random.Generator) -> Floats | None:
    """One box (4,) moved off its object and resized, inside the image; None where there is no room."""
    x, y, w, h = xywhn
    for _ in range(_TRIES):
        goal, angle = rng.uniform(*_IOU), rng.uniform(0, 2 * np.pi)
        w2, h2 = np.array([w, h]) * np.exp(rng.uniform(-_RESIZED, _RESIZED, 2))
        places = np.stack([x + np.cos(angle) * _STEPS * w, y + np.sin(angle) * _STEPS * h], axis=1)
        half = np.array([w2 / 2, h2 / 2])
        corners = np.concatenate([places - half, places + half], axis=1)
        overlap = iou(np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]]), corners)[0]
        far = np.flatnonzero(overlap <= goal)
        if len(far):
            at = far[0]
            if overlap[at] >= _IOU[0] / 2 and corners[at].min() >= 0 and corners[at].max() <= 1:
                return np.asarray(np.r_[places[at], w2, h2])
    return None


def any_other(code: Ids, c: int, rng: np.random.Generator) -> Ids:
    """(n,) another of the c classes, each equally likely."""
    return (code + 1 + rng.integers(0, c - 1, len(code))) % c


def most_like(log_p: Floats, code: Ids) -> Ids:
    """(n,) the likeliest other class by `log_p` (n, c)."""
    other = log_p.copy()
    other[np.arange(len(code)), code] = -np.inf
    return np.asarray(other.argmax(axis=1), np.int64)


def drawn(log_p: Floats, code: Ids, rng: np.random.Generator) -> Ids:
    """(n,) another class, drawn by its probability."""
    noise = rng.gumbel(size=log_p.shape)  # the largest of log p + noise is a draw (Gumbel 1954)
    return most_like(np.maximum(log_p, -700.0) + noise, code)


def mislabelled(log_p: Floats, code: Ids, share: float, rng: np.random.Generator) -> Ids:
    """(n,) the classes with a `share` of them wrong, half of these as most_like: no batch is clean."""
    wrong = rng.random(len(code)) < share
    alike = rng.random(len(code)) < 0.5
    other = np.where(alike, most_like(log_p, code), any_other(code, log_p.shape[1], rng))
    return np.where(wrong, other, code)
