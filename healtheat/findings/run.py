"""Run the signals: one tidy table of scores, one row per signal of how it went, and what was not asked.

A crash stops only its own signal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from healtheat.core.errors import EncoderError, InputError
from healtheat.core.issues import Silence
from healtheat.core.progress import Progress, silent
from healtheat.findings.combine import tempered
from healtheat.findings.inputs import Inputs
from healtheat.index.tables import schema
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples

SCORES_SCHEMA = schema("scores")
RUNS_SCHEMA = schema("runs")
SILENCES_SCHEMA = schema("silences")


class SignalTables(NamedTuple):
    """What running signals gave: tables in SCORES_SCHEMA, RUNS_SCHEMA and SILENCES_SCHEMA."""

    scores: pa.Table
    runs: pa.Table
    silences: pa.Table


def run_signals(
    queries: Samples,
    signals: Sequence[Signal],
    progress: Progress = silent,
    *,
    store: Samples | None = None,
    inputs: Inputs | None = None,
    first_run_id: int = 1,
) -> SignalTables:
    """Scores, runs and silences; runs are numbered from `first_run_id`, one per signal.

    `queries` are judged by `store`; the set against itself where that is not given. What `inputs` give (by
    default: AI Hub's rule for image names, where it fits) is joined to the queries before a signal measures.

    `status` is "ok" or "crashed"; `error` then holds the exception in one line, and `fault` is "input" where
    the signal refused what it was given (InputError, EncoderError), else "crash". Score rows of a signal that
    crashed are absent.
    """
    inputs = inputs or Inputs()
    parts: list[pa.Table] = []
    given: dict[tuple[str, str], Scores] = {}
    runs: list[dict[str, object]] = []
    silences: list[dict[str, object]] = []
    for number, signal in enumerate(signals):
        progress(f"signal {signal.name}", number, len(signals))
        run = first_run_id + number
        started, at = perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
        error: str | None = None
        fault: str | None = None
        try:
            joined = inputs.joined(signal, queries)
            answers = signal.measure(joined, joined if store is None or store is queries else store)
            said = [answer for answer in answers if isinstance(answer, Silence)]
            for scores in (answer for answer in answers if isinstance(answer, Scores)):
                better = given.get((signal.yields_to or "", scores.issue))
                given[signal.name, scores.issue] = scores if better is None else tempered(scores, better)
                parts.append(_table(run, given[signal.name, scores.issue]))
            silences.extend({"run_id": run, **asdict(silence)} for silence in said)
        except Exception as crash:  # recorded in `runs`; the caller makes the exit code non-zero
            error = f"{type(crash).__name__}: {crash}".splitlines()[0]
            fault = "input" if isinstance(crash, InputError | EncoderError) else "crash"
        runs.append(
            {
                "run_id": run,
                "kind": "signal",
                "signal": signal.name,
                "started_at": at,
                "seconds": perf_counter() - started,
                "status": "ok" if error is None else "crashed",
                "fault": fault,
                "error": error,
                "settings": json.dumps(
                    {**signal.settings(), **inputs.settings(signal)},
                    ensure_ascii=False,
                    default=str,
                    sort_keys=True,
                ),
            }
        )
    progress("signals", len(signals), len(signals))
    table = pa.concat_tables(parts) if parts else SCORES_SCHEMA.empty_table()
    return SignalTables(
        table,
        pa.Table.from_pylist(runs, schema=RUNS_SCHEMA),
        pa.Table.from_pylist(silences, schema=SILENCES_SCHEMA),
    )


def _table(run_id: int, scores: Scores) -> pa.Table:
    m = len(scores.box_id)
    cx, cy, w, h = scores.place.T
    columns = {
        "run_id": pa.array(np.full(m, run_id, np.int64)),
        "box_id": pa.array(scores.box_id),
        "image_id": pa.array(scores.image_id),
        "line": pa.array(scores.line),
        "class_id": pa.array(scores.class_id),
        "signal": pa.array([scores.signal] * m, pa.string()),
        "issue": pa.array([scores.issue] * m, pa.string()),
        "raw": pa.array(scores.raw, from_pandas=True),  # NaN becomes NULL
        "score": pa.array(scores.score, from_pandas=True),
        "abstain": pa.array(list(scores.abstain), pa.string()),
        "withheld": pa.array(list(scores.withheld), pa.string()),
        "reason": pa.array(list(scores.reason), pa.string()),
        "suggestion": pa.array(scores.suggestion),
        "twin_box_id": pa.array(scores.twin_box_id),
        "cx": pa.array(cx, from_pandas=True),
        "cy": pa.array(cy, from_pandas=True),
        "w": pa.array(w, from_pandas=True),
        "h": pa.array(h, from_pandas=True),
        "evidence": pa.array([json.dumps(e, ensure_ascii=False) for e in scores.evidence], pa.string()),
    }
    return pa.table([columns[name] for name in SCORES_SCHEMA.names], schema=SCORES_SCHEMA)
