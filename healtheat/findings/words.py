"""The words of the command line as filters."""

from __future__ import annotations

from dataclasses import dataclass

from healtheat.core.arguments import switch
from healtheat.core.errors import Argument, InputError, UsageError
from healtheat.findings.filters import ClassWords, Filters, Findings, Words, values


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

    def __post_init__(self) -> None:
        """Raises UsageError for a word of another kind, by the name that it was given under."""
        for name in ("issue", "split", "image", "signal", "verdict", "status"):
            values(name, getattr(self, name), (str,))
        values("class_", self.class_, (str, int))
        switch(all_=self.all_)

    def filters(self, index: Findings, given: Filters | None = None) -> Filters:
        """The filters for `index`: `given`, or these words. Raises InputError where both say something."""
        if given is not None:
            if not isinstance(given, Filters):
                raise UsageError(Argument("filters"), f": expected Filters, found {type(given).__name__}")
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
