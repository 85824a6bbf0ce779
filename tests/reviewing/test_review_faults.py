"""Whatever goes wrong: an answer that is locked down and says what is, never `NOT saved` of what is saved."""

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from healtheat.index import Index
from healtheat.reviewing import connection
from healtheat.reviewing.app import create_app
from healtheat.reviewing.auth import HEADERS, Guard
from healtheat.reviewing.session import Review
from tests.reviewing.conftest import BASE, PORT, WHO, served

HUGE = ("18446744073709551616", "9" * 40, "9" * 5000, "-1", "1e3", "٣", "0x1")
VERDICT = {"finding_id": "0", "verdict": "drop"}


@pytest.mark.parametrize("number", HUGE, ids=lambda text: text[:20])
@pytest.mark.parametrize(
    "path", ["/crop/{}/small", "/image/{}/small", "/queue/all/{}", "/map/box/{}", "/queue/all?class={}"]
)
def test_numbers_that_no_index_holds(client: TestClient, path: str, number: str) -> None:
    assert client.get(path.format(number)).status_code in (400, 404)


@pytest.mark.parametrize("number", HUGE, ids=lambda text: text[:20])
def test_forms_with_numbers_that_no_index_holds(client: TestClient, review: Review, number: str) -> None:
    before = review.work.decisions
    sent: list[tuple[str, dict[str, str]]] = [
        ("/verdict", {**VERDICT, "finding_id": number}),
        ("/verdict", {**VERDICT, "verdict": "relabel", "relabel_to": number}),
        ("/undo", {"seq": number}),
    ]
    for path, form in sent:
        assert client.post(path, data=form).status_code in (404, 422), (path, form)
    assert review.work.decisions == before


def test_a_fault_of_ours_is_locked_down_too(app: FastAPI, guard: Guard, monkeypatch: Any) -> None:
    client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
    client.get(f"/?token={guard.token}")
    monkeypatch.setattr(Review, "stats", lambda review: 1 // 0)
    answer = client.get("/")
    assert answer.status_code == 500 and "ZeroDivisionError" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def _refused(*_: object, **__: object) -> Any:
    raise duckdb.OutOfMemoryException("out of memory")


@pytest.mark.parametrize("name", ["_show", "progress", "open_left"])
def test_saved_though_the_list_cannot_be_shown(
    client: TestClient, undecided: Review, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(undecided.work), name, _refused)
        answer = client.post("/verdict", data=VERDICT, headers={"Accept": "application/json"})
    assert answer.status_code == 200 and answer.json()["saved"]
    undecided.work.refresh()
    assert undecided.work.decisions == 1
    with monkeypatch.context() as patch:
        patch.setattr(type(undecided.work), name, _refused)
        answer = client.post("/undo", headers={"Accept": "application/json"})
    assert answer.status_code == 200 and answer.json()["saved"]
    undecided.work.refresh()
    assert undecided.work.decisions == 0


def test_a_full_disk_is_told_and_nothing_counts(
    client: TestClient, undecided: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = client.post("/verdict", data=VERDICT, headers={"Accept": "application/json"})
    assert answer.status_code == 500 and answer.json()["saved"] is False
    assert "verdicts.jsonl: No space left on device; free some space" in answer.json()["error"]
    undecided.work.refresh()
    assert undecided.work.decisions == 0


@pytest.fixture
def own(planned: Path, tmp_path: Path) -> Iterator[tuple[Review, TestClient]]:
    """A review of an index that a test may move, and a client that has signed in."""
    path, guard = Path(shutil.copytree(planned, tmp_path / "index")), Guard(port=PORT)
    with Index.open(path) as index:
        review = Review(index, WHO)
        client = TestClient(create_app(review, guard), base_url=BASE, follow_redirects=False)
        client.get(f"/?token={guard.token}")
        client.headers.update({"Origin": BASE, "X-CSRF-Token": guard.csrf})
        yield review, client


def test_an_index_that_was_moved_is_told(own: tuple[Review, TestClient]) -> None:
    review, client = own
    path, json = review.index.path, {"Accept": "application/json"}
    assert client.post("/verdict", data=VERDICT, headers=json).json()["saved"]
    path.rename(path.with_name("moved"))
    for address in ("/", "/queue/all/0", "/classes", "/crop/0/small", "/map"):
        answer = client.get(address)
        assert answer.status_code == 503 and "not there any more" in answer.text, address
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for address in ("/verdict", "/undo"):
        answer = client.post(address, data=VERDICT, headers=json)
        assert answer.status_code == 503 and answer.json()["saved"] is False
        assert str(path) in answer.json()["error"]
    assert client.get("/static/review.css").status_code == 200
    assert not path.exists(), "nothing is made where it was"
    path.with_name("moved").rename(path)
    assert client.get("/").status_code == 200
    assert client.post("/verdict", data={**VERDICT, "verdict": "ok"}, headers=json).json()["saved"]


def test_silent_connections_are_closed(
    own: tuple[Review, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0.3)
    monkeypatch.setattr(connection, "MOST", 20)
    with served(own[0]) as link:
        at = (urlsplit(link).hostname, urlsplit(link).port)
        silent = [socket.create_connection(at, timeout=60) for _ in range(30)]
        for number, one in enumerate(silent):
            if number % 2:
                one.sendall(b"GET / HTTP/1.1\r\nHost: ")  # a head that never ends
        for one in silent:
            assert _ends(one)
        with socket.create_connection(at, timeout=60) as one:
            one.sendall(f"GET / HTTP/1.1\r\nHost: {at[0]}:{at[1]}\r\n\r\n".encode())
            assert one.recv(100).startswith(b"HTTP/1.1 401")


def test_who_comes_is_let_in_for_who_waits_longest(
    own: tuple[Review, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST", 20)
    with served(own[0]) as link, contextlib.ExitStack() as stack:
        at = (urlsplit(link).hostname, urlsplit(link).port)
        silent = [stack.enter_context(socket.create_connection(at, timeout=60)) for _ in range(50)]
        for one in silent[::2]:
            one.sendall(b"GET / HT")
        for _ in range(3):
            with socket.create_connection(at, timeout=60) as one:
                one.sendall(f"GET / HTTP/1.1\r\nHost: {at[0]}:{at[1]}\r\n\r\n".encode())
                assert one.recv(100).startswith(b"HTTP/1.1 401")
        assert _ends(silent[0]), "the oldest went"


ODD_REQUESTS = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "garbage": b"\0" * 500 + b"\r\n\r\n",
    "a bad length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
}


@pytest.mark.parametrize("what", ODD_REQUESTS)
def test_what_is_no_http_is_answered_locked_down_and_silently(
    own: tuple[Review, TestClient], what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(own[0]) as link:
        at = (urlsplit(link).hostname, urlsplit(link).port)
        answer = b""
        with socket.create_connection(at, timeout=60) as one:
            one.sendall(ODD_REQUESTS[what])
            while more := one.recv(65_536):
                answer += more
    assert answer.startswith(b"HTTP/1.1 400 ")
    for name, value in {**HEADERS, "Cache-Control": "no-store"}.items():
        assert f"\r\n{name.lower()}: {value}\r\n".encode() in answer
    assert "Invalid HTTP" not in "".join(capfd.readouterr())


def _ends(one: socket.socket) -> bool:
    with one:
        try:
            return one.recv(1) == b""
        except ConnectionError:
            return True
