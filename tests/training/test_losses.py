"""The losses agree with slow loops over their definitions."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from training.losses import caption_loss, identity_loss  # noqa: E402


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, d, generator=generator), dim=1)


def test_identity_loss_is_the_mean_over_weighted_positive_pairs() -> None:
    vectors = unit(7, 5, 0)
    identity, face = torch.tensor([0, 0, 1, 1, 1, -1, -1]), torch.tensor([0, 0, 1, 1, 2, -1, -1])
    found = identity_loss(vectors, identity, face, temperature=0.1, other_face_weight=0.5)
    total = weights = 0.0
    for i in range(7):
        negatives = [float(vectors[i] @ vectors[j]) / 0.1 for j in range(7) if identity[j] != identity[i]]
        for j in range(7):
            if i == j or identity[i] != identity[j] or identity[i] < 0:
                continue
            positive = float(vectors[i] @ vectors[j]) / 0.1
            weight = 1.0 if face[i] == face[j] else 0.5
            total += weight * -math.log(
                math.exp(positive) / (math.exp(positive) + sum(map(math.exp, negatives)))
            )
            weights += weight
    assert float(found) == pytest.approx(total / weights, rel=1e-5)


def test_caption_loss_spreads_over_all_true_captions_and_skips_images_without_one() -> None:
    image, text = unit(4, 5, 2), unit(3, 5, 3)
    matches = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
    found = caption_loss(image, text, matches, torch.tensor(9.0))
    logits = (9 * image @ text.T).tolist()
    rows, columns = [], []
    for i in range(4):
        norm = math.log(sum(math.exp(v) for v in logits[i]))
        true = [norm - logits[i][j] for j in range(3) if matches[i, j]]
        if true:
            rows.append(sum(true) / len(true))
    for j in range(3):
        norm = math.log(sum(math.exp(logits[i][j]) for i in range(4)))
        true = [norm - logits[i][j] for i in range(4) if matches[i, j]]
        columns.append(sum(true) / len(true))
    expected = 0.5 * (sum(rows) / len(rows) + sum(columns) / len(columns))
    assert float(found) == pytest.approx(expected, rel=1e-5)
