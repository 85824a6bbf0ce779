"""One planned index a session, copied for each test; an app and a signed-in client over it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from healtheat.core.table import write_csv
from healtheat.index import Index
from healtheat.reviewing.app import create_app
from healtheat.reviewing.auth import Guard
from healtheat.reviewing.serve import address, config_of, guard_of, listen
from healtheat.reviewing.session import Review
from tests.reviewing.review_set import build_planned

ROOT = Path(__file__).resolve().parents[2]
PORT = 8765
WHO = "김약사"
BASE = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index; do not write into it."""
    return build_planned(tmp_path_factory.mktemp("planned"))


@pytest.fixture(scope="module")
def index_path(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the index for the tests of one file. The images stay where they are."""
    return Path(shutil.copytree(planned, tmp_path_factory.mktemp("copy") / "색인"))


@pytest.fixture(scope="module")
def review(index_path: Path) -> Iterator[Review]:
    with Index.open(index_path) as index:
        yield Review(index, WHO)


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(port=PORT)


@pytest.fixture(scope="module")
def app(review: Review, guard: Guard) -> FastAPI:
    return create_app(review, guard, write_csv=write_csv)


@pytest.fixture
def stranger(app: FastAPI) -> TestClient:
    """A client that has not signed in."""
    return TestClient(app, base_url=BASE, follow_redirects=False)


@pytest.fixture
def client(app: FastAPI, guard: Guard) -> TestClient:
    """A client that has: it holds the cookie and sends what our pages send."""
    signed_in = TestClient(app, base_url=BASE, follow_redirects=False)
    assert signed_in.get(f"/?token={guard.token}").status_code == 200
    signed_in.headers.update({"Origin": BASE, "X-CSRF-Token": guard.csrf})
    return signed_in


@pytest.fixture
def undecided(review: Review) -> Iterator[Review]:
    """The review without a verdict that stands; whatever a test decides is taken back after it."""
    yield review
    while review.work.decisions:
        review.work.undo(WHO)


@contextmanager
def served(review: Review) -> Iterator[str]:
    """The link that signs in to a server of this review."""
    bound = listen("127.0.0.1", 0)
    guard = guard_of("127.0.0.1", bound.getsockname()[1])
    server = uvicorn.Server(config_of(create_app(review, guard)))
    thread = Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield address("127.0.0.1", guard)
    finally:
        server.should_exit = True
        thread.join(30)
