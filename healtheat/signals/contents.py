"""Does the image have the boxes its name lists? Needs no embedding; silent where no rule fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from healtheat.core.boxes import NO_CLASS, rows_of
from healtheat.index.runs import last_settings
from healtheat.listing import Listing, compare, detect, listing, open_rule, read_classes, reason
from healtheat.listing.rule import AIHUB
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes

if TYPE_CHECKING:
    from healtheat.index import Index

MISSING, UNEXPECTED = "missing_box", "unexpected_class"


class Contents(Signal):
    """The rule read from `rule`: `aihub`, a CSV file, a regular expression, or `auto`.

    `auto` takes AI Hub's rule where at least 95 % of the names follow it and its codes lead to class ids, by
    `classes` (a CSV with class_id and drug_code) or because class ids are AI Hub's category ids. Otherwise
    the signal has nothing to say. InputError at once where `rule` or `classes` cannot be used.
    """

    name = "contents"
    issues = (MISSING, UNEXPECTED)

    def __init__(self, rule: str = "auto", classes: str = "") -> None:
        self.rule = rule
        self.classes = classes
        self._rule = None if rule == "auto" else open_rule(rule)
        self._classes = read_classes(Path(classes), self._rule or AIHUB) if classes else None

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        """Scores of missing boxes (rows about images) and of unexpected classes (rows about boxes)."""
        paths = [str(path) for path in queries.images.path]
        what = (
            detect(paths, queries.names, self._classes)
            if self._rule is None
            else listing(paths, queries.names, self._rule, self._classes)
        )
        return () if what is None else self._scores(queries, what)

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


def with_contents(
    signals: Sequence[Signal], rule: str = "auto", classes: Path | None = None
) -> tuple[Signal, ...]:
    """`signals` with the contents signal set up so; InputError where `rule` or `classes` cannot be used."""
    if rule.lower().endswith(".csv"):
        rule = str(Path(rule).absolute())  # the settings are read again at the next scoring, from anywhere
    contents = Contents(rule, "" if classes is None else str(classes.absolute()))
    kept = tuple(contents if isinstance(signal, Contents) else signal for signal in signals)
    return kept if contents in kept else (*kept, contents)


def contents_of(index: Index) -> tuple[str, Path | None]:
    """Rule and class map of the last scoring of `index`, as `with_contents` takes them."""
    settings = last_settings(index, Contents.name)
    classes = settings.get("classes")
    return settings.get("rule") or "auto", Path(classes) if classes else None
