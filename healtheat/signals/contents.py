"""Does the image have the boxes its name lists? Needs no embedding; silent where no rule fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from healtheat.core.boxes import NO_CLASS, rows_of
from healtheat.listing import Listing, compare, reason
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes

MISSING, UNEXPECTED = "missing_box", "unexpected_class"


class Contents(Signal):
    """Compares the boxes of every image with `listing`, joined to the samples; without it, says nothing."""

    name = "contents"
    issues = (MISSING, UNEXPECTED)

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        """Scores of missing boxes (rows about images) and of unexpected classes (rows about boxes)."""
        return () if queries.listing is None else self._scores(queries, queries.listing)

    def _scores(self, samples: Samples, what: Listing) -> Sequence[Scores]:
        n = len(samples)
        score = np.zeros(n)
        raw = np.zeros(n)
        suggestion = np.full(n, NO_CLASS, np.int64)
        why: list[str] = ["the image's name lists it"] * n
        abstain: list[str | None] = [None] * n
        evidence: list[dict[str, Any]] = [{}] * n
        missing: list[tuple[int, float, str, int, dict[str, Any]]] = []
        rows = [own.tolist() for own in rows_of(samples.image_row, len(samples.images))]
        class_id = samples.boxes.class_id.tolist()
        images = samples.images
        for place in range(len(images)):
            listed, path, status = what.listed[place], images.path[place], images.status[place]
            if listed is None or status == "unreadable":
                follows = f"the image's name does not follow the rule {what.rule}"
                for row in rows[place]:
                    abstain[row] = follows if listed is None else "the image cannot be read"
                continue
            found = compare(
                listed,
                [class_id[row] for row in rows[place]],
                broken=broken_classes(samples.problems_of[path]),
                complete=not what.unknown[place],
            )
            for m in found:
                text = reason(m, what.names.get(m.class_id, str(m.class_id)))
                about = {"listed": m.listed, "found": m.found}
                if m.issue == MISSING:
                    text += " (no label file)" if status == "unlabelled" else ""
                    missing.append((int(images.image_id[place]), m.score, text, m.class_id, about))
                    continue
                row = rows[place][m.box]
                score[row], raw[row] = m.score, m.found - m.listed
                why[row], evidence[row], suggestion[row] = text, about, m.suggestion
        return [
            Scores.of(
                self,
                UNEXPECTED,
                samples,
                raw=raw,
                score=score,
                reason=why,
                abstain=abstain,
                suggestion=suggestion,
                evidence=evidence,
            ),
            Scores.of_images(
                self,
                MISSING,
                image_id=[m[0] for m in missing],
                score=[m[1] for m in missing],
                reason=[m[2] for m in missing],
                class_id=[m[3] for m in missing],
                evidence=[m[4] for m in missing],
            ),
        ]
