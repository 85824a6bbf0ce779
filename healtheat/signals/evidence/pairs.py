"""What concerns two boxes is one row: about the one to doubt, with the other as its twin."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.base import NO_BOX
from healtheat.signals.evidence.robust import robust_z
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(slots=True)
class PairRows:
    """What was found of n boxes so far; the strongest stays."""

    samples: Samples
    score: Floats
    raw: Floats
    reason: list[str]
    twin: Ids
    evidence: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    def of(cls, samples: Samples) -> PairRows:
        """Nothing found yet."""
        n = len(samples)
        return cls(
            samples, np.zeros(n), np.zeros(n), [""] * n, np.full(n, NO_BOX, np.int64), [{} for _ in range(n)]
        )

    def offer(self, row: int, twin: int, chance: float, measured: float, words: str) -> None:
        """A finding about `row`: its twin, the chance, the measure and the reason."""
        self.raw[row] = max(self.raw[row], measured)
        if chance > self.score[row]:
            boxes = self.samples.boxes
            self.score[row], self.reason[row], self.twin[row] = chance, words, boxes.box_id[twin]
            self.evidence[row] = {
                "box_id": int(boxes.box_id[twin]),
                "class_id": int(boxes.class_id[twin]),
                "measured": round(measured, 4),
            }


@dataclass(frozen=True, slots=True)
class Suspects:
    """How well each box fits its label: (n,) share of like crops of its class; deviations of its size."""

    fits: Floats
    size_off: Floats

    @classmethod
    def of(cls, pool: Pool) -> Suspects:
        """Of every box of a pool, learned from those that teach and are of other sources."""
        samples, near = pool.samples, pool.neighbours.other[:, :10]
        agree = (samples.class_code[near] == samples.class_code[:, None]) & (near >= 0)
        fits = (agree.sum(axis=1) + 0.5) / ((near >= 0).sum(axis=1) + 1)
        area = np.log(np.maximum(samples.boxes.xywhn[:, 2:], 1e-9).prod(axis=1))
        return cls(np.round(fits, 1), robust_z(area, samples.class_code, usual=pool.teaches))

    def worse(self, a: int, b: int) -> tuple[int, int, str]:
        """The one of two boxes to doubt, the other, and why."""
        if self.fits[a] != self.fits[b]:
            words = "its label fits less"
            return (a, b, words) if self.fits[a] < self.fits[b] else (b, a, words)
        far = self.size_off[a] - self.size_off[b]
        if abs(far) > 0.5:
            words = "its size is further from its class"
            return (a, b, words) if far > 0 else (b, a, words)
        return max(a, b), min(a, b), "it comes later"
