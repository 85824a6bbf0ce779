"""Does the image have the boxes its name lists? Needs no embedding; silent where no rule fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from healtheat.core.boxes import NO_CLASS, rows_of
from healtheat.listing import Listing, Mismatch, compare, reason
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.beliefs import judged_beliefs
from healtheat.signals.evidence.listed import Assigned
from healtheat.signals.samples import Pool, Samples
from healtheat.sources.label_set import broken_classes

MISSING, UNEXPECTED = "missing_box", "unexpected_class"


class Contents(Signal):
    """What is left when boxes are assigned to what `listing` names; without a listing, says nothing.

    A wrong label is one finding of the signal label, with its correction: it is no box too many here and no
    missing one. Where crops cannot be compared, and on images that list very much, boxes are only counted.
    """

    name = "contents"
    issues = (MISSING, UNEXPECTED)

    def __init__(self, *, compare_crops: bool = True) -> None:
        self.compare_crops = compare_crops  # or boxes are only counted on every image

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        """Scores of missing boxes (rows about images) and of unexpected classes (rows about boxes)."""
        if queries.listing is None:
            return ()
        found = _Found(queries, queries.listing)
        if len(queries) and self.compare_crops:
            pool, _, beliefs = judged_beliefs(queries, store)
            if beliefs.assigned is not None:
                found.assigned(pool, beliefs.assigned)
        found.counted()
        return found.scores(self)


class _Found:
    """What is said of each box, and of each image what is missing; images are settled once."""

    def __init__(self, samples: Samples, what: Listing) -> None:
        self.samples, self.what = samples, what
        n = len(samples)
        self.score, self.raw = np.zeros(n), np.zeros(n)
        self.suggestion = np.full(n, NO_CLASS, np.int64)
        self.why: list[str] = ["the image's name lists it"] * n
        self.abstain: list[str | None] = [None] * n
        self.evidence: list[dict[str, Any]] = [{}] * n
        self.missing: list[tuple[int, float, str, int, dict[str, Any]]] = []
        self.settled = np.zeros(len(samples.images), bool)

    def assigned(self, pool: Pool, named: Assigned) -> None:
        """Take over the images that were assigned; rows and images are those of the pool."""
        samples, first = self.samples, len(pool.samples.images) - len(self.samples.images)
        self.settled |= named.images[first:]
        class_id = samples.boxes.class_id
        for row, at in enumerate(pool.judged.tolist()):
            image = int(samples.image_row[row])
            if not self.settled[image]:
                continue
            if not named.known[at]:
                self.abstain[row] = "another box lies on the same thing"
                continue
            listed = self.what.listed[image] or {}
            own = int(class_id[row])
            about = Mismatch(UNEXPECTED, row, own, listed.get(own, 0), 0, 0.0, NO_CLASS)
            self.score[row], self.raw[row] = named.extra[at], named.extra[at]
            if named.extra[at] > 0.5:
                left = "nothing that the image's name lists is left for this box"
                self.why[row] = f"{left} ({samples.name(own)})"
            elif not about.listed:
                self.why[row] = reason(about, samples.name(own)) + ", but something else that is left"
        held = Counter(zip(samples.image_row.tolist(), class_id.tolist(), strict=True))
        for image, gone, chance in named.missing:
            place = image - first
            often = (self.what.listed[place] or {}).get(gone, 0)
            self._miss(place, Mismatch(MISSING, -1, gone, often, held[place, gone], chance, NO_CLASS))

    def counted(self) -> None:
        """Compare plain counts on all images that are not settled."""
        samples, what, images = self.samples, self.what, self.samples.images
        class_id = samples.boxes.class_id.tolist()
        for place, rows in enumerate(rows_of(samples.image_row, len(images))):
            if self.settled[place]:
                continue
            listed, path = what.listed[place], images.path[place]
            if listed is None or images.status[place] == "unreadable":
                follows = f"the image's name does not follow the rule {what.rule}"
                for row in rows.tolist():
                    self.abstain[row] = follows if listed is None else "the image cannot be read"
                continue
            for m in compare(
                listed,
                [class_id[row] for row in rows.tolist()],
                broken=broken_classes(samples.problems_of[path]),
                complete=not what.unknown[place],
            ):
                if m.issue == MISSING:
                    self._miss(place, m)
                    continue
                row = int(rows[m.box])
                self.score[row], self.raw[row] = m.score, m.found - m.listed
                self.why[row] = reason(m, self._name(m))
                self.evidence[row], self.suggestion[row] = _about(m), m.suggestion

    def _name(self, m: Mismatch) -> str:
        return self.what.names.get(m.class_id, str(m.class_id))

    def _miss(self, place: int, m: Mismatch) -> None:
        images = self.samples.images
        text = reason(m, self._name(m)) + (" (no label file)" if images.status[place] == "unlabelled" else "")
        self.missing.append((int(images.image_id[place]), m.score, text, m.class_id, _about(m)))

    def scores(self, signal: Signal) -> Sequence[Scores]:
        return [
            Scores.of(
                signal,
                UNEXPECTED,
                self.samples,
                raw=self.raw,
                score=self.score,
                reason=self.why,
                abstain=self.abstain,
                suggestion=self.suggestion,
                evidence=self.evidence,
            ),
            Scores.of_images(
                signal,
                MISSING,
                image_id=[m[0] for m in self.missing],
                score=[m[1] for m in self.missing],
                reason=[m[2] for m in self.missing],
                class_id=[m[3] for m in self.missing],
                evidence=[m[4] for m in self.missing],
            ),
        ]


def _about(m: Mismatch) -> dict[str, Any]:
    return {"listed": m.listed, "found": m.found}
