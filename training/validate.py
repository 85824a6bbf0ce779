"""Model selection on the held-out products: is a hard view nearest to its own pill among all others?"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from training.augment import view
from training.batches import Material
from training.model import as_input

Array = NDArray[Any]


def held_out_views(material: Material, size: int, seed: int) -> dict[str, Array]:
    """For every held-out pill one plain and one hard view (n, s, s, 3) uint8, and its identity (n,)."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 99))
    pills = np.flatnonzero(material.held_out)
    plain = [view(material.pill(int(k)), material.grounds, size, rng, strength=0.0) for k in pills]
    hard = [view(material.pill(int(k)), material.grounds, size, rng, strength=1.0) for k in pills]
    return {"plain": np.stack(plain), "hard": np.stack(hard), "identity": material.identity[pills]}


def encode(model: Any, images: Array, batch: int = 64) -> Array:
    """Unit vectors (n, d) float32 of the image tower, one view each."""
    with torch.inference_mode():
        rows = [model.visual(as_input(images[i : i + batch])) for i in range(0, len(images), batch)]
        return F.normalize(torch.cat(rows), dim=1).numpy()


def retrieval(model: Any, views: dict[str, Array]) -> dict[str, float]:
    """Share of hard views whose nearest plain pill has the right identity (`top1`); first five (`top5`)."""
    similar = encode(model, views["hard"]) @ encode(model, views["plain"]).T
    order = np.argsort(-similar, axis=1)[:, :5]
    right = views["identity"][order] == views["identity"][:, None]
    return {"top1": round(float(right[:, 0].mean()), 4), "top5": round(float(right.any(1).mean()), 4)}
