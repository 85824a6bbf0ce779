"""The two losses: telling pills apart (views of one pill against look-alikes) and matching captions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_loss(
    vectors: Tensor, identity: Tensor, face: Tensor, *, temperature: float, other_face_weight: float
) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020), one term a positive pair.

    `vectors` (n, d) unit rows; `identity` (n,), -1 for tiles that only serve as negatives. A positive that
    shows the other face of the product counts `other_face_weight`: it may look different, and rightly so.
    Rows of one identity are never negatives of each other. A memory of earlier batches as further negatives
    was tried and dropped: all vectors drifted away from the stale ones together, and nothing was learnt.
    """
    logits = vectors @ vectors.T / temperature
    same = identity[:, None] == identity[None, :]
    rest = torch.logsumexp(logits.masked_fill(same, float("-inf")), 1)
    positive = same & ~torch.eye(len(vectors), dtype=torch.bool) & (identity >= 0)[:, None]
    weight = torch.where(face[:, None] == face[None, :], 1.0, other_face_weight) * positive
    each = torch.logaddexp(logits, rest[:, None]) - logits
    return (weight * each).sum() / weight.sum()


def caption_loss(image: Tensor, text: Tensor, matches: Tensor, scale: Tensor) -> Tensor:
    """Symmetric image-text contrastive loss (Radford et al. 2021) with many true pairs (Yang et al. 2022).

    `matches` (n, c) bool: caption c is true of image n. Targets are spread evenly over the true ones; images
    without a true caption in the batch are left out of their direction.
    """
    logits = scale * image @ text.T
    target = matches.float()
    per_image, per_text = target.sum(1), target.sum(0)
    loss_image = -(F.log_softmax(logits, 1) * target).sum(1) / per_image.clamp(min=1)
    loss_text = -(F.log_softmax(logits, 0) * target).sum(0) / per_text.clamp(min=1)
    return 0.5 * (loss_image[per_image > 0].mean() + loss_text[per_text > 0].mean())
