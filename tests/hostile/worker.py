"""Runs commands, each in a process of its own that is forked here, where everything is imported already.

`python -m tests.hostile.worker` reads one job a line and answers one result a line, both JSON. The encoder
`fake` needs no network, and `review` makes all that its pages show and serves none of them.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from typing import Any

import healtheat.building.append
import healtheat.building.auto
import healtheat.building.build
import healtheat.building.removal
import healtheat.building.take
import healtheat.cleanup
import healtheat.comparing.run
import healtheat.exporting.run
import healtheat.exporting.vetted.hand_out
import healtheat.findings.choose
import healtheat.guarding
import healtheat.index.encoder
import healtheat.planting
import healtheat.reporting.page
import healtheat.reviewing.run
import healtheat.signals.evidence.trust
import healtheat.vetting.run
import healtheat.view.similar
from healtheat.cli import run
from healtheat.embedding import Encoder, load_encoder
from tests.index.small_set import FakeEncoder

CPU_S = 40  # of one command; a loop without an end takes more
MEMORY_BYTES = 6 << 30  # of address space, which is far more than what is used


def fake_or_real(name: str = "default", **policy: Any) -> Encoder:
    return FakeEncoder() if name == "fake" else load_encoder(name, **policy)


def main() -> None:
    healtheat.building.auto.load_encoder = fake_or_real  # type: ignore[attr-defined]
    healtheat.index.encoder.load_encoder = fake_or_real  # type: ignore[attr-defined]
    known = healtheat.index.encoder.embedded
    healtheat.index.encoder.embedded = lambda: [*known(), "fake"]
    healtheat.reviewing.run.serve = lambda *_, **__: None  # type: ignore[assignment]
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


def _forked(job: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if not child:
        _run(job)
    deadline = time.monotonic() + job["wall_s"]
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            return {"code": os.waitstatus_to_exitcode(status), "memory_bytes": used.ru_maxrss << 10}
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"code": -1000, "memory_bytes": 0}
        time.sleep(0.005)


def _run(job: dict[str, Any]) -> None:
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        os.chdir(job["folder"])
        for number, name in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        code = run(job["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
