"""What a vetting came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.core.boxes import Problem
from healtheat.guarding.report import Check
from healtheat.vetting.drift import Drift

REFUSED, JUDGED = "refused", "judged"

# What holds a box (a key of `batch.HELD_AS`), in words for people.
HELD_WORDS: Mapping[str, str] = {
    "class": "looks like another class",
    "alike": "of two look-alike classes, more like the other",
    "unknown": "looks like no class that the index knows",
    "moved": "box off its object, too large, or cutting it",
    "background": "looks like background",
    "few": "too few trusted boxes of its class to judge by",
    "leak": "on an image that the index holds already",
    "double": "second box on one object",
    "unlisted": "class that the name of its image does not list",
    "unsure": "looks as usual, but is not sure enough in this batch",
    "person": "a person called it wrong",
    "batch": "the batch was refused as a whole",
}


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Boxes of a class in a batch, how many were accepted, and how many of those judged by their looks are
    expected to be `wrong`, NaN where none was.
    """

    class_id: int
    name: str
    boxes: int
    accepted: int
    wrong: float


@dataclass(frozen=True, slots=True)
class VetReport:
    """Decided on a batch, which is now an index of its own in the folder `batch`.

    `verdict` is "judged", or "refused": then a check of the batch as a whole failed (`checks`), and no box
    was accepted. `judged` boxes were judged by their looks; `wrong` is the share of wrong ones among them
    with its 90 % interval `low` to `high`, NaN where there are none; `expected` is that share among the
    accepted. `outlook` is the share of right boxes that would be accepted at this bound of a batch like the
    index. `whole` images have every box accepted, no missing box and no problem; `bare` of them have no box
    at all. `held_for`: why boxes were held → how many. `fitted` says that the index had to be learned
    first; `fitted_crops` were embedded for it. `kept` is False where what was learned could not be written
    into the index. `decisions` has a row for each box (see `tables.listed`), None where none was read.
    `files` were written for training and for other tools.
    """

    batch: Path
    against: Path
    verdict: str
    checks: tuple[Check, ...]
    images: int
    boxes: int
    accepted: int
    whole: int
    bare: int
    max_wrong: float
    judged: int
    wrong: float
    low: float
    high: float
    expected: float
    outlook: float
    held_for: Mapping[str, int]
    missing: int
    classes: tuple[ClassCount, ...]
    drift: Drift | None
    problems: tuple[Problem, ...]
    trusted: int
    doubted: int
    embedded: int
    reused: int
    fitted: bool
    fitted_crops: int
    kept: bool
    seconds: Mapping[str, float]
    decisions: pa.Table | None
    files: tuple[Path, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything but the decisions, as plain values; figures that are not known are NaN."""
        out = asdict(replace(self, decisions=None))
        del out["decisions"]
        out["problems"] = [
            {"code": p.code.value, "file": p.file, "line": p.line, "reason": p.reason} for p in self.problems
        ]
        out["files"] = [file.as_posix() for file in self.files]
        paths = {"batch": self.batch.as_posix(), "against": self.against.as_posix()}
        return {**out, **paths, "held": self.held}

    @property
    def held(self) -> int:
        """Boxes that were not accepted."""
        return self.boxes - self.accepted
