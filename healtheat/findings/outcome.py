"""What a scoring came to, in figures: flags by issue, what was withheld, what could not be judged, faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from healtheat.core.issues import Silence


@dataclass(frozen=True, slots=True)
class Failure:
    """A signal that crashed: its name, the exception in one line, and whose fault it was.

    `fault` is "input" where the data or a setting cannot be used, "crash" for anything else.
    """

    signal: str
    error: str
    fault: str

    def __str__(self) -> str:
        return f"{self.signal}: {self.error}"


@dataclass(frozen=True, slots=True)
class Flags:
    """Figures of the findings.

    `issues`: issue → places flagged for it, by the reason that leads, most first. `withheld`: findings
    without a flag because their score should not be believed. `unjudged`: reason → boxes whose class the
    label signal could not judge, most first. `places`: how many are flagged, a box and its copies once;
    `boxes`: how many boxes and images these are; `errors`: how many places hold an error if scores are
    probabilities. `silences`: questions that were not asked of this set. `highest`: issue → its best
    score.
    """

    issues: Mapping[str, int]
    withheld: int
    unjudged: Mapping[str, int]
    places: int
    boxes: int
    errors: float
    silences: tuple[Silence, ...] = ()
    highest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Mapping[str, pa.Table]) -> Flags:
        """The figures of the tables `findings`, `scores` and `silences`."""
        findings = tables["findings"]
        flagged = findings.filter(findings["flagged"])
        best: dict[int, tuple[float, str]] = {}
        for place, score, issue in zip(
            *(flagged[name].to_pylist() for name in ("place_id", "score", "issue")), strict=True
        ):
            if place not in best or score > best[place][0]:
                best[place] = (score, issue)
        return cls(
            issues=_counts(issue for _, issue in best.values()),
            withheld=len(findings.filter(pc.invert(findings["passed"]))["withheld"].drop_null()),
            unjudged=_counts(_abstained(tables["scores"]).to_pylist()),
            places=len(best),
            boxes=len(flagged),
            errors=sum(score for score, _ in best.values()),
            silences=_silences(tables),
            highest=_highest(findings),
        )


def failures_of(runs: pa.Table) -> tuple[Failure, ...]:
    """The signals that crashed, out of the table `runs`."""
    failed = (run for run in runs.to_pylist() if run["status"] != "ok")
    return tuple(Failure(run["signal"], run["error"], run["fault"]) for run in failed)


def _highest(findings: pa.Table) -> dict[str, float]:
    rows = findings.select(["issue", "score"]).group_by("issue").aggregate([("score", "max")])
    return dict(zip(rows["issue"].to_pylist(), rows["score_max"].to_pylist(), strict=True))


def _silences(tables: Mapping[str, pa.Table]) -> tuple[Silence, ...]:
    rows = tables["silences"].to_pylist()
    return tuple(Silence(row["signal"], row["issue"], row["why"]) for row in rows)


def _abstained(scores: pa.Table) -> pa.ChunkedArray:
    label = scores.filter(pc.equal(scores["signal"], "label"))
    return label["abstain"].drop_null()


def _counts(values: Iterable[str]) -> dict[str, int]:
    """Value → how often it occurs, most frequent first, by value where that ties."""
    found = Counter(values)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
