"""What could not be read at all: one row a problem, so that it ends in the same queues as everything else."""

from __future__ import annotations

from collections.abc import Sequence

from healtheat.signals.base import Samples, Scores, Signal


class Unreadable(Signal):
    """Issue unreadable. Nothing is measured: a line or file that could not be read is one, score 1."""

    name = "unreadable"
    issues = ("unreadable",)

    def measure(self, samples: Samples) -> Sequence[Scores]:
        if not samples.problems:
            return []
        of_path = dict(zip(samples.images.path, samples.images.image_id, strict=True))
        return [
            Scores.of_images(
                self,
                "unreadable",
                image_id=[int(of_path.get(p.image or p.file, -1)) for p in samples.problems],
                score=[1.0] * len(samples.problems),
                reason=[str(p) for p in samples.problems],
                evidence=[
                    {"file": p.file, "line": -1 if p.line is None else p.line} for p in samples.problems
                ],
            )
        ]
