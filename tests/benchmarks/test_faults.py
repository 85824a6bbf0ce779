"""Full and broken disks, no rights, no locks, at any call: nothing is lost, and nothing is reported wrongly.

One fault of each job here, spread over its calls; `HEALTHEAT_FAULTS=all` tries every one, as
`python -m benchmarks.faults` does.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import faults
from benchmarks.fault_calls import FAULTS, Calls, Fault
from benchmarks.fault_jobs import IMAGES, JOBS, Job, States, quick
from benchmarks.faults import Trial, faults_of, tried, tried_verdicts
from healtheat.core import append
from healtheat.core.atomic import write_file
from healtheat.index import shards

EVERY = os.environ.get("HEALTHEAT_FAULTS") == "all"
SMALL = [job for job in JOBS if job.images == IMAGES]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    with quick():
        yield States(tmp_path_factory.mktemp("faults"))


@pytest.mark.skipif(os.name == "nt", reason="paths of open files are read from /proc")
class TestFaults:
    @pytest.mark.parametrize("job", SMALL, ids=lambda job: job.name)
    def test_nothing_is_lost(self, states: States, job: Job) -> None:
        trial = Trial(job, states)
        every = faults_of(trial.kinds)
        found = [fault for fault in every if trial.kinds[fault.at] != "open to read"] or every
        number = SMALL.index(job)
        chosen = found if EVERY else [found[len(found) * (2 * number + 1) // (2 * len(SMALL))]]
        for fault in chosen:
            assert not trial.wrong(fault)[1], f"{fault} ({trial.kinds[fault.at]})"

    def test_saved_is_saved(self, states: States) -> None:
        done = tried_verdicts(states, 1 if EVERY else 45, first=7)
        assert done.trials > 5 and done.failed
        assert not done.lost

    @pytest.mark.slow
    def test_vet(self, tmp_path: Path) -> None:
        job = next(job for job in JOBS if job.name == "vet")
        with quick():
            assert not tried(job, States(tmp_path, job.images), 1 if EVERY else 400).lost

    def test_a_verdict_that_counts_though_it_was_not_saved_is_seen(
        self, states: States, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(append, "_take_out", lambda file, offset, error: None)
        monkeypatch.setattr(faults, "faults_of", _first_sync)
        assert tried_verdicts(states).lost

    def test_a_file_that_is_half_written_is_seen(
        self, states: States, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The way FAISS writes by itself: no error where the last bytes find no room."""

        def by_its_name(path: Path, *args: Any, **more: Any) -> None:
            real(path, *args, **more)
            path.write_bytes(path.read_bytes()[:-10])

        job, real = next(job for job in JOBS if job.name == "remove"), shards.write_shard
        trial = Trial(job, states)
        monkeypatch.setattr("healtheat.building.removal.write_shard", by_its_name)
        assert trial.wrong(Fault(len(trial.kinds) - 1, "EACCES"))[1]


def _first_sync(kinds: list[str]) -> list[Fault]:
    return [Fault(kinds.index("fsync"), "EIO")]


def test_every_kind_of_call_is_counted_and_fails(tmp_path: Path) -> None:
    with Calls(tmp_path) as calls:
        write_file(tmp_path / "a", b"a")
    assert (
        {"open to write", "os.open", "write", "fsync", "replace", "flock"} <= {*calls.kinds} <= FAULTS.keys()
    )
    for fault in faults_of(calls.kinds):
        with Calls(tmp_path, fault) as failing:
            try:
                write_file(tmp_path / "a", b"b")
            except OSError as error:
                assert error.errno == getattr(errno, fault.error) and error.filename
        assert len(failing.kinds) >= fault.at
    with Calls(tmp_path / "other") as elsewhere:
        write_file(tmp_path / "a", b"a")
    assert not elsewhere.kinds
