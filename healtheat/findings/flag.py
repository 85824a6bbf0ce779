"""Scores → thresholds → places: one row for every (box, issue) that was judged, and which are flagged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from healtheat.core.boxes import box_number
from healtheat.core.issues import HINTS, ISSUES
from healtheat.findings.joins import hold_moved, join_overlapping, join_places
from healtheat.findings.places import Copies, leading, place_ids, units_of
from healtheat.index.tables import schema

FINDINGS_SCHEMA = schema("findings")
_FDR_LEAST = 0.01  # chance below which a place is no candidate for a false-alarm rate
_NEVER = 2.0

# Score from which an issue is flagged where no false-alarm rate is asked for. Scores are chances of an error:
# one half is "more likely than not". A quarter for a wrong class: on planted errors (seeds 10 to 12) that
# finds 129 of 135 confused look-alikes with 9 other flags, one half 121 with 7. HINTS are flagged on request
# alone.
THRESHOLDS: Mapping[str, float] = {
    **{issue: 0.5 for issue in ISSUES if issue not in HINTS},
    "mislabel": 0.25,
}


class FindingSettings(BaseModel):
    """How findings are flagged. Changing it needs no signal to run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float] = Field(default_factory=lambda: dict(THRESHOLDS))
    fdr: float | None = Field(
        default=None, gt=0, lt=1
    )  # share of false alarms among the flags, instead of thresholds
    budget: int | None = Field(default=None, ge=0)  # flag only the so many most suspicious places


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
    """How many of the `budget` most suspicious places are expected to hold an error."""
    best: dict[int, float] = {}
    for place, issue, value in zip(
        *(findings[name].to_pylist() for name in ("place_id", "issue", "score")), strict=True
    ):
        if issue not in HINTS:
            best[place] = max(best.get(place, 0.0), value)
    return float(sum(sorted(best.values(), reverse=True)[:budget]))


def find(
    scores: pa.Table,
    settings: FindingSettings | None = None,
    copies: Copies | None = None,
    names: Mapping[int, str] | None = None,
) -> pa.Table:
    """A table in FINDINGS_SCHEMA from a table in SCORES_SCHEMA, ordered by box, image and issue.

    Where several signals judge one issue of a box, the highest score is the finding's and its signal gives
    the reason; one that is withheld makes room for another that reaches the threshold. Abstaining signals
    make no row. `suspicion` is the highest score of the box's issues. A row that is `withheld` keeps its
    place in the order, but gets no flag, and its reason says why.

    A row has `passed` where its score reaches its threshold and its place is among the flagged ones. Of a
    box's rows that passed the strongest reason leads: it alone is `flagged`. `place_id` joins what one answer
    settles, as `places.py` says; `copies` say which images show the same things. Reasons call classes by
    their `names`, by their ids where there are none.
    """
    settings = settings or FindingSettings()
    rows = scores.to_pydict()
    join_overlapping(rows)
    join_places(rows)
    hold_moved(rows, _least("bad_box", settings))
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
    _flag(out, settings, copies or Copies(), names or {})
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
    least = _least(rows["issue"][one], settings)

    def rank(at: int) -> tuple[bool, float]:
        score = rows["score"][at]
        return score >= least and rows["withheld"][at] is None, score

    return rank(one) > rank(other)


def _least(issue: str, settings: FindingSettings) -> float:
    """The score from which an issue may be flagged."""
    return settings.thresholds.get(issue, THRESHOLDS.get(issue, _NEVER))


def _flag(
    out: dict[str, list[Any]], settings: FindingSettings, copies: Copies, names: Mapping[int, str]
) -> None:
    """Adds `passed`, `place_id` and `flagged`, and tells each of two exchanged boxes of the other."""
    units = units_of(out)
    may = _may_pass(out, settings)
    leaders = leading(out, np.flatnonzero(may).tolist(), units)
    out["place_id"], pairs = place_ids(out, units, leaders, copies)
    chosen = _chosen_places(out, leaders.values(), settings)
    first = {at for at in leaders.values() if out["place_id"][at] in chosen}
    out["flagged"] = [at in first for at in range(len(units))]
    usual = may if settings.fdr is None else _may_pass(out, FindingSettings())
    out["passed"] = [
        flagged or (bool(ok) and place in chosen)
        for flagged, ok, place in zip(out["flagged"], usual, out["place_id"], strict=True)
    ]
    for pair in pairs:
        for at, other in (pair, pair[::-1]):
            out["twin_box_id"][at] = out["box_id"][other]
            class_id = out["class_id"][other]
            number = box_number(out["line"][other])
            out["reason"][at] += f"; exchanged with box {number}, {names.get(class_id, class_id)}"


def _may_pass(rows: Mapping[str, Sequence[Any]], settings: FindingSettings) -> NDArray[np.bool_]:
    """Which rows reach their threshold and may be flagged; for a false-alarm rate those worth a thought."""
    if settings.fdr is not None:
        settings = FindingSettings(thresholds=dict.fromkeys(THRESHOLDS, _FDR_LEAST))
    return np.array(
        [
            why is None and score >= _least(issue, settings)
            for issue, score, why in zip(rows["issue"], rows["score"], rows["withheld"], strict=True)
        ],
        bool,
    )


def _chosen_places(
    rows: Mapping[str, Sequence[Any]], leaders: Iterable[int], settings: FindingSettings
) -> set[int]:
    """The places that are flagged: all with a leading row, or as many as rate and budget allow."""
    best: dict[int, tuple[float, float]] = {}
    for at in leaders:
        value = (rows["score"][at], rows["suspicion"][at])
        place = rows["place_id"][at]
        best[place] = max(best.get(place, value), value)
    order = sorted(best, key=lambda place: (-best[place][0], -best[place][1], place))
    if settings.fdr is not None:
        chance = np.array([best[place][0] for place in order])
        order = [order[at] for at in np.flatnonzero(at_false_alarm_rate(chance, settings.fdr))]
    return set(order[: settings.budget])
