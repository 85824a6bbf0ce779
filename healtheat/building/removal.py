"""remove: a batch leaves the index. What is left has the ids that it would have without it.

Verdicts stay in the log: they hold on to what they are about by content, and speak again if it comes back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.building.revise import Scoring, blocks_of, copy_build_run, old_shard, put_in_place
from healtheat.core.progress import Progress, silent
from healtheat.findings.choose import as_before
from healtheat.findings.outcome import Failure, Flags
from healtheat.index import Index
from healtheat.index.again import Again
from healtheat.index.batches import Batch, batch_named
from healtheat.index.catalog import CatalogWriter
from healtheat.index.manifest import BACKGROUND, CATALOG_NAME, Manifest, shard_name
from healtheat.index.shards import write_shard
from healtheat.index.staging import building
from healtheat.index.tables import BASE_TABLES, TABLES
from healtheat.signals import SIGNALS, Signal

# Old id → new id of what stays, for the batch of the parameter.
_MAPS = """WITH i AS (SELECT image_id AS id, row_number() OVER (ORDER BY image_id) - 1 AS new_id
    FROM images WHERE batch_id <> $1),
b AS (SELECT box_id AS id, row_number() OVER (ORDER BY box_id) - 1 AS new_id
    FROM boxes WHERE image_id IN (SELECT id FROM i)),
t AS (SELECT tile_id AS id, row_number() OVER (ORDER BY tile_id) - 1 AS new_id
    FROM background WHERE image_id IN (SELECT id FROM i)),
p AS (SELECT problem_id AS id, row_number() OVER (ORDER BY problem_id) - 1 AS new_id
    FROM problems WHERE batch_id <> $1),
c AS (SELECT c.class_id AS id, CASE WHEN c.batch_id <> $1 THEN c.batch_id ELSE h.batch_id END AS batch_id
    FROM classes c LEFT JOIN (SELECT class_id, min(batch_id) AS batch_id
        FROM boxes JOIN images USING (image_id) WHERE batch_id <> $1 GROUP BY class_id) h USING (class_id))
"""
_MOVED = "CASE WHEN {table}.batch_id > $1 THEN {table}.batch_id - 1 ELSE {table}.batch_id END"


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """What `remove` took out of the index in the folder `index`: the batch, and classes that it alone had."""

    index: Path
    batch: Batch
    classes: tuple[int, ...]
    findings: int
    flagged: int
    flags: Flags
    failures: tuple[Failure, ...]
    seconds: float


def remove(
    name: str,
    index_dir: Path,
    *,
    again: Again | None = None,
    signals: Sequence[Signal] = SIGNALS,
    progress: Progress = silent,
) -> RemoveReport:
    """Take the batch `name` out of the index in `index_dir`; its images and label files are not touched.

    Nothing is embedded or read again, but for what the search for missing boxes looks at. Raises InputError
    for no such batch; EncoderError, BadIndex, IndexBusy.
    """
    started = time.perf_counter()
    with building(index_dir) as staging:
        with Index.open(index_dir) as index:
            batch, old = batch_named(index, name), index.manifest
            inputs, findings = as_before(index, again)
            tables = {table: _kept(index, table, batch.batch_id) for table in BASE_TABLES}
            with CatalogWriter(staging / CATALOG_NAME) as catalog:
                for table, rows in tables.items():
                    catalog.add_table(table, rows)
                copy_build_run(index, catalog)
                catalog.finish()
            new = _manifest(old, tables, batch, _shards(index, tables["boxes"], batch.batch_id, staging))
            gone = set(index.names) - set(tables["classes"]["class_id"].to_pylist())
            gone |= set(old.class_rows()) - set(new.class_rows()) - set(index.names)
        scored, _ = put_in_place(index_dir, staging, old, new, Scoring(inputs, findings, signals, progress))
    return RemoveReport(
        index=index_dir,
        batch=batch,
        classes=tuple(sorted(gone)),
        findings=scored.findings,
        flagged=scored.flagged,
        flags=scored.flags,
        failures=scored.failures,
        seconds=time.perf_counter() - started,
    )


def _kept(index: Index, table: str, batch_id: int) -> pa.Table:
    """The rows of `table` that stay, under their new ids, in their order."""
    keys = {"images": "i", "boxes": "b", "background": "t", "problems": "p"}
    columns = dict.fromkeys(TABLES[table])
    values = {name: f"{table}.{name}" for name in columns}
    joins = f"FROM {table}"
    own = next(iter(columns))
    if table in keys:
        joins += f" JOIN {keys[table]} ON {keys[table]}.id = {table}.{own}"
        values[own] = f"{keys[table]}.new_id"
    if table in ("boxes", "background", "problems"):
        joins += f" LEFT JOIN i ON i.id = {table}.image_id"
        values["image_id"] = "i.new_id"
    if "batch_id" in columns:
        values["batch_id"] = _MOVED.format(table=table)
    if table == "classes":
        joins += " JOIN c ON c.id = classes.class_id AND c.batch_id IS NOT NULL"
        values["batch_id"] = _MOVED.format(table="c")
    where = " WHERE batches.batch_id <> $1" if table == "batches" else ""
    chosen = ", ".join(f"{value} AS {name}" for name, value in values.items())
    used = "" if table == "words" else _MAPS
    return index.sql(
        f"{used}SELECT {chosen} {joins}{where} ORDER BY {table}.{own}", [batch_id] if used else []
    )


def _shards(index: Index, boxes: pa.Table, batch_id: int, staging: Path) -> dict[int, int]:
    """Write the shards whose rows or ids change; class id → number of boxes."""
    old = index.manifest
    in_batch = index.sql(
        "SELECT box_id FROM boxes JOIN images USING (image_id) WHERE batch_id = ?", [batch_id]
    )
    gone = np.sort(in_batch["box_id"].to_numpy())
    rows = {}
    for class_id in old.class_rows():
        kept = _without(index.path, old, class_id, gone, staging)
        if kept:
            rows[class_id] = kept
    tiles = index.sql(
        "SELECT tile_id FROM background JOIN images USING (image_id) WHERE batch_id = ?", [batch_id]
    )
    _without(index.path, old, BACKGROUND, np.sort(tiles["tile_id"].to_numpy()), staging)
    assert sum(rows.values()) == len(boxes)
    return rows


def _without(path: Path, old: Manifest, shard: int | str, gone: NDArray[np.int64], staging: Path) -> int:
    """Write the shard without the ids `gone` (sorted), those behind them moved up. Rows that stay."""
    found = old_shard(path, old, shard)
    assert found is not None
    stays = np.flatnonzero(~np.isin(found.ids, gone))
    ids = found.ids[stays] - np.searchsorted(gone, found.ids[stays])
    if np.array_equal(ids, found.ids) or not (len(ids) or shard == BACKGROUND):
        return len(ids)  # as it is, or no box of the class is left
    write_shard(staging / shard_name(shard), ids, blocks_of(found, stays), old.dim)
    return len(ids)


def _manifest(old: Manifest, tables: dict[str, pa.Table], batch: Batch, shards: dict[int, int]) -> Manifest:
    files = {}
    for number, entries in old.batch_files.items():
        if int(number) != batch.batch_id:
            files[str(int(number) - (int(number) > batch.batch_id))] = entries
    counted = {name: len(tables[name]) for name in ("images", "boxes", "classes", "problems", "background")}
    return old.model_copy(
        update={
            "counts": old.counts.model_copy(update=counted),
            "shards": {str(class_id): rows for class_id, rows in shards.items()},
            "batch_files": files,
        }
    )
