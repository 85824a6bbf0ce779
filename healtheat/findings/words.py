"""The words of the command line as filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from healtheat.core.errors import InputError
from healtheat.findings.query import Catalog, Filters, class_ids

Words = str | Iterable[str] | None  # one value of a filter or several; None does not filter
ClassWords = str | int | Iterable[str | int] | None  # ids or exact names


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

    def filters(self, index: Catalog, given: Filters | None = None) -> Filters:
        """The filters for `index`: `given`, or these words. Raises InputError where both say something."""
        if given is not None:
            if self != FilterWords():
                raise InputError("filters and words of their own were given; give one of the two")
            return given
        classes = [self.class_] if isinstance(self.class_, str | int) else list(self.class_ or ())
        return Filters(
            issues=words(self.issue),
            classes=class_ids(index.names, [str(one) for one in classes]),
            signals=words(self.signal),
            splits=words(self.split),
            images=words(self.image),
            min_score=self.min_score,
            flagged_only=not self.all_,
            verdicts=words(self.verdict),
            statuses=words(self.status),
        )


def words(given: Words) -> tuple[str, ...]:
    """The values, of one or several."""
    return (given,) if isinstance(given, str) else tuple(given or ())
