"""What a vetting came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from healtheat.core.boxes import Problem
from healtheat.guarding.report import Check
from healtheat.vetting.drift import Drift

REFUSED, JUDGED = "refused", "judged"


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Boxes of a class in a batch, how many were accepted, and how many are expected to be `wrong`."""

    class_id: int
    name: str
    boxes: int
    accepted: int
    wrong: float


@dataclass(frozen=True, slots=True)
class VetReport:
    """Decided on a batch, which is now an index of its own in the folder `batch`.

    `verdict` is "judged", or "refused": then a check of the batch as a whole failed (`checks`), and no box
    was accepted. `wrong` is the share of wrong boxes in the batch with its 90 % interval `low` to `high`, NaN
    where no box could be judged by its looks; `expected` is that share among the accepted. `whole` images
    have every box accepted, no missing box and no problem. `held_for`: why boxes were held → how many.
    `fitted` says that the index had to be learned first; `fitted_crops` were embedded for it. `kept` is
    False where what was learned could not be written into the index. `decisions` has a row for each box (see
    `tables.listed`), None where none was read.
    """

    batch: Path
    against: Path
    verdict: str
    checks: tuple[Check, ...]
    images: int
    boxes: int
    accepted: int
    whole: int
    max_wrong: float
    wrong: float
    low: float
    high: float
    expected: float
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

    @property
    def held(self) -> int:
        """Boxes that were not accepted."""
        return self.boxes - self.accepted
