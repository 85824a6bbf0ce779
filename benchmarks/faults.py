"""Faults at every call that reaches the disk, of every command that writes: nothing may be lost.

    python -m benchmarks.faults [--jobs NAME ...] [--every N] [--work FOLDER]

A job runs once unbroken, and its calls are counted. Then it runs once for each call and each fault that the
call can have (see fault_calls.py), and with `lasts` for a disk that stays full or broken. After every run:
one line and exit code 0 or 2, no fault of healtheat; the index opens and is whole; the verdicts are exactly
those that were reported saved; the data set is byte for byte as before, or `healtheat rollback` makes it so;
what lies in `out` is whole; a run that reports success did everything; the same command, without faults,
does its work then. Prints a line a job, and ends with 1 if anything was lost. `--every N` tries every N-th
only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fault_calls import FAULTS, LASTING, Calls, Fault
from benchmarks.fault_jobs import (
    IMAGES,
    JOBS,
    STANDING,
    VERDICTS,
    WHO,
    Job,
    Place,
    States,
    index_facts,
    index_wrong,
    problems_in,
    quick,
    run,
    tree,
)
from healtheat.index import Index

_BEFORE = [verdict for _, verdict, _ in STANDING]


@dataclass
class Tried:
    """What was tried of one job. `lost` are sentences, one a trial that went wrong."""

    name: str
    calls: int = 0
    trials: int = 0
    failed: int = 0  # trials that ended in an error, as they should where the fault mattered
    lost: list[str] = field(default_factory=list)


def faults_of(kinds: Sequence[str]) -> list[Fault]:
    """All faults to try for calls of these kinds."""
    found = []
    for at, kind in enumerate(kinds):
        for error in FAULTS[kind]:
            found.append(Fault(at, error))
            if error in LASTING and kind != "open to read":
                found.append(Fault(at, error, lasts=True))
    return found


def sampled(faults: Sequence[Fault], every: int, first: int = 0) -> list[Fault]:
    """Every `every`-th of the faults."""
    return [fault for number, fault in enumerate(faults) if number % every == first % every]


class Trial:
    """A job on its states: what it makes unbroken, and what is wrong after a fault."""

    def __init__(self, job: Job, states: States) -> None:
        self.job, self.states, self.place = job, states, states.place
        states.reset(job.start)
        self.data, self.new = tree(self.place.data), tree(self.place.new)
        with Calls(self.place.root) as calls:
            code, said = run(job.arguments(self.place))
        assert code in job.codes, f"{job.name}: {said}"
        self.kinds = calls.kinds
        self.data_after, self.out = tree(self.place.data), tree(self.place.out)
        self.facts = self._facts()
        self.verdicts = [] if job.start == "bare" else _BEFORE

    def wrong(self, fault: Fault) -> tuple[int, list[str]]:
        """Exit code under the fault, and all that is wrong then."""
        self.states.reset(self.job.start)
        with Calls(self.place.root, fault):
            code, said = run(self.job.arguments(self.place))
        found = [f"exit code {code}: {said[-300:]}"] if code not in (*self.job.codes, 2) else []
        if code == 2 and (not said.splitlines() or not said.splitlines()[-1].startswith("healtheat: ")):
            found.append(f"no line of ours: {said[-300:]}")
        found += self._lost()
        if self.kinds[fault.at] == "open to read" and self._told():
            return code, found  # an image or label file that could not be read is a problem, and told
        if code in self.job.codes:
            found += self._not_done("reported as done")
        return code, [*found, *self._again()]

    def _facts(self) -> dict[str, Any]:
        return {
            name: index_facts(self.place.root / name) for name in ("index", "batch") if self._is_index(name)
        }

    def _is_index(self, name: str) -> bool:
        return (self.place.root / name / "manifest.json").is_file()

    def _told(self) -> bool:
        return any(
            self._is_index(name) and problems_in(self.place.root / name) for name in ("index", "batch")
        )

    def _lost(self) -> Iterator[str]:
        if self._is_index("index") or self.job.start != "bare":
            yield from filter(None, [index_wrong(self.place.index, self.verdicts)])
        if self._is_index("batch"):
            yield from filter(None, [index_wrong(self.place.batch, [])])
        if not self.job.in_place and tree(self.place.data) != self.data:
            yield "the data set was changed"
        if tree(self.place.new) != self.new:
            yield "the new set was changed"
        if odd := [name for name in tree(self.place.out) if name not in self.out]:
            yield f"out holds {odd[0]}, which is no part of it"

    def _not_done(self, when: str) -> Iterator[str]:
        if tree(self.place.out).keys() != self.out.keys():
            yield f"{when}, and out is not whole"
        if self._facts() != self.facts:
            yield f"{when}, and the index is not what it makes"
        if tree(self.place.data) != self.data_after:
            yield f"{when}, and the data set is not what it makes"

    def _again(self) -> Iterator[str]:
        """In place: all the way back first. Then the same command once more, on a sound disk."""
        if self.job.in_place:
            yield from self._back()
            return
        code, said = run(self.job.arguments(self.place))
        if code == 2 and not list(self._not_done("")):  # it had come to its end, and says so
            return
        if code not in self.job.codes:
            yield f"again: exit code {code}: {said[-300:]}"
        yield from self._not_done("again")

    def _back(self) -> Iterator[str]:
        original = self.data_after if self.job.name == "rollback" else self._pristine()
        if tree(self.place.data) == original:
            return
        code, said = run(["rollback", self.place.data])
        if code != 0 or tree(self.place.data) != original:
            yield f"rolled back: exit code {code}, the data set is not as it was: {said[-300:]}"

    def _pristine(self) -> dict[str, str]:
        if self.job.start == "built":
            return self.data
        return tree(self.states.kept("built") / "data")


def tried(job: Job, states: States, every: int = 1, first: int = 0) -> Tried:
    """Try the faults of a job."""
    trial, out = Trial(job, states), Tried(job.name)
    out.calls = len(trial.kinds)
    for fault in sampled(faults_of(trial.kinds), every, first):
        code, wrong = trial.wrong(fault)
        out.trials += 1
        out.failed += code == 2
        out.lost += [f"{job.name}: {fault} ({trial.kinds[fault.at]}): {one}" for one in wrong]
    return out


def tried_verdicts(states: States, every: int = 1, first: int = 0) -> Tried:
    """The same for verdicts that are given and taken back on the page: saved is what the answer says."""
    out = Tried(VERDICTS)
    states.reset("built")
    kinds = _decided(states.place, None)[2]
    out.calls = len(kinds)
    for fault in sampled(faults_of(kinds), every, first):
        states.reset("built")
        saved, unknown, _ = _decided(states.place, fault)
        found = index_wrong(states.place.index, [*_BEFORE, *saved])
        with_unknown = found and unknown and index_wrong(states.place.index, [*_BEFORE, *saved, unknown])
        if found and (not unknown or with_unknown):
            out.lost.append(f"{VERDICTS}: {fault} ({kinds[fault.at]}): saved {saved}: {found}")
        out.trials += 1
        out.failed += len(saved) < _DECISIONS + 1
    return out


_DECISIONS = 3


def _decided(place: Place, fault: Fault | None) -> tuple[list[str], str, list[str]]:
    """What was reported saved, in its order, what nobody knows, and the calls."""
    from fastapi.testclient import TestClient

    from healtheat.reviewing.app import create_app
    from healtheat.reviewing.auth import Guard
    from healtheat.reviewing.session import Review

    guard, base = Guard(port=1), "http://127.0.0.1:1"
    saved, unknown = list[str](), ""
    with Index.open(place.index) as index:
        client = TestClient(create_app(Review(index, WHO, every=True), guard), base_url=base)
        client.get(f"/?token={guard.token}")
        client.headers.update({"Origin": base, "X-CSRF-Token": guard.csrf, "Accept": "application/json"})
        with Calls(place.root, fault) as calls:
            for number, verdict in enumerate(("ok", "drop", "unsure")[:_DECISIONS]):
                answer = client.post("/verdict", data={"finding_id": str(number), "verdict": verdict}).json()
                if answer["saved"]:
                    saved.append(verdict)
                elif "not known" in answer["error"]:
                    unknown = verdict
            last = saved[-1] if saved else _BEFORE[-1]
            answer = client.post("/undo").json()
            if answer["saved"]:
                saved.append(answer["verdict"])
            elif "not known" in answer["error"]:
                unknown = last
    return saved, unknown, calls.kinds


def main() -> int:
    """Try all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [VERDICTS, *(job.name for job in JOBS)]
    parser.add_argument("--jobs", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=given.work) as folder, quick():
        states: dict[int, States] = {}
        for name in given.jobs:
            images = next((job.images for job in JOBS if job.name == name), IMAGES)
            if images not in states:
                states[images] = States(Path(folder) / str(images), images)
            done = _one(name, states[images], given.every)
            print(f"{done.name:<28} {done.calls:>5} calls {done.trials:>6} trials "
                  f"{done.failed:>6} failed  lost: {len(done.lost)}", flush=True)  # fmt: skip
            for text in done.lost:
                print(f"  {text}", file=sys.stderr, flush=True)
            total.update(calls=done.calls, trials=done.trials, lost=len(done.lost))
    print(f"{total['calls']} calls, {total['trials']} faults tried, lost: {total['lost']}")
    return 1 if total["lost"] else 0


def _one(name: str, states: States, every: int) -> Tried:
    if name == VERDICTS:
        return tried_verdicts(states, every)
    return tried(next(job for job in JOBS if job.name == name), states, every)


if __name__ == "__main__":
    sys.exit(main())
