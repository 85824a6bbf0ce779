"""Scores → thresholds → queues: one row for every (box, issue) that was judged, and which are flagged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from healtheat.index.tables import schema

FINDINGS_SCHEMA = schema("findings")

# Score from which an issue is flagged where no false-alarm rate is asked for. Scores are meant as
# probabilities, so one half would mean "more likely than not"; kinder limits for what is only a hint.
THRESHOLDS: Mapping[str, float] = {
    "mislabel": 0.5,
    "outlier": 0.2,
    "background": 0.5,
    "bad_box": 0.5,
    "duplicate": 0.5,
    "missing_box": 0.5,
    "unexpected_class": 0.5,
    "low_quality": 0.3,
    "unreadable": 0.5,
}


class FindingSettings(BaseModel):
    """How findings are flagged. Changing it needs no signal to run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float] = Field(default_factory=lambda: dict(THRESHOLDS))
    fdr: float | None = Field(
        default=None, gt=0, lt=1
    )  # share of false alarms among the flags, instead of thresholds
    budget: int | None = Field(default=None, ge=0)  # flag only the boxes of the most suspicious so many


def at_false_alarm_rate(score: NDArray[np.float64], fdr: float) -> NDArray[np.bool_]:
    """(n,) as many flags as keep the expected share of false ones at `fdr`; scores are chances.

    The expected share of false alarms among the first k is the mean of 1 - score over them (Efron:
    Large-scale inference, 2010, chapter 5: the Bayes false discovery rate is the mean of the local ones).
    """
    order = np.argsort(-score, kind="stable")
    expected = np.cumsum(1 - score[order]) / np.arange(1, len(score) + 1)
    flagged = np.zeros(len(score), bool)
    flagged[order[: int((expected <= fdr).sum())]] = True  # the mean only rises
    return flagged


def expected_errors(findings: pa.Table, budget: int) -> float:
    """How many boxes with an error are expected among the `budget` most suspicious ones."""
    best: dict[int, float] = {}
    for box, value in zip(findings["box_id"].to_pylist(), findings["suspicion"].to_pylist(), strict=True):
        if box >= 0:
            best[box] = value
    return float(sum(sorted(best.values(), reverse=True)[:budget]))


def find(scores: pa.Table, settings: FindingSettings | None = None) -> pa.Table:
    """A table in FINDINGS_SCHEMA from a table in SCORES_SCHEMA, ordered by box, image and issue.

    Where several signals judge one issue of a box, the highest score is the finding's and its signal gives
    the reason; one that is withheld makes room for another that reaches the threshold. Abstaining signals
    make no row. `suspicion` is the highest score of the box's issues. A row that is `withheld` keeps its
    place in the order, but gets no flag, and its reason says why.
    """
    settings = settings or FindingSettings()
    rows = scores.to_pydict()
    kept = _kept(rows, settings)
    suspicion: dict[int, float] = {}
    for at in kept:
        box = rows["box_id"][at]
        if box >= 0:
            suspicion[box] = max(suspicion.get(box, 0.0), rows["score"][at])
    taken_over = [name for name in FINDINGS_SCHEMA.names if name in rows]
    out: dict[str, list[Any]] = {name: [rows[name][at] for at in kept] for name in taken_over}
    out["finding_id"] = list(range(len(kept)))
    out["kind"] = [_kind(*about) for about in zip(*(out[name] for name in _ABOUT), strict=True)]
    out["suspicion"] = [
        suspicion.get(box, score) for box, score in zip(out["box_id"], out["score"], strict=True)
    ]
    out["reason"] = [
        reason if why is None else f"{reason}; not flagged: {why}"
        for reason, why in zip(out["reason"], out["withheld"], strict=True)
    ]
    out["flagged"] = _flags(out, settings).tolist()
    if settings.budget is not None:
        _keep_budget(out, settings.budget)
    return pa.Table.from_pydict(out, schema=FINDINGS_SCHEMA)


_ABOUT = ("box_id", "issue", "line", "image_id")


def _kind(box_id: int, issue: str, line: int, image_id: int) -> str:
    """What a finding is about: box, place (a missing box), line (one that could not be read), image, file."""
    if box_id >= 0:
        return "box"
    if issue == "missing_box":
        return "place"
    if line >= 0:
        return "line"
    return "image" if image_id >= 0 else "file"


def _kept(rows: Mapping[str, list[Any]], settings: FindingSettings) -> list[int]:
    """The rows that become findings, in the order of the findings."""
    taken: dict[tuple[Any, ...], int] = {}
    for at, value in enumerate(rows["score"]):
        if value is None:
            continue
        box, issue = rows["box_id"][at], rows["issue"][at]
        key = (box, issue) if box >= 0 else (box, issue, at)  # an image may miss several boxes
        if key not in taken or _stronger(rows, at, taken[key], settings):
            taken[key] = at
    return sorted(
        taken.values(),
        key=lambda at: (rows["box_id"][at] < 0, rows["box_id"][at], rows["image_id"][at], rows["issue"][at]),
    )


def _stronger(rows: Mapping[str, list[Any]], one: int, other: int, settings: FindingSettings) -> bool:
    """Whether row `one` stands for the box and issue rather than `other`."""
    least = settings.thresholds.get(rows["issue"][one], THRESHOLDS[rows["issue"][one]])

    def rank(at: int) -> tuple[bool, float]:
        score = rows["score"][at]
        return score >= least and rows["withheld"][at] is None, score

    return rank(one) > rank(other)


def _flags(rows: Mapping[str, list[Any]], settings: FindingSettings) -> NDArray[np.bool_]:
    """Which of these findings pass."""
    issue = np.array(rows["issue"], object)
    score = np.array(rows["score"], np.float64)
    free = np.array([why is None for why in rows["withheld"]], bool)
    flagged = np.zeros(len(score), bool)
    for name in np.unique(issue) if len(issue) else ():
        own = np.flatnonzero((issue == name) & free)
        if settings.fdr is not None:
            flagged[own] = at_false_alarm_rate(score[own], settings.fdr)
        else:
            flagged[own] = score[own] >= settings.thresholds.get(name, THRESHOLDS[name])
    return flagged


def _keep_budget(out: dict[str, list[Any]], budget: int) -> None:
    """Take the flag from all but the `budget` most suspicious flagged boxes or images."""
    best: dict[tuple[int, int], float] = {}
    for box, image, value, flag in zip(
        out["box_id"], out["image_id"], out["suspicion"], out["flagged"], strict=True
    ):
        if flag:
            key = (box, image if box < 0 else -1)
            best[key] = max(best.get(key, 0.0), value)
    inside = set(sorted(best, key=lambda key: (-best[key], key))[:budget])
    out["flagged"] = [
        flag and (box, image if box < 0 else -1) in inside
        for flag, box, image in zip(out["flagged"], out["box_id"], out["image_id"], strict=True)
    ]


def best_by_box(
    findings: pa.Table, issues: tuple[str, ...] = ()
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(m,) box ids and their highest score over `issues` (all if empty)."""
    best: dict[int, float] = {}
    for box, issue, score in zip(
        findings["box_id"].to_pylist(),
        findings["issue"].to_pylist(),
        findings["score"].to_pylist(),
        strict=True,
    ):
        if box >= 0 and (not issues or issue in issues):
            best[box] = max(best.get(box, 0.0), score)
    return np.array(list(best), np.int64), np.array(list(best.values()), np.float64)
