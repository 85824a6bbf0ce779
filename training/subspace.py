"""The features under the projection: a half-whitened principal subspace, fitted on training pills alone.

The learnt projection knows what tells the training products apart and drops the rest; the pooled features
before it carry over better to other pills, here as elsewhere (Chen et al. 2020, SimCLR, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
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

DIM = 256
WHITENING = 0.5  # exponent: 0 keeps the variances, 1 makes them equal
CAPTION_SHARE = 0.2  # share of the projected, caption-matching block in the cosine


@dataclass(frozen=True)
class Subspace:
    """Unit pooled features p become (p - mean) @ matrix.T: mean (1280,), matrix (256, 1280) float32."""

    mean: Array
    matrix: Array


def fit(pooled: Array, dim: int = DIM, whitening: float = WHITENING) -> Subspace:
    """Principal axes of unit rows (n, d), each divided by its deviation to the power of `whitening`."""
    mean = pooled.mean(0)
    _, spread, axes = np.linalg.svd(pooled - mean, full_matrices=False)
    deviation = spread[:dim] / np.sqrt(len(pooled))
    matrix = axes[:dim] / deviation[:, None] ** whitening
    return Subspace(mean.astype(np.float32), matrix.astype(np.float32))


def fit_on_training_pills(
    model: Any, material: Material, size: int, seed: int, count: int = 3000
) -> Subspace:
    """`fit` on views of `count` training pills, plain and hard in turn; few pills are seen repeatedly."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 31))
    usable = np.flatnonzero(~material.held_out)
    rows = []
    for start, part in enumerate(np.array_split(rng.choice(usable, count, replace=count > len(usable)), 48)):
        images = [
            view(material.pill(int(k)), material.grounds, size, rng, strength=float((start + j) % 2))
            for j, k in enumerate(part)
        ]
        with torch.inference_mode():
            rows.append(F.normalize(model.visual.trunk(as_input(np.stack(images))), dim=1).numpy())
    return fit(np.concatenate(rows))
