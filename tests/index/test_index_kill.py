"""A build killed at any point is finished by the same command, with the content of an unbroken one."""

from __future__ import annotations

import shutil
import time
from multiprocessing.context import BaseContext
from pathlib import Path

from healtheat.building.build import build
from healtheat.index import Index
from healtheat.sources.yolo.source import YoloSource
from tests.index.killed_build import run_build, run_killed
from tests.index.small_set import FakeEncoder, tables, write_set
from tests.kill_points import kill_points

TIMED_KILLS = 6


def _run(processes: BaseContext, data: Path, index_path: Path, kill_at: int) -> int | None:
    """Steps of the build, None if it was killed."""
    counted = index_path.parent / "steps.txt"
    counted.unlink(missing_ok=True)
    process = processes.Process(target=run_killed, args=(str(data), str(index_path), kill_at, str(counted)))
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the build hangs"
    if kill_at < 0:
        assert process.exitcode == 0
        return int(counted.read_text(encoding="utf-8"))
    assert process.exitcode != 0
    return None


def _change(data: Path) -> None:
    """Other labels: one box moved, one class id changed, class 7 gone from one image, an image gone."""
    labels = sorted((data.parent / "train" / "labels").iterdir())
    lines = labels[0].read_bytes().splitlines(keepends=True)
    labels[0].write_bytes(lines[0].replace(b" 0.2", b" 0.21").replace(b"0 ", b"3 ", 1) + b"".join(lines[1:]))
    for label in labels + sorted((data.parent / "valid" / "labels").iterdir()):
        kept = [line for line in label.read_bytes().splitlines(keepends=True) if not line.startswith(b"7 ")]
        label.write_bytes(b"".join(kept))
    sorted((data.parent / "train" / "images").iterdir())[-1].unlink()


def test_a_killed_first_build_is_finished_by_the_same_command(processes: BaseContext, tmp_path: Path) -> None:
    data = write_set(tmp_path / "자료")
    whole = tmp_path / "unbroken"
    steps = _run(processes, data, whole, -1)
    assert steps is not None and steps > 40
    expected = tables(whole)
    for point in kill_points(steps):
        index_path = tmp_path / f"killed at {point}"
        _run(processes, data, index_path, point)
        run_build(data, index_path)
        assert tables(index_path) == expected, f"killed at step {point} of {steps}"


def test_a_killed_rebuild_leaves_the_old_index_or_the_new_one(processes: BaseContext, tmp_path: Path) -> None:
    data = write_set(tmp_path / "자료")
    old_path = tmp_path / "old"
    run_build(data, old_path)
    old = tables(old_path)
    _change(data)
    index_path = tmp_path / "index"
    _copy(old_path, index_path)
    steps = _run(processes, data, index_path, -1)
    new = tables(index_path)
    assert steps is not None and new != old
    assert not (index_path / "vectors" / "7.faiss").exists()
    left = {"old": 0, "new": 0}
    for point in kill_points(steps):
        _copy(old_path, index_path)
        _run(processes, data, index_path, point)
        found = tables(index_path)  # opening finishes a move that was interrupted
        assert found in (old, new), f"killed at step {point} of {steps}"
        left["old" if found == old else "new"] += 1
        run_build(data, index_path)
        assert tables(index_path) == new, f"killed at step {point} of {steps}"
    assert left["old"] and left["new"]


def test_kills_from_outside_at_any_time(processes: BaseContext, tmp_path: Path) -> None:
    data = write_set(tmp_path / "자료", images=40)
    whole = tmp_path / "unbroken"
    started = time.perf_counter()
    _run(processes, data, whole, -1)
    whole_s = time.perf_counter() - started
    expected = tables(whole)
    index_path = tmp_path / "killed again and again"
    for number in range(TIMED_KILLS):
        process = processes.Process(
            target=run_killed, args=(str(data), str(index_path), 0, str(tmp_path / "steps.txt"))
        )
        process.start()
        process.join(whole_s * (number + 1) / (TIMED_KILLS + 1))
        process.kill()
        process.join()
    run_build(data, index_path)
    assert tables(index_path) == expected


def test_a_killed_build_does_not_start_again_from_nothing(processes: BaseContext, tmp_path: Path) -> None:
    data = write_set(tmp_path / "자료")
    steps = _run(processes, data, tmp_path / "unbroken", -1)
    assert steps is not None
    index_path = tmp_path / "killed"
    _run(processes, data, index_path, steps // 2)
    assert list((index_path / ".cache").glob("*.chunk"))
    encoder = FakeEncoder()
    report = build(YoloSource(data), index_path, encoder=encoder, signals=())
    assert report.reused > 0
    assert report.embedded == encoder.crops_seen < report.boxes + report.background
    assert not (index_path / ".cache").exists()
    with Index.open(index_path) as index:
        assert index.verify() == []


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
