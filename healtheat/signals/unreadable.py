"""What could not be read at all: one row per problem, so that it ends in the queues of everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from healtheat.core.boxes import Problem
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples

MOST = 0.5  # share of a split's images from which it is one fact about the split, not one about each image
LEAK_SCORE = 0.5  # worth a look before training, but no label is wrong: below any likely error


class ReadProblems(Signal):
    """Issue unreadable. Nothing is measured: a line or file that could not be read is one, score 1.

    An image that two splits list was read, once; it is a duplicate. Most of a split's images are one row.
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
                reason=[_words(p, of_path) for p in problems],
                line=[-1 if p.line is None else p.line for p in problems],
                evidence=[{"file": p.file} for p in problems],
            )

        of_split = dict(zip(queries.images.path, queries.images.split, strict=True))
        shared = shared_splits(queries)
        leaks = [p for p in queries.problems if p.is_leak and of_split.get(p.image) not in shared]
        others = [p for p in queries.problems if not (p.is_leak or p.is_note)]
        parts = (("unreadable", others, 1.0), ("duplicate", leaks, LEAK_SCORE))
        found = [rows(issue, problems, score) for issue, problems, score in parts if problems]
        return [*found, self._splits(shared)] if shared else found

    def _splits(self, shared: Mapping[str, int]) -> Scores:
        """One row a split, whatever the number of its images."""
        return Scores.of_images(
            self,
            "duplicate",
            image_id=[-1] * len(shared),
            raw=list(shared.values()),
            score=[LEAK_SCORE] * len(shared),
            reason=[
                f"{count} images of split {split} stand in another split as well: a model is tested on what "
                "it has seen"
                for split, count in shared.items()
            ],
            evidence=[{"split": split, "images": count} for split, count in shared.items()],
        )


def _words(problem: Problem, images: Mapping[str, int]) -> str:
    """The reason, with the file's name where that is not the very image that the row is about."""
    alone = problem.line is None and problem.file in images and problem.image in ("", problem.file)
    return problem.reason if alone else str(problem)


def shared_splits(samples: Samples) -> dict[str, int]:
    """Split → how many of its images are in another split too, where that is most of either of the two.

    Such images are one fact about the splits (train and val name one folder), not one about each image.
    """
    of_split = dict(zip(samples.images.path, samples.images.split, strict=True))
    leaks = Counter(of_split[p.image] for p in samples.problems if p.is_leak and p.image in of_split)
    size = Counter(samples.images.split)
    found = {}
    for split, count in leaks.items():
        elsewhere = len(samples.images) - size[split] + count  # images that some other split names
        if count > 1 and count > MOST * min(size[split], elsewhere):
            found[split] = count
    return found
