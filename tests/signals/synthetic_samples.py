"""Synthetic samples: one direction per class, noise, images of three boxes, tiles of background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from healtheat.signals import Samples, Scores, Signal
from healtheat.signals.samples import MEASURES


def by_itself(signal: Signal, samples: Samples) -> Sequence[Scores]:
    """What a signal says of samples, judged by themselves as in a build."""
    return said(signal, samples, samples)


def said(signal: Signal, queries: Samples, store: Samples) -> list[Scores]:
    """The scores a signal gives; questions it does not ask are left out."""
    return [answer for answer in signal.measure(queries, store) if isinstance(answer, Scores)]


def reordered(samples: Samples, order: np.ndarray) -> Samples:
    """The same boxes in another order."""
    return replace(
        samples,
        boxes=samples.boxes[order],
        vectors=samples.vectors[order],
        measures=samples.measures[order],
        group=samples.group[order],
    )


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clusters(
    *,
    classes: int = 4,
    per_class: int = 30,
    dim: int = 16,
    noise: float = 0.25,
    seed: int = 0,
    class_ids: Sequence[int] | None = None,
    wrong: Sequence[tuple[int, int]] = (),
) -> Samples:
    """`classes` × `per_class` boxes, three per image; `wrong` lists (row, class position) to falsify."""
    rng = np.random.default_rng(seed)
    ids = np.array(range(classes) if class_ids is None else class_ids)
    code = np.arange(len(ids) * per_class) % len(ids)
    n = len(code)
    centres = np.eye(len(ids) + 1, dim)
    vectors = unit(centres[code] + noise * rng.standard_normal((n, dim)))
    tiles = unit(centres[-1] + noise * rng.standard_normal((20, dim)))
    given = code.copy()
    for row, position in wrong:
        given[row] = position
    image = np.arange(n) // 3
    xywhn = np.column_stack(
        [0.2 + 0.3 * (np.arange(n) % 3), np.full(n, 0.5), *(0.1 + 0.01 * rng.random((2, n)))]
    )
    measures = np.zeros(n, MEASURES)
    measures["dhash"] = rng.integers(1, 2**63, n, dtype=np.uint64)
    measures["sharpness"], measures["contrast"] = rng.uniform(90, 110, (2, n))
    measures["brightness"] = rng.uniform(0.4, 0.6, n)
    return Samples.of(ids[given], vectors, xywhn=xywhn, image_id=image, background=tiles, measures=measures)
