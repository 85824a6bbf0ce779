"""What build must not do: touch other folders, run twice at once, lose the index that is there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from healtheat.core.errors import BadIndex, EncoderError, IndexBusy, InputError
from healtheat.findings.score import rescore
from healtheat.index import Index
from tests.building.conftest import Build
from tests.index.small_set import FakeEncoder, tables

BOXES, TILES = 36, 24


@pytest.mark.parametrize("name", ["photo.jpg", "data.yaml", "images"])
def test_a_folder_with_something_else_in_it_is_left_alone(
    build_small: Build, index_path: Path, name: str
) -> None:
    index_path.mkdir(parents=True)
    if name == "images":
        (index_path / name).mkdir()
    else:
        (index_path / name).write_bytes(b"mine")
    with pytest.raises(InputError, match="no part of an index"):
        build_small()
    assert [p.name for p in index_path.iterdir()] == [name]


def test_a_file_in_place_of_the_folder_is_refused(build_small: Build, index_path: Path) -> None:
    index_path.parent.mkdir(parents=True)
    index_path.write_bytes(b"mine")
    with pytest.raises(InputError, match="not a folder"):
        build_small()
    assert index_path.read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("name", ["vectors", ".staging", ".cache", "catalog.duckdb", ".lock"])
def test_a_link_inside_the_folder_is_refused(build_small: Build, index_path: Path, name: str) -> None:
    elsewhere = index_path.parent / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    index_path.mkdir(parents=True)
    (index_path / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="a part of the index, but a link"):
        build_small()
    assert [p.name for p in elsewhere.iterdir()] == ["deep"]


class _SlowEncoder(FakeEncoder):
    """Waits in the middle of a build until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.running, self.go_on = threading.Event(), threading.Event()

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.running.set()
        assert self.go_on.wait(60)
        return super().encode(crops)


def test_a_second_build_of_one_index_is_told_so_at_once(
    build_small: Build, index_path: Path, data: Path
) -> None:
    slow = _SlowEncoder()
    thread = threading.Thread(target=build_small, kwargs={"encoder": slow})
    thread.start()
    try:
        assert slow.running.wait(60)
        with pytest.raises(IndexBusy, match="being built by another process"):
            build_small()
        other = (
            "import sys; from pathlib import Path; from healtheat.index.staging import building\n"
            "with building(Path(sys.argv[1])): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", other, str(index_path)], capture_output=True, encoding="utf-8", check=False
        )
        assert "IndexBusy" in done.stderr
    finally:
        slow.go_on.set()
        thread.join()
    with Index.open(index_path) as index:
        assert index.verify() == []


@pytest.mark.slow
def test_the_lock_of_a_killed_build_does_not_stay(build_small: Build, index_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from healtheat.index.lock import builder_lock\n"
        "with builder_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    index_path.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", holder, str(index_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == b"held"
        with pytest.raises(IndexBusy):
            build_small()
        process.kill()
        process.wait()
    assert (index_path / ".lock").exists()
    build_small()


class _BrokenEncoder(FakeEncoder):
    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(batch), self.spec.tower_dim), np.nan, np.float32)


def test_an_encoder_that_fails_leaves_the_old_index(build_small: Build, index_path: Path) -> None:
    build_small()
    before = tables(index_path)
    with pytest.raises(EncoderError):
        build_small(encoder=_BrokenEncoder(dim=5))
    assert tables(index_path) == before


def test_an_index_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadIndex, match=r"manifest\.json.*build the index first"):
        Index.open(tmp_path / "nothing")
    with pytest.raises(BadIndex, match=r"manifest\.json"):
        rescore(tmp_path / "nothing")


def test_an_index_open_for_reading_keeps_its_content_while_it_is_built_again(
    build_small: Build, index_path: Path, data: Path
) -> None:
    if os.name == "nt":
        pytest.skip("Windows does not replace open files: the build says so instead")
    build_small()
    with Index.open(index_path) as index:
        boxes = index.boxes()
        label = data.parent / "train" / "labels" / "사진 02.txt"
        label.write_bytes(label.read_bytes().splitlines(keepends=True)[0])
        build_small()
        assert len(index.sql("SELECT * FROM boxes")) == len(boxes)
        assert any("built again" in problem for problem in index.verify())
    with Index.open(index_path) as index:
        assert len(index.boxes()) == BOXES - 2


@pytest.mark.slow
def test_a_reader_never_meets_an_index_that_is_half_replaced(
    build_small: Build, index_path: Path, data: Path
) -> None:
    build_small()
    label = data.parent / "train" / "labels" / "사진 02.txt"
    lines = label.read_bytes().splitlines(keepends=True)
    failed: list[BaseException] = []
    done = threading.Event()

    def build_often() -> None:
        try:
            for number in range(8):
                label.write_bytes(b"".join(lines[: 1 + number % 3]))
                build_small()
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=build_often)
    thread.start()
    opened = 0
    while not done.is_set():
        with Index.open(index_path) as index:
            boxes = index.boxes().box_id
            try:
                found = len(index.vectors(boxes))
            except BadIndex as error:  # a shard is opened when it is needed: it says so, and mixes nothing
                assert "was built again since it was opened; open it again" in str(error)
                continue
            assert found == len(boxes) and found in (BOXES - 2, BOXES - 1, BOXES)
        opened += 1
    thread.join()
    assert not failed
    with Index.open(index_path) as index:
        assert len(index.vectors(index.boxes().box_id)) == index.manifest.counts.boxes
    assert opened > 0
