"""vet: read, embed and judge a batch; it becomes an index of its own whose findings are what is held."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from healtheat.building.build import BuildReport, build
from healtheat.core.errors import Argument, HealtheatError, InputError
from healtheat.core.progress import Progress, silent
from healtheat.crops import CropPolicy
from healtheat.embedding import Encoder
from healtheat.findings.inputs import Inputs, samples_of
from healtheat.findings.run import run_signals
from healtheat.guarding.report import Check, GuardReport
from healtheat.index import Index
from healtheat.index.again import Again, group_rule_of
from healtheat.index.decisions import said_of
from healtheat.index.encoder import EncoderWhenNeeded
from healtheat.index.manifest import CATALOG_NAME, MODEL_NAME
from healtheat.index.staging import building, commit, file_entry
from healtheat.index.tables import schema
from healtheat.listing import ChosenRule
from healtheat.planting.crops import IndexCrops
from healtheat.signals import Samples
from healtheat.signals.contents import UNEXPECTED, Contents
from healtheat.sources.base import Source
from healtheat.vetting import store
from healtheat.vetting.batch import Decided, Outside, judge
from healtheat.vetting.decide import outlook
from healtheat.vetting.fit import fit
from healtheat.vetting.model import VetModel
from healtheat.vetting.report import JUDGED, REFUSED, ClassCount, VetReport
from healtheat.vetting.tables import (
    compared_rows,
    decision_rows,
    findings_of,
    listed,
    score_rows,
    whole_images,
)
from healtheat.vetting.trusted import Confirmed, Trusted
from healtheat.vetting.whole import check_names, check_shares, collapse_of

MAX_WRONG = 0.02
_MOST_WRONG = 0.5  # share of wrong boxes from which a batch is refused


def check_max_wrong(share: float) -> None:
    """Raises InputError unless `share` of wrong boxes can be asked for."""
    if not 0 < share < 1:
        raise InputError(
            Argument("max_wrong"),
            f" {share:g}: give a share between 0 and 1, such as 0.02 for one wrong box among 50 accepted",
        )


@dataclass(frozen=True, slots=True)
class VetSettings:
    """`max_wrong`: share of wrong boxes among the accepted. `contents`: how names of images list what is on
    them. With `guard`, a batch that looks collapsed is refused.
    """

    max_wrong: float = MAX_WRONG
    contents: ChosenRule = field(default_factory=ChosenRule)
    guard: bool = True
    strict: bool = False
    threads: int | None = None


def vet(
    source: Source,
    against: Path,
    to: Path,
    settings: VetSettings | None = None,
    progress: Progress = silent,
    *,
    encoder: Encoder | None = None,
    again: Again | None = None,
) -> VetReport:
    """Judge the boxes of `source` by the index in the folder `against`; the batch goes to the folder `to`.

    `encoder` is the index's own unless given; `again` is what the user says again of it.
    What was learned of the index is kept in it, unless it cannot be written. Raises InputError where classes
    do not fit, or the index has too few trusted boxes; BadIndex, IndexBusy, EncoderError.
    """
    settings, again = settings or VetSettings(), again or Again()
    started = time.perf_counter()
    with Index.open(against) as index:
        check_names(source.names, index.names, against)
        group_rule_of(index, again.group_by)  # a rule that was not given again is told before the work
        learned = _learn(index, encoder or EncoderWhenNeeded(index, again.encoder), progress)
    fitted_s = time.perf_counter() - started
    with Index.open(against) as index:  # once more: it may have a file more
        work = _Work(index, learned.model, settings, progress)
        manifest = index.manifest
        built = build(
            source,
            to,
            encoder=encoder or EncoderWhenNeeded(index, again.encoder),
            crop_policy=CropPolicy.model_validate(manifest.crop_policy),
            group_rule=group_rule_of(index, again.group_by),
            background_per_image=0,
            strict=settings.strict,
            threads=settings.threads,
            judge=work.judge,
            elsewhere=work.trusted.held_images,
            progress=progress,
        )
        seconds = {"learn": fitted_s, **built.seconds, "total": time.perf_counter() - started}
        return _report(work, built, learned, to, seconds)


def refused(data: Path, against: Path, to: Path, settings: VetSettings) -> VetReport | None:
    """The report on the batch `data` where its labels alone show a collapse; None where it can be vetted.

    No image is read, nor needs to be there.
    """
    contents = settings.contents
    report = collapse_of(data, rule=contents.rule, classes=contents.classes) if settings.guard else None
    return _refused(against, to, report, settings) if report else None


@dataclass(frozen=True, slots=True)
class _Learned:
    """`new`: it was learned just now. `kept`: it is in the index."""

    model: VetModel
    new: bool
    kept: bool


def _learn(index: Index, encoder: Encoder, progress: Progress) -> _Learned:
    """What is known of the index, learned if it is not there or not of what is trusted now."""
    state = _state(index)
    model = store.read(index.path, index.manifest.dim)
    if model is not None and model.fitted_on == state:
        return _Learned(model, new=False, kept=True)
    crops = IndexCrops(index, encoder)
    model = fit(Trusted(index), crops, fitted_on=state, progress=progress)
    return _Learned(model, new=True, kept=_keep(index, model))


def _state(index: Index) -> str:
    """Names what the trusted boxes follow from: the catalog, and the verdicts on it."""
    rows = index.sql(
        "SELECT box_id, verdict FROM current_verdicts ORDER BY box_id, verdict, issue"
    ).to_pylist()
    verdicts = hashlib.sha256(repr([tuple(row.values()) for row in rows]).encode()).hexdigest()
    return f"{index.manifest.files[CATALOG_NAME].sha256}:{verdicts}"


def _keep(index: Index, model: VetModel) -> bool:
    """Put the model into the folder of the index; False where that is not possible now."""
    with suppress(OSError, HealtheatError), building(index.path) as staging:
        with Index.open(index.path) as now:
            if now.manifest.files[CATALOG_NAME] != index.manifest.files[CATALOG_NAME]:
                return False
            manifest = now.manifest
        (staging / MODEL_NAME).write_bytes(store.to_bytes(model))
        entry = file_entry(staging / MODEL_NAME)
        commit(index.path, manifest.model_copy(update={"files": {**manifest.files, MODEL_NAME: entry}}))
        return True
    return False


class _Work:
    """The judge that `build` calls in place of the signals; keeps what it found."""

    def __init__(self, index: Index, model: VetModel, settings: VetSettings, progress: Progress) -> None:
        self.index, self.model, self.settings, self.progress = index, model, settings, progress
        self.checks: tuple[Check, ...] = ()
        self.decided: Decided | None = None
        self.class_id: list[int] = []
        self.trusted = Trusted(index)
        self.missing = 0  # boxes that the names of images list and that are not there

    def judge(self, batch: Index) -> dict[str, pa.Table]:
        """Tables of the batch: what was decided, and findings of what is held."""
        samples = samples_of(batch)
        self.class_id = samples.boxes.class_id.tolist()
        check_names(batch.names, self.index.names, self.index.path)  # COCO tells its names while it is read
        said = _said(batch)
        confirmed = _confirmed(samples, said)
        self.trusted = Trusted(self.index, confirmed)
        inputs = Inputs(self.settings.contents)
        found = run_signals(samples, (Contents(compare_crops=False),), inputs=inputs, first_run_id=2)
        decided = judge(
            samples, self.trusted, self.model, Outside(said, _unlisted(found.scores)), self.settings.max_wrong
        )
        self.checks = self._whole(decided)
        if self.checks:
            decided = _none(decided)
        self.decided = decided
        listing = found.scores.filter(pc.not_equal(found.scores["issue"], UNEXPECTED))
        scores = pa.concat_tables([score_rows(samples, decided), listing])
        findings = findings_of(scores, decided, samples)
        lacking = findings.filter(pc.and_(findings["flagged"], pc.equal(findings["issue"], "missing_box")))
        self.missing = len(lacking)
        return {
            "scores": scores,
            "runs": found.runs,
            "silences": found.silences,
            "objects": schema("objects").empty_table(),
            "findings": findings,
            "decisions": decision_rows(samples, decided),
            "compared": compared_rows(samples, decided, self.trusted),
        }

    def _whole(self, decided: Decided) -> tuple[Check, ...]:
        if not self.settings.guard:
            return ()
        checks = check_shares(self.class_id, self.index.manifest.class_rows(), self.index.names)
        estimate = decided.estimate
        if estimate is not None and estimate.low > _MOST_WRONG:
            text = f"{estimate.wrong:.0%} of the boxes look wrong (at most {_MOST_WRONG:.0%})"
            checks = (*checks, Check("wrong", estimate.wrong, _MOST_WRONG, True, text))
        return checks


def _said(batch: Index) -> dict[int, str]:
    """Row of a box → the last word of a person on it, where that settles it."""
    place = {box: row for row, box in enumerate(batch.boxes().box_id.tolist())}
    return {place[box]: verdict for box, verdict in said_of(batch).items() if box in place}


def _confirmed(samples: Samples, said: Mapping[int, str]) -> Confirmed | None:
    """The boxes of the batch that people called right: they count as trusted."""
    rows = np.array([row for row, word in sorted(said.items()) if word == "ok"], np.int64)
    if not len(rows):
        return None
    image = samples.image_row[rows]
    return Confirmed(
        vectors=samples.vectors[rows],
        class_id=samples.boxes.class_id[rows],
        group_key=[str(samples.images.group_key[i]) for i in image],
        sha256=[str(samples.images.sha256[i]) for i in image],
    )


def _unlisted(scores: pa.Table) -> dict[int, str]:
    """Row of a box → why, for boxes whose class the name of their image does not list."""
    names = ("issue", "box_id", "score", "reason")
    rows = [row for row in scores.select(names).to_pylist() if row["issue"] == UNEXPECTED]
    return {
        at: row["reason"] for at, row in enumerate(rows) if row["score"] is not None and row["score"] > 0.5
    }


def _none(decided: Decided) -> Decided:
    """The same with nothing accepted: the batch was refused."""
    why = np.array([word or "batch" for word in decided.why], object)
    return replace(decided, accept=np.zeros(len(decided.accept), bool), why=why)


def _refused(against: Path, to: Path, report: GuardReport, settings: VetSettings) -> VetReport:
    """The report on a batch whose labels were refused before its images were read."""
    nan = float("nan")
    return VetReport(
        batch=to,
        against=against,
        verdict=REFUSED,
        checks=tuple(check for check in report.checks if check.failed),
        images=report.images,
        boxes=report.proposed.boxes,
        accepted=0,
        whole=0,
        bare=0,
        judged=0,
        max_wrong=settings.max_wrong,
        wrong=nan,
        low=nan,
        high=nan,
        expected=nan,
        outlook=nan,
        held_for={},
        missing=0,
        classes=(),
        drift=None,
        problems=(),
        trusted=0,
        doubted=0,
        embedded=0,
        reused=0,
        fitted=False,
        fitted_crops=0,
        kept=True,
        seconds={},
        decisions=None,
    )


def _report(
    work: _Work, built: BuildReport, learned: _Learned, to: Path, seconds: Mapping[str, float]
) -> VetReport:
    decided = work.decided
    if decided is None:
        raise RuntimeError("build did not ask for a judgement")
    with Index.open(to) as batch:
        rows, names, whole = listed(batch), batch.names, set(whole_images(batch))
        bare = whole.difference(batch.boxes().image_id.tolist())
    nan, estimate = float("nan"), decided.estimate
    return VetReport(
        batch=to,
        against=work.index.path,
        verdict=REFUSED if work.checks else JUDGED,
        checks=work.checks,
        images=built.images,
        boxes=built.boxes,
        accepted=int(decided.accept.sum()),
        whole=len(whole),
        bare=len(bare),
        judged=decided.judged,
        max_wrong=work.settings.max_wrong,
        wrong=estimate.wrong if estimate else nan,
        low=estimate.low if estimate else nan,
        high=estimate.high if estimate else nan,
        expected=decided.expected_wrong,
        outlook=outlook(learned.model.known, work.settings.max_wrong),
        held_for=dict(Counter(word for word in decided.why if word).most_common()),
        missing=work.missing,
        classes=class_counts(decided, work.class_id, {**work.index.names, **names}),
        drift=decided.drift,
        problems=built.problems,
        trusted=len(work.trusted.boxes),
        doubted=work.trusted.doubted,
        embedded=built.embedded,
        reused=built.reused,
        fitted=learned.new,
        fitted_crops=learned.model.crops if learned.new else 0,
        kept=learned.kept,
        seconds=dict(seconds),
        decisions=rows,
    )


def class_counts(
    decided: Decided, class_id: Sequence[int], names: Mapping[int, str]
) -> tuple[ClassCount, ...]:
    """What became of the boxes of each class, by class id."""
    ids = np.array(class_id, np.int64)
    out = []
    for c in np.unique(ids).tolist():
        mine = ids == c
        wrong = decided.score[mine]
        out.append(
            ClassCount(
                c,
                names.get(c, str(c)),
                int(mine.sum()),
                int(decided.accept[mine].sum()),
                float(np.nansum(wrong)) if np.isfinite(wrong).any() else float("nan"),
            )
        )
    return tuple(out)
