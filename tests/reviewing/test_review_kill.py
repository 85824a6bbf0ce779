"""Killing the server while somebody decides: no verdict that was answered as saved is lost."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from healtheat.index import Index, NewVerdict
from tests.reviewing.conftest import ROOT

KILLS = 20

if not hasattr(os, "fork"):
    pytest.skip("the servers are forked, which this system cannot", allow_module_level=True)


@pytest.fixture
def servers() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything and forks a server for each line it reads."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.reviewing.review_set"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        yield process
        process.kill()


def sign_in(link: str) -> tuple[httpx2.Client, str]:
    """A signed-in client and the token its posts need."""
    parts = urlsplit(link)
    base = f"http://{parts.netloc}"
    client = httpx2.Client(base_url=base, headers={"Origin": base, "Accept": "application/json"}, timeout=60)
    client.get("/", params={"token": parse_qs(parts.query)["token"][0]})
    page = client.get("/").text
    return client, page.partition('name="csrf" content="')[2].partition('"')[0]


@pytest.mark.slow
def test_no_saved_verdict_is_lost(servers: subprocess.Popen[str], index_path: Path) -> None:
    chance = random.Random(7)
    saved: dict[int, tuple[int, str]] = {}
    with Index.open(index_path) as index:
        found = index.sql("SELECT finding_id, box_id, issue FROM findings WHERE flagged AND box_id >= 0")
        ids = {row["finding_id"]: (row["box_id"], row["issue"]) for row in found.to_pylist()}
    assert servers.stdin and servers.stdout
    for kill in range(KILLS):
        servers.stdin.write(f"{index_path}\n")
        servers.stdin.flush()
        pid_text, link = servers.stdout.readline().split()
        pid = int(pid_text)
        client, csrf = sign_in(link)
        # Somewhere in the middle: from before the first answer to within the fourth write.
        timer = threading.Timer(chance.uniform(0, 0.12), os.kill, (pid, signal.SIGKILL))
        started = False
        with contextlib.closing(client):
            for number in range(1000):
                finding_id, verdict = (
                    list(ids)[(kill * 7 + number) % len(ids)],
                    ("ok", "drop", "unsure")[number % 3],
                )
                if not started and number == kill % 3:
                    timer.start()
                    started = True
                try:
                    answer = client.post(
                        "/verdict",
                        data={"finding_id": str(finding_id), "verdict": verdict},
                        headers={"X-CSRF-Token": csrf},
                    ).json()
                except (httpx2.TransportError, ValueError):
                    break
                assert answer["saved"], answer
                saved[answer["seq"]] = (finding_id, verdict)
            else:
                raise AssertionError("the server was not killed")
        timer.join()
        with Index.open(index_path, verify=False) as index:
            rows = index.verdicts().to_pylist()
        kept = {row["seq"]: row for row in rows}
        for seq, (finding_id, verdict) in saved.items():
            assert seq in kept, f"kill {kill}: verdict {seq} was answered as saved and is gone"
            assert kept[seq]["verdict"] == verdict
            assert (kept[seq]["box_id"], kept[seq]["issue"]) == ids[finding_id]
    assert len(saved) >= KILLS, "some were saved between the kills"
    with Index.open(index_path) as index:
        # The next verdict sets an unfinished last line aside; after it nothing at all is wrong.
        box_id, issue = next(iter(ids.values()))
        index.judging.append(NewVerdict(box_id=box_id, issue=issue, verdict="ok", who="test"))
        assert not index.verify()
