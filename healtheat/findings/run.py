"""Run the signals: one tidy table of scores, one row a signal of how it went. A crash stops only its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pyarrow as pa

from healtheat.core.progress import Progress, silent
from healtheat.signals.base import Samples, Scores, Signal

SCORES_SCHEMA = pa.schema(
    [
        ("run_id", pa.int64()),
        ("box_id", pa.int64()),
        ("image_id", pa.int64()),
        ("signal", pa.string()),
        ("issue", pa.string()),
        ("raw", pa.float64()),
        ("score", pa.float64()),
        ("abstain", pa.string()),
        ("reason", pa.string()),
        ("suggestion", pa.int64()),
        ("evidence", pa.string()),
    ]
)
RUNS_SCHEMA = pa.schema(
    [
        ("run_id", pa.int64()),
        ("kind", pa.string()),
        ("signal", pa.string()),
        ("started_at", pa.string()),
        ("seconds", pa.float64()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("settings", pa.string()),
    ]
)


def run_signals(
    samples: Samples, signals: Sequence[Signal], progress: Progress = silent, *, first_run_id: int = 1
) -> tuple[pa.Table, pa.Table]:
    """Tables in SCORES_SCHEMA and RUNS_SCHEMA; runs are numbered from `first_run_id`, one a signal.

    `status` is "ok" or "crashed"; `error` then holds the exception in one line. Score rows of a signal that
    crashed are absent.
    """
    parts: list[pa.Table] = []
    runs: list[dict[str, object]] = []
    for number, signal in enumerate(signals):
        progress(f"signal {signal.name}", number, len(signals))
        run = first_run_id + number
        started, at = perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
        error: str | None = None
        try:
            parts.extend(_table(run, scores) for scores in signal.measure(samples))
        except Exception as crash:  # recorded in `runs`; the caller makes the exit code non-zero
            error = f"{type(crash).__name__}: {crash}".splitlines()[0]
        runs.append(
            {
                "run_id": run,
                "kind": "signal",
                "signal": signal.name,
                "started_at": at,
                "seconds": perf_counter() - started,
                "status": "ok" if error is None else "crashed",
                "error": error,
                "settings": json.dumps(signal.settings(), ensure_ascii=False, default=str),
            }
        )
    progress("signals", len(signals), len(signals))
    scores = pa.concat_tables(parts) if parts else SCORES_SCHEMA.empty_table()
    return scores, pa.Table.from_pylist(runs, schema=RUNS_SCHEMA)


def _table(run_id: int, scores: Scores) -> pa.Table:
    m = len(scores.box_id)
    columns = [
        pa.array(np.full(m, run_id, np.int64)),
        pa.array(scores.box_id),
        pa.array(scores.image_id),
        pa.array([scores.signal] * m, pa.string()),
        pa.array([scores.issue] * m, pa.string()),
        pa.array(scores.raw, from_pandas=True),  # NaN becomes NULL
        pa.array(scores.score, from_pandas=True),
        pa.array(list(scores.abstain), pa.string()),
        pa.array(list(scores.reason), pa.string()),
        pa.array(scores.suggestion),
        pa.array([json.dumps(e, ensure_ascii=False) for e in scores.evidence], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCORES_SCHEMA)
