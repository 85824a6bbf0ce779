"""Fixtures shared by every test."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("healtheat", deadline=None)  # no test may fail because a machine is busy
settings.register_profile("fast", deadline=None, max_examples=20)  # make test-fast
settings.load_profile("healtheat")

TESTS = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("HEALTHEAT_SHARED", TESTS.parents[1] / "shared")).resolve()

# What `make test-fast` leaves out, by file and by fixture; single tests carry the marker themselves.
# A file named here imports what its marker stands for, so it is not imported where the marker is left out.
MARKED_FILES = {
    "torch": (
        "cleanup/test_cleanup_trainer.py",
        "crops/test_crops_trainer.py",
        "embedding/test_open_clip.py",
        "sources/detector/test_detector_source.py",
        "sources/detector/test_masks_ultralytics.py",
        "sources/yolo/test_trainer_oracle.py",
        "training/test_images.py",
        "training/test_losses.py",
        "training/test_model.py",
    ),
    "browser": (
        "reviewing/test_review_browser.py",
        "reviewing/test_review_keys.py",
        "reviewing/test_review_layout.py",
    ),
    "slow": (
        "building/test_auto.py",
        "cases/test_other_cases.py",
        "cases/test_yolo_cases.py",
        "cleanup/test_cleanup_long_names.py",
        "comparing/test_handoffs_back.py",
        "drawing/test_render.py",
        "embedding/test_encoders_contract.py",
        "exporting/test_export_target.py",
        "index/test_older.py",
        "vetting/test_vet.py",
        "reporting/test_report.py",
    ),
}
MARKED_FIXTURES = {
    "tiny_model": "torch",
    "browser": "browser",
    "demo": "slow",
    "pushin_index": "slow",
    "built": "slow",  # builds an index of a drawn set in every process
    "processes": "slow",
    "beside_pills": "slow",
}


def marker_of(file: Path) -> str | None:
    for marker, files in MARKED_FILES.items():
        if file in [TESTS / name for name in files]:
            return marker
    return None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    marker = marker_of(collection_path)
    return True if marker and f"not {marker}" in config.option.markexpr else None


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        markers = {MARKED_FIXTURES.get(name) for name in getattr(item, "fixturenames", ())}
        for marker in (markers | {marker_of(item.path)}) - {None}:
            item.add_marker(str(marker))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    if not (SHARED / "data" / "pushin-pill" / "data.yaml").is_file():
        pytest.skip(f"real data not found at {SHARED} (set HEALTHEAT_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def pushin_index(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of all of pushin-pill with the default encoder. Read it, do not write into it.

    Processes of one run share it: the first builds, the others wait.
    """
    from healtheat.building.build import build
    from healtheat.embedding import load_encoder
    from healtheat.sources import open_source

    one_of_many = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    home = base.parent if one_of_many else base
    index_path, done = home / "pushin/pushin-pill", home / "pushin/built"
    try:
        index_path.parent.mkdir()
    except FileExistsError:
        deadline_s = time.monotonic() + 600
        while not done.exists():
            assert time.monotonic() < deadline_s, "the process that builds the index did not end"
            time.sleep(0.2)
        return index_path
    try:
        source = open_source(shared / "data" / "pushin-pill" / "data.yaml")
        build(source, index_path, encoder=load_encoder())
    finally:
        done.touch()  # where it failed the others fail as well, at once
    return index_path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small demo set in `pills/` and its index in `index/pills/`, built by the command line.

    Read it, do not write into it: other tests read it too.
    """
    from healtheat.cli import run
    from healtheat.drawing import make_demo

    folder = tmp_path_factory.mktemp("built")
    make_demo(folder / "pills", seed=3, images=24)
    assert run(["build", str(folder / "pills/data.yaml"), "--index", str(folder / "index/pills")]) == 0
    return folder


@pytest.fixture
def in_built(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, as the working directory."""
    monkeypatch.chdir(built)
    monkeypatch.delenv("HEALTHEAT_INDEX", raising=False)
    return built


@pytest.fixture(scope="session")
def processes() -> Iterator[BaseContext]:
    """Starts fresh processes; where possible from one that has already imported everything."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield multiprocessing.get_context("spawn")
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "tests.cleanup.killed",
            "tests.commands.at_once",
            "tests.index.killed_build",
            "tests.index.test_verdicts",
        ]
    )
    # The server imports by PYTHONPATH alone, and must not own threads when it forks.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield context


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, started once a test file."""
    from tests.browser import launched

    with launched() as started:
        yield started
