"""Plant, score, compare: what would be found on this data, with this encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.findings.flag import FindingSettings, find
from healtheat.findings.inputs import Inputs
from healtheat.findings.outcome import failures_of
from healtheat.findings.run import run_signals
from healtheat.index.search import EXACT_ROWS
from healtheat.planting import plant
from healtheat.planting.metrics import Estimate, Ranking, estimate
from healtheat.signals import SIGNALS, Samples, Scores, Signal


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error: how it is planted, and the issues under which it may rightly be found."""

    name: str
    issues: tuple[str, ...]
    plant: plant.Plant
    needs_crops: bool = False


KINDS = (
    Kind("flips", ("mislabel",), plant.flips),
    Kind("confuse", ("mislabel",), plant.confuse),
    Kind("boxes", ("bad_box", "background"), plant.bad_boxes, needs_crops=True),
    Kind("spurious", ("bad_box", "background"), plant.spurious, needs_crops=True),
    Kind("duplicate", ("duplicate",), plant.doubled, needs_crops=True),
    Kind("missing", ("missing_box",), plant.overlooked),
)


@dataclass(frozen=True, slots=True)
class KindResult:
    """Means over plantings. `budget` boxes looked at from the top give `precision`; chance gives `base_rate`.

    `flagged` findings of these issues; `flag_precision` of them are planted, `flag_recall` of the planted
    ones are among them. `abstained`: share of the planted boxes that no signal would judge. Errors that were
    in the data before count as false alarms, so precision is a lower bound.
    """

    kind: str
    issues: tuple[str, ...]
    plantings: int
    planted: float
    rows: float
    base_rate: float
    average_precision: Estimate
    budget: float
    precision: Estimate
    flagged: float
    flag_precision: float
    flag_recall: float
    abstained: float


@dataclass(frozen=True, slots=True)
class SelftestReport:
    """`skipped`: kind → why it could not be tested. `failures`: signals that crashed, and why.

    `unread`: how often an image was gone, changed or unreadable when a new crop was wanted of it.
    """

    boxes: int
    classes: int
    rate: float
    plantings: int
    results: tuple[KindResult, ...]
    skipped: dict[str, str]
    failures: tuple[str, ...]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    ranking: Ranking
    flagged: NDArray[np.bool_]
    failures: tuple[str, ...]


def selftest(
    samples: Samples,
    crops: plant.CropMaker | None = None,
    *,
    kinds: Sequence[str] = (),
    signals: Sequence[Signal] = SIGNALS,
    settings: FindingSettings | None = None,
    rate: float = 0.05,
    plantings: int = 3,
    budget: int | None = None,
    max_crops: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> SelftestReport:
    """What healtheat finds of errors planted in a copy of `samples`.

    Each kind is planted `plantings` times, in `rate` of the boxes; kinds that need new crops in at most
    `max_crops` of them, and not at all without `crops`. `budget` is how many boxes a person would look at, by
    default as many as are planted. InputError for unknown kinds, or where there is nothing to plant in.
    """
    known = {kind.name: kind for kind in KINDS}
    if unknown := [name for name in kinds if name not in known]:
        raise InputError(f"no kind of error {unknown[0]!r}; choose from {', '.join(known)}")
    if not 0 < rate <= 0.5:
        raise InputError(f"rate {rate}: expected a share above 0 and up to 0.5")
    if len(samples) < 2:
        raise InputError("a self-test needs at least two boxes")
    results: list[KindResult] = []
    skipped: dict[str, str] = {}
    failures: list[str] = []
    chosen = [known[name] for name in kinds] or list(KINDS)
    for number, kind in enumerate(chosen):
        fitting = [signal for signal in signals if set(signal.issues) & set(kind.issues)]
        if not fitting:
            skipped[kind.name] = "no signal looks for it"
            continue
        if kind.needs_crops and crops is None:
            skipped[kind.name] = "needs the images"
            continue
        outcomes: list[_Outcome] = []
        for repeat in range(plantings):
            progress(f"self-test {kind.name}", number * plantings + repeat, len(chosen) * plantings)
            rng = np.random.default_rng([seed, repeat, KINDS.index(kind)])
            count = max(1, round(rate * len(samples)))
            planting = kind.plant(samples, min(count, max_crops) if kind.needs_crops else count, rng, crops)
            if not len(planting.wrong):
                continue
            outcome = _evaluate(samples, planting, kind, fitting, settings)
            if outcome is not None:
                outcomes.append(outcome)
                failures += [f for f in outcome.failures if f not in failures]
        if outcomes:
            results.append(_summary(kind, outcomes, budget, seed))
        else:
            skipped[kind.name] = (
                "no signal can judge it on this data"
                if kind.name == "missing"
                else "nothing could be planted (one class, or no free place on the images)"
            )
    progress("self-test", len(chosen) * plantings, len(chosen) * plantings)
    return SelftestReport(
        len(samples), len(samples.class_ids), rate, plantings, tuple(results), skipped, tuple(failures)
    )


def _evaluate(
    before: Samples,
    planting: plant.Planting,
    kind: Kind,
    signals: Sequence[Signal],
    settings: FindingSettings | None,
) -> _Outcome | None:
    samples = planting.samples
    if samples.vectors is before.vectors and len(samples) <= EXACT_ROWS:
        # an exact search does not look at classes: the result is the same
        samples.__dict__["neighbours"] = before.neighbours
    scores, runs, _ = run_signals(samples, signals)
    failures = tuple(str(failure) for failure in failures_of(runs))
    findings = find(scores, settings)
    findings = findings.filter(pa.array(np.isin(findings["issue"].to_pylist(), kind.issues)))
    if kind.name == "missing":
        return _missing(before, planting, signals, settings, findings, failures)
    box_id = samples.boxes.box_id
    score, flagged = np.full(len(box_id), np.nan), np.zeros(len(box_id), bool)
    row_of = {int(b): row for row, b in enumerate(box_id)}
    for box, value, flag in zip(
        *(findings[name].to_pylist() for name in ("box_id", "score", "passed")), strict=True
    ):
        if box >= 0:
            row = row_of[box]
            score[row] = np.fmax(score[row], value)
            flagged[row] |= flag
    keep = ~np.isin(box_id, planting.ignored)
    truth = np.isin(box_id, planting.wrong)[keep]
    return _Outcome(
        Ranking(score[keep], truth, samples.group[keep].astype(np.int64)), flagged[keep], failures
    )


def _missing(
    before: Samples,
    planting: plant.Planting,
    signals: Sequence[Signal],
    settings: FindingSettings | None,
    findings: pa.Table,
    failures: tuple[str, ...],
) -> _Outcome | None:
    """Rows are (image, class) places: those planted, and those newly found beside them."""
    inputs = Inputs()
    joined = [(signal, inputs.joined(signal, before)) for signal in signals]
    if not any(
        isinstance(answer, Scores) and answer.issue == "missing_box"
        for signal, own in joined
        for answer in signal.measure(own, own)
    ):
        return None
    scores = run_signals(before, signals).scores
    there = find(scores, settings)
    there = there.filter(pa.array(np.isin(there["issue"].to_pylist(), ["missing_box"])))
    found: dict[tuple[int, int], list[tuple[float, bool]]] = {}
    for image, class_id, value, flag in zip(
        *(findings[name].to_pylist() for name in ("image_id", "class_id", "score", "passed")), strict=True
    ):
        found.setdefault((image, class_id), []).append((value, flag))
    for key in zip(there["image_id"].to_pylist(), there["class_id"].to_pylist(), strict=True):
        if found.get(key):
            found[key].pop()  # it was missing before
    b = before.boxes
    rows = np.flatnonzero(np.isin(b.box_id, planting.wrong))
    group_of = dict(zip(b.image_id.tolist(), before.group.tolist(), strict=True))
    entries: list[tuple[float, bool, bool, int]] = []
    for row in rows.tolist():
        key = (int(b.image_id[row]), int(b.class_id[row]))
        value, flag = found[key].pop() if found.get(key) else (np.nan, False)
        entries.append((value, flag, True, int(before.group[row])))
    for (image, _), rest in found.items():
        entries += [(value, flag, False, group_of.get(image, -1 - image)) for value, flag in rest]
    score, flagged, truth, group = (np.array(column) for column in zip(*entries, strict=True))
    return _Outcome(Ranking(score.astype(np.float64), truth, group.astype(np.int64)), flagged, failures)


def _summary(kind: Kind, outcomes: Sequence[_Outcome], budget: int | None, seed: int) -> KindResult:
    rankings = [o.ranking for o in outcomes]
    planted = [float(r.truth.sum()) for r in rankings]
    ap, precision = estimate(rankings, budget, seed=seed)
    hits = sum(int((o.flagged & o.ranking.truth).sum()) for o in outcomes)
    flags = sum(int(o.flagged.sum()) for o in outcomes)
    return KindResult(
        kind=kind.name,
        issues=kind.issues,
        plantings=len(outcomes),
        planted=float(np.mean(planted)),
        rows=float(np.mean([len(r.truth) for r in rankings])),
        base_rate=float(np.mean([r.truth.mean() for r in rankings])),
        average_precision=ap,
        budget=float(budget or np.mean(planted)),
        precision=precision,
        flagged=flags / len(outcomes),
        flag_precision=hits / flags if flags else float("nan"),
        flag_recall=hits / sum(planted),
        abstained=float(np.mean([np.isnan(r.score[r.truth]).mean() for r in rankings])),
    )
