"""The worker as a helper of tests: start it once, give it jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healtheat.commands._terminal import FAULT

ROOT = Path(__file__).resolve().parents[2]
WALL_S = 120.0  # for a command of some seconds; only one that waits for ever takes as long
MOST_BYTES = 2_600 << 20  # resident; DuckDB alone may take 2 GB
MOST_LINES = 8  # on stderr
LONGEST_LINE = 2100  # characters of one of them


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one command ended."""

    arguments: tuple[str, ...]
    code: int
    memory_bytes: int
    out: str
    err: str

    def faults(self, codes: tuple[int, ...]) -> list[str]:
        """Why it is not how a command may end on hostile input: with one of `codes`, and an error told."""
        found = []
        if self.code == -1000:
            found.append("hangs")
        elif self.code == FAULT or self.code not in codes:
            found.append(f"exit {self.code}")
        lines = self.err.splitlines()
        if "Traceback" in self.err or "a fault of healtheat" in self.err:
            found.append("a fault")
        if len(lines) > MOST_LINES or len(self.err) > 8000:
            found.append(f"{len(lines)} lines, {len(self.err)} characters on stderr")
        if any(len(line) > LONGEST_LINE for line in lines):
            found.append(f"a line of {max(map(len, lines))} characters")
        if any(not c.isprintable() and c not in "\n" for c in self.err):
            found.append("control characters on stderr")
        if self.code == 2 and not lines:
            found.append("exit 2 without a line")
        if self.memory_bytes > MOST_BYTES:
            found.append(f"{self.memory_bytes >> 20} MiB")
        if len(self.out) > 4_000_000:
            found.append(f"{len(self.out)} characters of output")
        return [f"{fault}: {' '.join(self.arguments)[:200]}: {self.err[-400:]}" for fault in found]


class Worker:
    """A context manager; `run` takes what follows `healtheat` on the command line."""

    def __enter__(self) -> Worker:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def run(self, folder: Path, *arguments: Any) -> Outcome:
        """In the working folder `folder`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        texts = [str(argument) for argument in arguments]
        out, err = folder / ".out", folder / ".err"
        job = {
            "arguments": texts,
            "folder": str(folder),
            "out": str(out),
            "err": str(err),
            "wall_s": WALL_S,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        done = json.loads(self._process.stdout.readline())
        said = [file.read_text(encoding="utf-8", errors="replace") for file in (out, err)]
        return Outcome(tuple(texts), done["code"], done["memory_bytes"], *said)
