"""build: source → crops → vectors → index → scores → findings, in one go that survives a kill.

Images are read and decoded by a few threads beside the encoder, in bounded numbers, and taken in the
order of the source, so the index is a function of data and settings alone. Memory is bounded by the batch
until scoring, which needs all vectors at once (4 bytes × boxes × dimension) beside what the signals take.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import JsonValue

from healtheat.building.auto import Auto, Chosen, Cutting, Workplace, choose
from healtheat.building.images import CropPlan
from healtheat.building.intake import Batcher, Intake
from healtheat.core.boxes import Problem
from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.core.version import __version__
from healtheat.crops import CropPolicy
from healtheat.crops.cut import Cut
from healtheat.embedding import QUESTIONS, Encoder
from healtheat.findings.flag import FindingSettings
from healtheat.findings.inputs import Inputs
from healtheat.findings.outcome import Failure, Flags
from healtheat.findings.score import ScoreReport, add_tables, score, summary
from healtheat.index import FORMAT_VERSION, Index
from healtheat.index.cache import CACHE_FOLDER, VectorPool
from healtheat.index.catalog import CatalogWriter
from healtheat.index.choice import EncoderChoice
from healtheat.index.manifest import BACKGROUND, CATALOG_NAME, Manifest, SourceEntry, shard_name
from healtheat.index.reuse import check_no_batches, old_index
from healtheat.index.shards import write_shard
from healtheat.index.staging import building, commit, file_entry
from healtheat.index.verdicts.log import VerdictLog
from healtheat.signals import SIGNALS, Signal
from healtheat.sources.base import Source

Judge = Callable[[Index], dict[str, pa.Table]]
_LIBRARIES = ("numpy", "pillow", "duckdb", "faiss-cpu", "onnxruntime", "scikit-learn", "pyarrow")
_GATHER_ROWS = 4096


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. `embedded` counts crops and tiles that went through the encoder, `reused` those that
    did not; `failures` are signals that crashed; `note` says what became of an index that was there
    and could not be used as it was. `encoder` is the name of the one used, `choice` how the data chose it.
    `ids_from` says where class ids come from where a format knows classes by name, else "".
    `unlabelled` images have no label file. `task` is what a YOLO data set is labelled for ("" for other
    formats), `untrained` counts its images that YOLO's trainer ignores or misreads. `cut` is how crops were
    cut, `outlined` the number of boxes with corners.
    """

    index: Path
    images: int
    boxes: int
    classes: int
    background: int
    problems: tuple[Problem, ...]
    embedded: int
    reused: int
    findings: int
    flagged: int
    flags: Flags
    failures: tuple[Failure, ...]
    seconds: dict[str, float]
    note: str = ""
    encoder: str = ""
    unlabelled: int = 0
    untrained: int = 0
    task: str = ""
    ids_from: str = ""
    choice: EncoderChoice | None = None
    cut: Cut = "box"
    outlined: int = 0


def build(
    source: Source,
    index_dir: Path,
    *,
    encoder: Encoder | Auto,
    crop_policy: CropPolicy | None = None,
    padding: float | None = None,
    cut: Cut | None = None,
    group_rule: str = "auto",
    signals: Sequence[Signal] = SIGNALS,
    inputs: Inputs | None = None,
    findings: FindingSettings | None = None,
    background_per_image: int = 2,
    strict: bool = False,
    drop_batches: bool = False,
    threads: int | None = None,
    judge: Judge | None = None,
    elsewhere: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> BuildReport:
    """Build the index of `source` in `index_dir`, or bring the one there up to date.

    Only crops that the index (or an unfinished build) does not know are embedded. `Auto` lets the data choose
    the encoder, once for an index. `crop_policy` is the encoder's own unless given, `padding` and `cut`
    replace those in it; `group_rule` says which images share a source (see groups.py); `threads` read
    and decode images (default: half the cores). `signals` are joined by the agreement with predictions where
    `inputs` (see findings/inputs.py) give some. With `strict`, any problem is fatal and nothing is committed.
    An index of format version 1 is built over; its verdicts are kept. One that took in batches is built over
    only with `drop_batches`, since a build reads its own source alone. `judge` makes the tables of scores and
    findings in place of the signals; an image without a box that is `elsewhere` (SHA-256 → path there) is a
    problem. Raises InputError, IndexBusy, BadIndex (an index of an unknown version is there) or EncoderError.
    """
    clock = _Clock()
    inputs = inputs or Inputs()
    signals = inputs.signals(signals, progress)
    settings = _settings(group_rule, background_per_image, findings, signals)
    threads = threads or max(1, (os.cpu_count() or 2) // 2)
    cutting = Cutting(crop_policy, padding, cut)
    with building(index_dir) as staging:
        if not drop_batches:
            check_no_batches(index_dir)
        old, note = old_index(index_dir)
        cache = index_dir / CACHE_FOLDER
        place = Workplace(
            cache, old, cutting, group_rule, strict, threads, progress, elsewhere=elsewhere or {}
        )
        try:
            chosen = choose(encoder, source, place)
            clock.lap("choose")
            taken = _take_in(chosen, place, staging, background_per_image, clock)
        finally:
            if old is not None:
                old.close()
        if taken.intake.task:
            settings["task"] = taken.intake.task
        manifest = _manifest(chosen, taken, settings, clock.started_at)
        with Index(staging, manifest, VerdictLog(index_dir)) as index:
            if judge is None:
                tables = score(
                    index, signals, findings, progress, inputs=replace(inputs, encoder=chosen.encoder)
                )
            else:
                tables = judge(index)
        clock.lap("score")
        _write_scores(staging, tables, clock, settings)
        scored = summary(tables, clock.seconds["score"], index_dir)
        _commit(index_dir, staging, manifest, scored)
        clock.lap("commit")
    return _report(index_dir, chosen, taken, manifest, scored, clock, note)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What was read and embedded. `shards`: class id → number of boxes."""

    plan: CropPlan
    batcher: Batcher
    intake: Intake
    shards: dict[int, int]


def _take_in(
    chosen: Chosen, place: Workplace, staging: Path, background_per_image: int, clock: _Clock
) -> _Taken:
    """Everything of the source into the catalog and the shards of `staging`. Raises InputError."""
    encoder, source = chosen.encoder, chosen.source
    resolution_px = encoder.spec.resolution_px
    plan = CropPlan(place.cutting.policy(encoder), resolution_px, place.mark(encoder), background_per_image)
    pool = place.pool(encoder)
    batcher = Batcher(encoder, pool)
    try:
        with CatalogWriter(staging / CATALOG_NAME) as catalog:
            intake = Intake(
                source,
                catalog,
                pool,
                batcher,
                plan,
                place.group_rule,
                place.strict,
                place.progress,
                elsewhere=place.elsewhere,
            )
            try:
                intake.run(place.threads)
            finally:
                pool.flush()  # whatever ends this build, the next one need not embed it again
            if not intake.boxes:
                raise _nothing(source, intake)
            clock.lap("embed")
            _write_words(catalog, encoder)
            shards = _write_shards(catalog, pool, staging, encoder.spec.dim)
            catalog.finish()
    finally:
        pool.close()
    clock.lap("write")
    return _Taken(plan, batcher, intake, shards)


def _report(
    index_dir: Path,
    chosen: Chosen,
    taken: _Taken,
    manifest: Manifest,
    scored: ScoreReport,
    clock: _Clock,
    note: str,
) -> BuildReport:
    intake, embedded = taken.intake, chosen.embedded + taken.batcher.embedded
    return BuildReport(
        index=index_dir,
        images=intake.images,
        boxes=intake.boxes,
        classes=manifest.counts.classes,
        background=intake.background,
        problems=tuple(intake.problems),
        embedded=embedded,
        reused=intake.boxes + intake.background - embedded,
        findings=scored.findings,
        flagged=scored.flagged,
        flags=scored.flags,
        failures=scored.failures,
        seconds={
            **clock.seconds,
            "encoder": chosen.seconds + taken.batcher.seconds,
            "total": clock.total(),
        },
        note=note,
        encoder=chosen.encoder.spec.name,
        choice=chosen.choice,
        cut=taken.plan.policy.cut,
        outlined=intake.outlined,
        unlabelled=intake.unlabelled,
        untrained=intake.untrained,
        task=intake.task,
        ids_from=str(getattr(chosen.source, "ids_from", "")),  # of formats that know classes by name alone
    )


def _settings(
    group_rule: str,
    background_per_image: int,
    findings: FindingSettings | None,
    signals: Sequence[Signal],
) -> dict[str, JsonValue]:
    return {
        "group_rule": group_rule,
        "background_per_image": background_per_image,
        "findings": (findings or FindingSettings()).model_dump(mode="json"),
        "signals": [signal.name for signal in signals],
    }


def _manifest(chosen: Chosen, taken: _Taken, settings: dict[str, JsonValue], started_at: str) -> Manifest:
    """What the index says of itself, before it is scored and its files are hashed."""
    source, spec = chosen.source, chosen.encoder.spec
    return Manifest(
        format_version=FORMAT_VERSION,
        created_at=started_at,
        healtheat_version=__version__,
        libraries=_libraries(),
        source=SourceEntry(
            kind=source.kind, edits=source.edits, root=_posix(source.root), data=_posix(source.data)
        ),
        encoder=spec.model_dump(mode="json"),
        crop_policy=taken.plan.policy.model_dump(mode="json"),
        fingerprint=taken.plan.fingerprint,
        encoder_choice=chosen.choice,
        settings=settings,
        dim=spec.dim,
        counts=taken.intake.counts(),
        shards={str(class_id): rows for class_id, rows in taken.shards.items()},
        label_files=taken.intake.label_files,
        files={},
    )


def _write_scores(
    staging: Path, tables: dict[str, pa.Table], clock: _Clock, settings: dict[str, JsonValue]
) -> None:
    """The build's own row of `runs`, and what scoring found."""
    with CatalogWriter(staging / CATALOG_NAME) as catalog:
        catalog.add(
            "runs",
            run_id=0,
            kind="build",
            signal=None,
            started_at=clock.started_at,
            seconds=clock.total(),
            status="ok",
            fault=None,
            error=None,
            settings=json.dumps(settings, ensure_ascii=False, sort_keys=True),
        )
        add_tables(catalog, tables)
        catalog.finish()


def _commit(index_dir: Path, staging: Path, manifest: Manifest, scored: ScoreReport) -> None:
    """Put the new index in the place of the old one; the vectors kept for a killed build can go."""
    names = [CATALOG_NAME, shard_name(BACKGROUND), *map(shard_name, manifest.class_rows())]
    counts = manifest.counts.model_copy(update={"findings": scored.findings, "flagged": scored.flagged})
    files = {name: file_entry(staging / name) for name in names}
    commit(index_dir, manifest.model_copy(update={"counts": counts, "files": files}))
    shutil.rmtree(index_dir / CACHE_FOLDER, ignore_errors=True)


def _write_shards(catalog: CatalogWriter, pool: VectorPool, staging: Path, dim: int) -> dict[int, int]:
    """One file per class and one for the background; class id → number of boxes."""
    rows: dict[int, int] = {}
    for (class_id,) in catalog.sql("SELECT DISTINCT class_id FROM boxes ORDER BY class_id"):
        found = catalog.sql(
            "SELECT box_id, crop_key FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id]
        )
        _write_one(staging / shard_name(class_id), found, pool, dim)
        rows[class_id] = len(found)
    found = catalog.sql("SELECT tile_id, crop_key FROM background ORDER BY tile_id")
    _write_one(staging / shard_name(BACKGROUND), found, pool, dim)
    return rows


def _write_words(catalog: CatalogWriter, encoder: Encoder) -> None:
    """What the encoder knows in words, so that signals need not load it."""
    for question in QUESTIONS:
        for place, (answer, weights) in enumerate(encoder.text_weights(question).items()):
            for number, weight in enumerate(weights.tolist()):
                catalog.add(
                    "words", question=question, answer=answer, place=place, number=number, weight=weight
                )


def _write_one(path: Path, found: list[tuple[int, str]], pool: VectorPool, dim: int) -> None:
    def blocks() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(found), _GATHER_ROWS):
            part = found[start : start + _GATHER_ROWS]
            yield pool.gather([bytes.fromhex(key) for _, key in part])

    ids = np.array([box_id for box_id, _ in found], np.int64)
    write_shard(path, ids, blocks(), dim)


def _nothing(source: Source, intake: Intake) -> InputError:
    """What was read as which format, since there is no box in it."""
    problems = intake.problems
    told = next((problem for problem in problems if not (problem.is_leak or problem.is_note)), None)
    first = f"; first of {counted(len(problems), 'problem')}: {told or problems[0]}" if problems else ""
    found = [f"{intake.unlabelled} without a label file"] if intake.unlabelled else []
    if n := intake.without_box:
        found.insert(0, f"{n} with a label file that gives no box, such as {intake.first_without_box}")
    what = f"{counted(intake.images, 'image')} ({', '.join(found)})" if found else "no image"
    return InputError(
        f"{source.data}: no labelled box found; read as {source.kind}: {what}; {intake.advice}{first}"
    )


def _posix(path: Path) -> str:
    return path.absolute().as_posix()


def _libraries() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.seconds: dict[str, float] = {}
        self._started = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now

    def total(self) -> float:
        return time.perf_counter() - self._started
