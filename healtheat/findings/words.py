"""The words of the command line as filters."""

from __future__ import annotations

from dataclasses import dataclass

from healtheat.core.errors import InputError
from healtheat.findings.filters import ClassWords, Filters, Findings, Words


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterWords:
    """What the shared options of the commands ask for, before an index says which classes it has."""

    issue: Words = None
    class_: ClassWords = None
    split: Words = None
    image: Words = None
    signal: Words = None
    min_score: float | None = None
    verdict: Words = None
    status: Words = None
    all_: bool = False

    def filters(self, index: Findings, given: Filters | None = None) -> Filters:
        """The filters for `index`: `given`, or these words. Raises InputError where both say something."""
        if given is not None:
            if self != FilterWords():
                raise InputError("filters and words of their own were given; give one of the two")
            return given.of(index)
        return Filters(
            issues=self.issue,
            classes=self.class_,
            signals=self.signal,
            splits=self.split,
            images=self.image,
            min_score=self.min_score,
            flagged_only=not self.all_,
            verdicts=self.verdict,
            statuses=self.status,
        ).of(index)
