"""Two commands at once on one index and one data set, each in a process that waits for the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from benchmarks.fault_jobs import JOBS, STANDING, WHO, Job, Place, States, quick, run
from healtheat.index import Index, NewVerdict

VERDICT = "review"
_VERDICTS = ("ok", "drop", "unsure")
_DONE_BEFORE = [verdict for _, verdict, _ in STANDING]
# What a command holds while it writes: commands of one kind have one row in docs/at_once.md.
KINDS: Mapping[str, Sequence[str]] = {
    "build": ("score", "build again", "add", "remove", "flag"),
    "vet": ("vet",),
    "review": (VERDICT,),
    "read": ("query", "verify", "report", "export csv", "export parquet"),
    "copy": ("apply --to", "export yolo", "export patch", "export coco"),
    "in place": ("apply --in-place", "rollback"),
}
_WAIT_S = 120
_BY_NAME: Mapping[str, Job] = {job.name: job for job in JOBS}


def work(name: str, root: str, start: Any, result: str) -> None:
    """Run the command `name` when the other is ready too; its exit code and message go to `result`."""
    with quick():
        if name == VERDICT:
            done = _decide(Place(Path(root)), start)
        else:
            start.wait(_WAIT_S)
            done = run(_BY_NAME[name].arguments(Place(Path(root))))
    Path(result).write_text(json.dumps(done), encoding="utf-8")


def _decide(place: Place, start: Any) -> tuple[int, str]:
    with Index.open(place.index) as index:
        start.wait(_WAIT_S)
        for box_id, verdict in enumerate(_VERDICTS):
            index.judging.append(NewVerdict("bad_box", verdict, WHO, box_id=box_id))
    return 0, ""


def at_once(processes: BaseContext, states: States, names: tuple[str, str]) -> list[tuple[int, str]]:
    """Exit code and message of both; the index and the data set are in the state they need before."""
    states.reset(start_of(names))
    start = processes.Barrier(2)
    results = [states.place.root.parent / f"result {number}.json" for number in range(2)]
    started = []
    for name, result in zip(names, results, strict=True):
        result.unlink(missing_ok=True)
        process = processes.Process(target=work, args=(name, str(states.place.root), start, str(result)))
        process.start()
        started.append(process)
    for process in started:
        process.join(_WAIT_S)
        assert process.exitcode == 0, f"{names}: {process.exitcode}"
    code_and_text = [json.loads(result.read_text(encoding="utf-8")) for result in results]
    return [(code, text) for code, text in code_and_text]


def start_of(names: tuple[str, str]) -> str:
    """The state that both can start from."""
    starts = {_BY_NAME[name].start for name in names if name in _BY_NAME} - {"built", "changed"}
    return starts.pop() if starts else "built"


def verdicts_after(names: tuple[str, str]) -> list[str]:
    """All that stand in the log then, in some order."""
    return sorted(_DONE_BEFORE + [*_VERDICTS] * names.count(VERDICT))
