"""Signals over an index, and their results into its catalog; also again, without embedding anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.findings.copies import copies_of, objects_of
from healtheat.findings.flag import FindingSettings, find
from healtheat.findings.inputs import Inputs, samples_of
from healtheat.findings.outcome import Failure, Flags, failures_of
from healtheat.findings.run import run_signals
from healtheat.index import FORMAT_VERSION, Index
from healtheat.index.catalog import CatalogWriter
from healtheat.index.decisions import is_vetted
from healtheat.index.manifest import CATALOG_NAME, Manifest
from healtheat.index.staging import building, commit, file_entry
from healtheat.index.tables import BASE_TABLES
from healtheat.signals import SIGNALS, Signal


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What scoring the index in the folder `index` gave. `failures`: the signals that crashed, and why.

    `predictions` says how far the predictions of a detector fit the images, None where none were given.
    """

    index: Path
    findings: int
    flagged: int
    flags: Flags
    failures: tuple[Failure, ...]
    seconds: float
    predictions: PredictionsUsed | None = None


@dataclass(frozen=True, slots=True)
class PredictionsUsed:
    """Predictions in `folder` were read for `matched` of `images` images."""

    folder: Path
    matched: int
    images: int


def score(
    index: Index,
    signals: Sequence[Signal] = SIGNALS,
    settings: FindingSettings | None = None,
    progress: Progress = silent,
    *,
    inputs: Inputs | None = None,
) -> dict[str, pa.Table]:
    """Tables `scores`, `runs`, `silences`, `objects`, `findings` for `index`.

    Needs memory for all vectors.
    """
    samples = samples_of(index, inputs.encoder if inputs else None)
    done = run_signals(samples, signals, progress, inputs=inputs)
    objects = objects_of(samples)
    findings = find(done.scores, settings, copies_of(samples.images, objects), samples.names)
    return {**done._asdict(), "objects": objects, "findings": findings}


def rescore(
    index_dir: Path,
    *,
    signals: Sequence[Signal] = SIGNALS,
    inputs: Inputs | None = None,
    findings: FindingSettings | None = None,
    predictions: PredictionsUsed | None = None,
    progress: Progress = silent,
) -> ScoreReport:
    """Run the signals again over a built index. Vectors, boxes and verdicts stay as they are.

    `signals` are joined by the agreement with predictions where `inputs` give some. `predictions` goes into
    the report.
    """
    inputs = inputs or Inputs()
    signals = inputs.signals(signals, progress)

    def tables(index: Index) -> dict[str, pa.Table]:
        return score(index, signals, findings, progress, inputs=inputs)

    report = _replace(index_dir, tables, {**_settings(findings), "signals": [s.name for s in signals]})
    return replace(report, predictions=predictions)


def check_unjudged(index: Index) -> None:
    """Raises InputError for the index of a vetted batch: a scoring would replace its decisions."""
    if is_vetted(index):
        raise InputError(
            f"{index.path}: holds a vetted batch, whose findings are the boxes that were held; to judge it "
            "anew, run healtheat vet again"
        )


def update_findings(index_dir: Path, findings: FindingSettings) -> ScoreReport:
    """Apply other thresholds to the scores that are there; no signal runs again."""

    def tables(index: Index) -> dict[str, pa.Table]:
        order = {"runs": "run_id", "silences": "run_id", "objects": "box_id"}
        kept = {name: index.sql(f"SELECT * FROM {name} ORDER BY {by}") for name, by in order.items()}
        kept["scores"] = index.scores()
        copies = copies_of(index.images(), kept["objects"])
        return {**kept, "findings": find(kept["scores"], findings, copies, index.names)}

    return _replace(index_dir, tables, _settings(findings))


def add_tables(catalog: CatalogWriter, tables: dict[str, pa.Table]) -> None:
    """Write tables of `score` into a catalog."""
    for name, rows in tables.items():
        catalog.add_table(name, rows)


def summary(tables: dict[str, pa.Table], seconds: float, index_dir: Path) -> ScoreReport:
    """Figures of tables of `score`, for the index in `index_dir`."""
    flags = Flags.of(tables)
    return ScoreReport(
        index=index_dir,
        findings=len(tables["findings"]),
        flagged=flags.places,
        flags=flags,
        failures=failures_of(tables["runs"]),
        seconds=seconds,
    )


def _settings(findings: FindingSettings | None) -> dict[str, Any]:
    return {"findings": (findings or FindingSettings()).model_dump(mode="json")}


def _replace(
    index_dir: Path, make: Callable[[Index], dict[str, pa.Table]], settings: dict[str, Any]
) -> ScoreReport:
    started = time.perf_counter()
    with building(index_dir) as staging:
        with Index.open(index_dir) as index, CatalogWriter(staging / CATALOG_NAME) as catalog:
            check_unjudged(index)
            old = index.manifest
            tables = make(index)
            for name in BASE_TABLES:
                catalog.add_table(name, index.sql(f"SELECT * FROM {name} ORDER BY 1"))
            if "build" not in tables["runs"]["kind"].to_pylist():
                catalog.add_table("runs", index.sql("SELECT * FROM runs WHERE kind = 'build'"))
            add_tables(catalog, tables)
            catalog.finish()
        report = summary(tables, time.perf_counter() - started, index_dir)
        counts = old.counts.model_copy(update={"findings": report.findings, "flagged": report.flagged})
        commit(index_dir, _changed(old, staging, counts=counts, settings={**old.settings, **settings}))
    return report


def _changed(old: Manifest, staging: Path, **changes: Any) -> Manifest:
    files = {**old.files, CATALOG_NAME: file_entry(staging / CATALOG_NAME)}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    always = {"files": files, "created_at": now, "format_version": FORMAT_VERSION}
    return old.model_copy(update={**changes, **always})
