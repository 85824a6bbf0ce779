"""A built index with other content in its place, scored again: what `add` and `remove` share.

Shards that stay as they are are linked into the staging folder for the scoring, and not moved.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.progress import Progress, silent
from healtheat.findings.flag import FindingSettings
from healtheat.findings.inputs import Inputs
from healtheat.findings.score import ScoreReport, add_tables, score, summary
from healtheat.index import FORMAT_VERSION, Index
from healtheat.index.cache import CACHE_FOLDER
from healtheat.index.catalog import CatalogWriter
from healtheat.index.manifest import BACKGROUND, CATALOG_NAME, Manifest, shard_name
from healtheat.index.shards import Shard, open_shard
from healtheat.index.staging import commit, file_entry
from healtheat.signals import SIGNALS, Signal

_ROWS = 4096  # of a shard at a time


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a changed index is scored: as at its last scoring, unless said otherwise."""

    inputs: Inputs
    findings: FindingSettings
    signals: Sequence[Signal] = SIGNALS
    progress: Progress = silent


def put_in_place(
    index_dir: Path, staging: Path, old: Manifest, new: Manifest, scoring: Scoring
) -> tuple[ScoreReport, dict[str, pa.Table]]:
    """Score what is in `staging` and make it the index. `new` is its manifest, `files` and time aside."""
    started = time.perf_counter()
    names = [shard_name(BACKGROUND), *map(shard_name, new.class_rows())]
    kept = [name for name in names if not (staging / name).exists()]
    for name in kept:
        _link(index_dir / name, staging / name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    signals = scoring.inputs.signals(scoring.signals, scoring.progress)
    settings = {**new.settings, "signals": [signal.name for signal in signals]}
    new = new.model_copy(
        update={"format_version": FORMAT_VERSION, "created_at": now, "settings": settings, "files": {}}
    )
    with Index(staging, new) as index:
        tables = score(index, signals, scoring.findings, scoring.progress, inputs=scoring.inputs)
    with CatalogWriter(staging / CATALOG_NAME) as catalog:
        add_tables(catalog, tables)
        catalog.finish()
    report = summary(tables, time.perf_counter() - started, index_dir)
    counts = new.counts.model_copy(update={"findings": report.findings, "flagged": report.flagged})
    files = {name: old.files[name] for name in kept}
    for name in kept:
        (staging / name).unlink()
    files |= {name: file_entry(staging / name) for name in [CATALOG_NAME, *names] if name not in files}
    commit(index_dir, new.model_copy(update={"counts": counts, "files": files}))
    shutil.rmtree(index_dir / CACHE_FOLDER, ignore_errors=True)
    return report, tables


def copy_build_run(index: Index, catalog: CatalogWriter) -> None:
    """The row of `runs` that says how `build` went; those of signals are written by the next scoring."""
    catalog.add_table("runs", index.sql("SELECT * FROM runs WHERE kind = 'build' ORDER BY run_id"))


def old_shard(index_dir: Path, manifest: Manifest, class_id: int | str) -> Shard | None:
    """The shard of a class (or the background) of the built index, None where it has none."""
    rows = manifest.counts.background if class_id == BACKGROUND else manifest.class_rows().get(int(class_id))
    if rows is None:
        return None
    return open_shard(index_dir / shard_name(class_id), rows=rows, dim=manifest.dim)


def blocks_of(shard: Shard | None, places: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.float32]]:
    """The vectors of a shard, or those at `places`, some thousand at a time."""
    if shard is None:
        return
    places = np.arange(len(shard)) if places is None else places
    for start in range(0, len(places), _ROWS):
        yield shard.at(places[start : start + _ROWS])


def in_blocks(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """`keys`, some thousand at a time."""
    return (keys[start : start + _ROWS] for start in range(0, len(keys), _ROWS))


def _link(file: Path, to: Path) -> None:
    with contextlib.suppress(OSError):  # a file system without links
        os.link(file, to)
        return
    shutil.copyfile(file, to)
