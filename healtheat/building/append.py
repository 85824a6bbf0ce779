"""add: a batch joins a built index. Only its crops are embedded; nothing else is read or embedded again.

The tables of the index are copied with their ids and followed by the rows of the batch; a class shard that
gets boxes is its old vectors and the new ones. Then the signals run over everything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from healtheat.building.from_index import IndexSource
from healtheat.building.images import CropPlan
from healtheat.building.intake import Batcher, CropCounter, Intake
from healtheat.building.joining import Held, Joining, joining
from healtheat.building.revise import Scoring, blocks_of, copy_build_run, in_blocks, old_shard, put_in_place
from healtheat.core.boxes import Problem
from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.crops import CropPolicy
from healtheat.embedding import Encoder
from healtheat.findings.choose import as_before
from healtheat.findings.outcome import Failure, Flags
from healtheat.findings.score import check_unjudged
from healtheat.index import Index
from healtheat.index.again import Again, group_rule_of
from healtheat.index.batches import Batch, batch_name, batches_of
from healtheat.index.cache import CACHE_FOLDER, VectorPool
from healtheat.index.catalog import CatalogWriter
from healtheat.index.encoder import EncoderWhenNeeded
from healtheat.index.manifest import BACKGROUND, CATALOG_NAME, MANIFEST_NAME, Manifest, shard_name
from healtheat.index.reuse import OldIndex, add_old_vectors
from healtheat.index.shards import write_shard
from healtheat.index.staging import building
from healtheat.index.tables import BASE_TABLES
from healtheat.signals import SIGNALS, Signal
from healtheat.sources.base import Source


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `add` did, or with `written` false would do.

    `images` and `boxes` were added; `known` images the index has with the same boxes, and `refused` ones it
    has with other labels (see `problems`). `left_out` boxes were not accepted; `held` ones
    neither, but they come along, as all were asked for. `new_classes` are those the
    index had no name and no box of. `embedded` crops and tiles went through the encoder, `reused` did not.
    `findings` and `flagged` are of the whole index now, `flagged_here` of the batch.
    """

    index: Path
    name: str
    written: bool
    images: int
    boxes: int
    known: int
    refused: int
    left_out: int
    new_classes: Mapping[int, str]
    problems: tuple[Problem, ...]
    embedded: int
    reused: int
    held: int = 0
    findings: int = 0
    flagged: int = 0
    flagged_here: int = 0
    flags: Flags | None = None
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0


def add(
    source: Source,
    index_dir: Path,
    *,
    name: str | None = None,
    encoder: Encoder | None = None,
    again: Again | None = None,
    signals: Sequence[Signal] = SIGNALS,
    dry_run: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> AddReport:
    """Take `source` into the index in `index_dir` as the batch `name`, by default named after its data.

    `encoder` is the index's own unless given; `again` is what the user says again of it. Vectors of an
    IndexSource are taken over where the same encoder made them. With `dry_run` nothing is embedded, and
    nothing stays written. Raises InputError where
    class names disagree, the name is taken, or there is nothing to add; BadIndex, IndexBusy, EncoderError.
    """
    started = time.perf_counter()
    called = batch_name(name, source.data)
    if not (index_dir / MANIFEST_NAME).is_file():
        raise BadIndex(f"{index_dir}: holds no index; build it first")
    with building(index_dir) as staging:
        with Index.open(index_dir) as index, ExitStack() as stack:
            check_unjudged(index)
            there = _batch_there(index, called, source)
            inputs, findings = as_before(index, again, encoder)
            work = _Work.on(index, source, called, encoder, again or Again(), dry_run, stack)
            threads = threads or max(1, (os.cpu_count() or 2) // 2)
            old, new = index.manifest, _take_in(work, staging, threads, progress)
            _check_new(work, there)
            report = work.report()
        if dry_run or not report.images:
            return replace(report, seconds=time.perf_counter() - started)
        scoring = Scoring(inputs, findings, signals, progress)
        scored, tables = put_in_place(index_dir, staging, old, new, scoring)
    return replace(
        report,
        written=True,
        findings=scored.findings,
        flagged=scored.flagged,
        flagged_here=_flagged_from(tables["findings"], old.counts.images),
        flags=scored.flags,
        failures=scored.failures,
        seconds=time.perf_counter() - started,
    )


@dataclass(slots=True)
class _Work:
    """One batch on its way in."""

    index: Index
    source: Source
    name: str
    into: Joining
    held: Held
    plan: CropPlan
    pool: VectorPool
    batcher: Batcher
    dry_run: bool
    group_rule: str
    intake: Intake = field(init=False)

    @classmethod
    def on(
        cls,
        index: Index,
        source: Source,
        name: str,
        encoder: Encoder | None,
        again: Again,
        dry_run: bool,
        stack: ExitStack,
    ) -> _Work:
        manifest = index.manifest
        group_rule = group_rule_of(index, again.group_by)
        encoder = encoder or EncoderWhenNeeded(index, again.encoder)
        per_image = manifest.settings.get("background_per_image")
        plan = CropPlan(
            CropPolicy.model_validate(manifest.crop_policy),
            encoder.spec.resolution_px,
            manifest.fingerprint,
            per_image if isinstance(per_image, int) else 0,
        )
        pool = VectorPool(index.path / CACHE_FOLDER, fingerprint=manifest.fingerprint, dim=manifest.dim)
        stack.callback(pool.close)
        given = [source.index] if isinstance(source, IndexSource) else []
        for known in (index, *given):
            old = OldIndex.at(known.path, known.manifest)
            stack.callback(old.close)
            add_old_vectors(pool, old, manifest.fingerprint)
        expected = source.expected() if isinstance(source, IndexSource) else None
        into, held = joining(index, len(batches_of(index)) + 1, source.root, expected)
        batcher = (CropCounter if dry_run else Batcher)(encoder, pool)
        return cls(index, source, name, into, held, plan, pool, batcher, dry_run, group_rule)

    def report(self) -> AddReport:
        """What came in; nothing is written or scored so far."""
        intake = self.intake
        done = intake.boxes + intake.background
        return AddReport(
            index=self.index.path,
            name=self.name,
            written=False,
            images=intake.images,
            boxes=intake.boxes,
            known=self.held.known,
            refused=self.held.refused,
            left_out=_left_out(self.source),
            new_classes=self.new_classes(),
            problems=tuple(intake.problems),
            embedded=self.batcher.embedded,
            reused=done - self.batcher.embedded,
            held=self.source.held if isinstance(self.source, IndexSource) else 0,
        )

    def new_classes(self) -> dict[int, str]:
        ids = set(self.intake.class_ids) - set(self.index.manifest.class_rows())
        unknown = {class_id: "" for class_id in ids if class_id not in self.index.names}
        return dict(sorted({**unknown, **self.intake.new_names}.items()))


def _batch_there(index: Index, name: str, source: Source) -> Batch | None:
    """The batch of this name, if it is of the same data: the same command once more. InputError if not."""
    for batch in batches_of(index):
        if batch.name == name:
            if batch.data == source.data.absolute().as_posix():
                return batch
            raise InputError(
                f"{index.path} has a batch {name!r} already, from {batch.data}; give another ",
                Argument("name"),
            )
    return None


def _take_in(work: _Work, staging: Path, threads: int, progress: Progress) -> Manifest:
    """The tables and the shards that get boxes into `staging`, and the manifest to be."""
    index, pool = work.index, work.pool
    with CatalogWriter(staging / CATALOG_NAME) as catalog:
        for table in BASE_TABLES:
            catalog.add_table(table, index.sql(f"SELECT * FROM {table} ORDER BY 1"))
        copy_build_run(index, catalog)
        work.intake = Intake(
            work.source, catalog, pool, work.batcher, work.plan, work.group_rule, False, progress, work.into
        )
        try:
            work.intake.run(threads)
        finally:
            if not work.dry_run:
                pool.flush()  # whatever ends this, the same command need not embed it again
        intake, batch_id = work.intake, work.into.batch_id
        if intake.images:
            catalog.add(
                "batches",
                batch_id=batch_id,
                name=work.name,
                added_at=datetime.now(UTC).isoformat(timespec="seconds"),
                kind=work.source.kind,
                edits=work.source.edits,
                root=work.source.root.absolute().as_posix(),
                data=work.source.data.absolute().as_posix(),
                images=intake.images,
                boxes=intake.boxes,
                left_out=_left_out(work.source),
            )
        shards = {} if work.dry_run else _write_shards(work, catalog, staging)
        catalog.finish()
    old = index.manifest
    return old.model_copy(
        update={
            "counts": intake.counts(),
            "shards": {**old.shards, **{str(class_id): rows for class_id, rows in shards.items()}},
            "batch_files": {**old.batch_files, str(batch_id): intake.label_files},
        }
    )


def _write_shards(work: _Work, catalog: CatalogWriter, staging: Path) -> dict[int, int]:
    """The shards that the batch adds vectors to; class id → number of boxes now."""
    counts = work.index.manifest.counts
    shards = {}
    query = "SELECT DISTINCT class_id FROM boxes WHERE box_id >= ? ORDER BY class_id"
    for (class_id,) in catalog.sql(query, [counts.boxes]):
        found = catalog.sql(
            "SELECT box_id, crop_key FROM boxes WHERE class_id = ? AND box_id >= ? ORDER BY box_id",
            [class_id, counts.boxes],
        )
        shards[class_id] = _extend(work, staging, class_id, found)
    query = "SELECT tile_id, crop_key FROM background WHERE tile_id >= ? ORDER BY tile_id"
    if tiles := catalog.sql(query, [counts.background]):
        _extend(work, staging, BACKGROUND, tiles)
    return shards


def _extend(work: _Work, staging: Path, shard: int | str, found: Sequence[tuple[int, str]]) -> int:
    """Write one shard: what it holds, then the vectors of `found` (id, crop key). Rows of it now."""
    manifest = work.index.manifest
    old = old_shard(work.index.path, manifest, shard)
    ids = np.array([number for number, _ in found], np.int64)
    ids = ids if old is None else np.concatenate([old.ids, ids])
    keys = [bytes.fromhex(key) for _, key in found]
    new = (work.pool.gather(part) for part in in_blocks(keys))
    blocks = (block for part in (blocks_of(old), new) for block in part)
    write_shard(staging / shard_name(shard), ids, blocks, manifest.dim)
    return len(ids)


def _check_new(work: _Work, there: Batch | None) -> None:
    """Raises InputError where nothing was found, or more than a batch of this name that is there has."""
    intake, data = work.intake, work.source.data
    if intake.images and there is not None:
        more = counted(intake.images, "image")
        raise InputError(
            f"{work.index.path} has the batch {work.name!r} already, and {data} holds {more} more now; give "
            "them another ",
            Argument("name"),
        )
    if not intake.boxes and (intake.images or not (work.held.known or work.held.refused)):
        first = f"; first problem: {intake.problems[0]}" if intake.problems else ""
        raise InputError(f"{data}: no labelled box to add was found; {intake.advice}{first}")


def _flagged_from(findings: pa.Table, first_image: int) -> int:
    """Flagged places on images from `first_image` on."""
    rows = findings.filter(pc.and_(findings["flagged"], pc.greater_equal(findings["image_id"], first_image)))
    return len(pc.unique(rows["place_id"]))


def _left_out(source: Source) -> int:
    return source.left_out if isinstance(source, IndexSource) else 0
