"""A review server in a process of its own, started and stopped within time limits."""

from __future__ import annotations

import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_S, STOP_S = 90.0, 10.0
_SERVE = """
import sys
from pathlib import Path
from healtheat.index import Index
from healtheat.reviewing.serve import address, guard_of, listen, serve
from healtheat.reviewing.session import Review
bound = listen("127.0.0.1", 0)
guard = guard_of("127.0.0.1", bound.getsockname()[1])
with Index.open(Path(sys.argv[1]), verify=False) as index:
    link = address("127.0.0.1", guard)
    serve(Review(index, "bench"), guard, bound, started=lambda: print(link, flush=True))
"""


@contextmanager
def serving(index: Path) -> Iterator[str]:
    """The address of a server over `index`. Whatever happens inside, the server is ended.

    Raises RuntimeError with the server's last words if it prints no address within `START_S`.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(index)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=words,
            encoding="utf-8",
        )
        try:
            link = _first_line(server)
            if not link:
                words.seek(0)
                raise RuntimeError(
                    f"no address from the server within {START_S:g} s:\n{words.read()[-2000:]}"
                )
            yield link
        finally:  # first of all: leaving a Popen waits for its process, which would wait for ever
            server.terminate()
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(STOP_S)
            assert server.stdout
            server.stdout.close()


def _first_line(server: subprocess.Popen[str]) -> str:
    """What the server prints first; "" if nothing comes in time. A thread, for pipes have no time limit."""
    found: queue.Queue[str] = queue.Queue()
    stdout = server.stdout
    assert stdout
    threading.Thread(target=lambda: found.put(stdout.readline().strip()), daemon=True).start()
    try:
        return found.get(timeout=START_S)
    except queue.Empty:
        return ""
