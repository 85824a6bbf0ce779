"""What could not be read at all: one row per problem, so that it ends in the queues of everything else."""

from __future__ import annotations

from collections.abc import Sequence

from healtheat.core.boxes import Problem
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples

LEAK_SCORE = 0.5  # worth a look before training, but no label is wrong: below any likely error


class ReadProblems(Signal):
    """Issue unreadable. Nothing is measured: a line or file that could not be read is one, score 1.

    An image that two splits list was read, once; it is a duplicate.
    """

    name = "unreadable"
    issues = ("unreadable", "duplicate")

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        if not queries.problems:
            return []
        of_path = dict(zip(queries.images.path, queries.images.image_id, strict=True))

        def rows(issue: str, problems: Sequence[Problem], score: float) -> Scores:
            return Scores.of_images(
                self,
                issue,
                image_id=[int(of_path.get(p.image or p.file, -1)) for p in problems],
                score=[score] * len(problems),
                reason=[str(p) for p in problems],
                line=[-1 if p.line is None else p.line for p in problems],
                evidence=[{"file": p.file} for p in problems],
            )

        leaks = [p for p in queries.problems if p.is_leak]
        others = [p for p in queries.problems if not p.is_leak]
        parts = (("unreadable", others, 1.0), ("duplicate", leaks, LEAK_SCORE))
        return [rows(issue, problems, score) for issue, problems, score in parts if problems]
