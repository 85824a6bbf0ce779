"""The issue types: what a signal may find, and the questions it does not ask. See docs/scores.md."""

from __future__ import annotations

from dataclasses import dataclass

ISSUES = (
    "mislabel",
    "outlier",
    "background",
    "bad_box",
    "duplicate",
    "missing_box",
    "unexpected_class",
    "low_quality",
    "unreadable",
)

# Views to sort by: no label is wrong because a box is rare or blurred. Their scores stay below `HINT_TOP`,
# so that in one ranking over all issues they only order what nothing else suspects.
HINTS = ("outlier", "low_quality")
HINT_TOP = 0.01


@dataclass(frozen=True, slots=True)
class Silence:
    """A question that a signal does not ask on this set of data at all, and why, as one line for people."""

    signal: str
    issue: str
    why: str

    def __post_init__(self) -> None:
        if self.issue not in ISSUES:
            raise ValueError(f"signal {self.signal}: unknown issue {self.issue!r}")
        if not self.why or "\n" in self.why:
            raise ValueError(f"signal {self.signal}: why must be one line, found {self.why!r}")

    def __str__(self) -> str:
        who = self.signal if self.signal == self.issue else f"{self.signal} ({self.issue})"
        return f"{who}: {self.why}"
