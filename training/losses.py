"""The two losses: telling pills apart (views of one pill against look-alikes) and matching captions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_loss(
    vectors: Tensor, identity: Tensor, face: Tensor, memory: Tensor, memory_identity: Tensor,
    *, temperature: float, other_face_weight: float,
) -> Tensor:  # fmt: skip
    """Supervised contrastive loss (Khosla et al. 2020) with a memory of negatives (Wang et al. 2020).

    `vectors` (n, d) unit rows; `identity` (n,), -1 for tiles that only serve as negatives. A positive that
    shows the other face of the product counts `other_face_weight`: it may look different, and rightly so.
    Entries of one identity are never negatives of each other.
    """
    n = len(vectors)
    logits = vectors @ vectors.T / temperature
    same = identity[:, None] == identity[None, :]
    me = torch.eye(n, dtype=torch.bool)
    negative = ~same
    old = vectors @ memory.T / temperature
    old = old.masked_fill(identity[:, None] == memory_identity[None, :], float("-inf"))
    rest = torch.logsumexp(torch.cat([logits.masked_fill(~negative, float("-inf")), old], 1), 1)
    positive = same & ~me & (identity >= 0)[:, None]
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
