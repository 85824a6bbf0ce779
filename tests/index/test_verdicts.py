"""Verdicts: append-only, on the disk before they count, and still there after the index was built again."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import signal
import threading
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healtheat.core import append
from healtheat.core.errors import BadIndex, InputError
from healtheat.index import Index, NewVerdict
from healtheat.index.verdicts import log
from healtheat.index.verdicts.log import HEAD_NAME, LOG_NAME, TORN_NAME, Target, VerdictLog
from tests.building.conftest import Build

ABOUT = Target("k", "images/사진 1.png", 0, 3)


def _append(folder: Path, **more: Any) -> None:
    about = {name: more.pop(name) for name in ("image", "line") if name in more}
    new: dict[str, Any] = {"issue": "mislabel", "verdict": "ok", "who": "김약사", "box_id": 0, **more}
    VerdictLog(folder).append(NewVerdict(**new), replace(ABOUT, **about))


def test_the_last_verdict_that_was_not_undone_counts(build_small: Build, index_path: Path) -> None:
    build_small()
    with Index.open(index_path) as index:
        first = index.judging.append(NewVerdict(box_id=4, issue="mislabel", verdict="drop", who="a"))
        second = index.judging.append(
            NewVerdict(box_id=4, issue="mislabel", verdict="relabel", relabel_to=7, who="b")
        )
        index.judging.append(NewVerdict(box_id=4, issue="bad_box", verdict="ok", who="b"))

        def current() -> dict[str, tuple[str, int | None]]:
            rows = index.sql("SELECT issue, verdict, relabel_to FROM current_verdicts WHERE box_id = 4")
            return {row["issue"]: (row["verdict"], row["relabel_to"]) for row in rows.to_pylist()}

        assert current() == {"mislabel": ("relabel", 7), "bad_box": ("ok", None)}
        index.judging.undo(second.seq, "b")
        assert current() == {"mislabel": ("drop", None), "bad_box": ("ok", None)}
        index.judging.undo(first.seq, "a")
        assert current() == {"bad_box": ("ok", None)}
        with pytest.raises(InputError, match="no verdict 1"):
            index.judging.undo(first.seq, "a")
        table = index.verdicts().to_pylist()
    assert [row["undone"] for row in table] == [True, True, False]
    assert [row["seq"] for row in table] == [1, 2, 3]
    assert {row["box_id"] for row in table} == {4}


def test_verdicts_survive_building_again_and_a_changed_box_asks_again(
    build_small: Build, index_path: Path, data: Path
) -> None:
    build_small()
    label = data.parent / "train" / "labels" / "사진 02.txt"
    with Index.open(index_path) as index:
        images, boxes = index.images(), index.boxes()
        image_id = int(images.image_id[images.path == "train/images/사진 02.png"][0])
        mine = boxes.box_id[boxes.image_id == image_id]
        for box_id in mine:
            index.judging.append(NewVerdict(box_id=int(box_id), issue="mislabel", verdict="ok", who="a"))
        index.judging.append(
            NewVerdict(image_id=image_id, class_id=12, issue="missing_box", verdict="unsure", who="a")
        )
    # The first line goes away, the second moves, the third stays; the image comes later than before.
    lines = label.read_bytes().splitlines(keepends=True)
    label.write_bytes(lines[1].replace(b" 0.3", b" 0.30", 1).replace(b"0.225", b"0.226") + lines[2])
    for folder in ("images", "labels"):
        for file in (data.parent / "train" / folder).glob("사진 02.*"):
            file.rename(file.with_name("zz 다른 이름" + file.suffix))
    build_small()
    with Index.open(index_path) as index:
        table = index.verdicts().to_pylist()
        boxes, images = index.boxes(), index.images()
        path = dict(zip(images.image_id.tolist(), images.path.tolist(), strict=True))
        assert [row["box_id"] is None for row in table] == [True, True, False, False]
        kept = boxes[boxes.box_id == table[2]["box_id"]]
        assert kept.line.tolist() == [1]
        assert path[int(kept.image_id[0])] == "train/images/zz 다른 이름.png"
        assert table[3]["box_id"] == -1 and path[table[3]["image_id"]] == "train/images/zz 다른 이름.png"
        current = index.sql("SELECT issue FROM current_verdicts ORDER BY issue").to_pylist()
        assert [row["issue"] for row in current] == ["mislabel", "missing_box"]
        assert index.verify() == []


def test_a_changed_class_id_asks_again(build_small: Build, index_path: Path, data: Path) -> None:
    build_small()
    with Index.open(index_path) as index:
        index.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="ok", who="a"))
        image = index.images().path[index.boxes().image_id[0]]
    label = data.parent / image.replace("images", "labels").replace(".png", ".txt")
    text = label.read_bytes()
    label.write_bytes(b"12" + text[1:])
    build_small()
    with Index.open(index_path) as index:
        assert index.verdicts()["box_id"].to_pylist() == [None]


def test_of_one_image_in_two_folders_only_the_copy_it_was_said_of(
    build_small: Build, index_path: Path, data: Path
) -> None:
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        copy = (data.parent / "train" / folder / f"사진 01.{suffix}").read_bytes()
        (data.parent / "valid" / folder / f"사진 01.{suffix}").write_bytes(copy)
    build_small()
    with Index.open(index_path) as index:
        rows = index.sql(
            "SELECT box_id, path FROM boxes JOIN images USING (image_id) "
            "WHERE path LIKE '%사진 01%' AND line = 0"
        ).to_pylist()
        assert len(rows) == 2
        there = next(row["box_id"] for row in rows if row["path"].startswith("valid"))
        index.judging.append(NewVerdict(box_id=there, issue="duplicate", verdict="drop", who="a"))
        assert index.sql("SELECT box_id FROM current_verdicts")["box_id"].to_pylist() == [there]


def test_another_process_sees_what_was_decided(build_small: Build, index_path: Path) -> None:
    build_small()
    with Index.open(index_path) as one, Index.open(index_path) as other:
        one.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="ok", who="a"))
        assert len(other.verdicts()) == 1
        other.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="drop", who="b"))
        one.judging.append(NewVerdict(box_id=2, issue="mislabel", verdict="unsure", who="a"))
        assert one.verdicts()["who"].to_pylist() == ["a", "b", "a"]


def test_many_threads_append_without_losing_any(build_small: Build, index_path: Path) -> None:
    build_small()
    with Index.open(index_path) as index:

        def judge(name: str) -> None:
            for box_id in range(5):
                index.judging.append(NewVerdict(box_id=box_id, issue="mislabel", verdict="ok", who=name))

        threads = [threading.Thread(target=judge, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        table = index.verdicts()
    assert table["seq"].to_pylist() == list(range(1, 21))
    assert len(VerdictLog(index_path).verdicts) == 20


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"verdict": "maybe"}, "choose from"),
        ({"verdict": "relabel"}, "class id"),
        ({"verdict": "ok", "relabel_to": 3}, "class id"),
        ({"verdict": "relabel", "relabel_to": -1}, "class id"),
        ({"verdict": "relabel", "relabel_to": 3, "box_id": -1}, "whole image"),
        ({"who": ""}, "who decided"),
        ({"who": "a\nb"}, "who decided"),
        ({"who": "x" * 201}, "who decided"),
        ({"image": "x" * 70_000}, "too long"),
    ],
)
def test_a_senseless_verdict_is_refused(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _append(tmp_path, **fields)
    assert not (tmp_path / LOG_NAME).exists()


def test_an_unfinished_last_line_is_set_aside_wherever_the_kill_came(tmp_path: Path) -> None:
    _append(tmp_path)
    _append(tmp_path, verdict="drop")
    log, head = (tmp_path / LOG_NAME).read_bytes(), (tmp_path / HEAD_NAME).read_bytes()
    _append(tmp_path, verdict="unsure")
    line = (tmp_path / LOG_NAME).read_bytes()[len(log) :]
    for size in range(1, len(line)):
        (tmp_path / LOG_NAME).write_bytes(log + line[:size])
        (tmp_path / HEAD_NAME).write_bytes(head)
        (tmp_path / TORN_NAME).unlink(missing_ok=True)
        reopened = VerdictLog(tmp_path)
        assert [v.verdict for v in reopened.verdicts] == ["ok", "drop"]
        assert reopened.torn == line[:size]
        _append(tmp_path, verdict="ok", who="next")
        assert [v.who for v in VerdictLog(tmp_path).verdicts] == ["김약사", "김약사", "next"]
        assert (tmp_path / TORN_NAME).read_bytes() == line[:size] + b"\n"


def test_a_line_written_but_not_yet_noted_in_the_head_counts(tmp_path: Path) -> None:
    _append(tmp_path)
    head = (tmp_path / HEAD_NAME).read_bytes()
    _append(tmp_path, verdict="drop")
    (tmp_path / HEAD_NAME).write_bytes(head)  # as after a kill between the two writes
    assert [v.verdict for v in VerdictLog(tmp_path).verdicts] == ["ok", "drop"]
    _append(tmp_path, verdict="unsure")
    assert len(VerdictLog(tmp_path).verdicts) == 3


def test_lines_that_were_changed_moved_or_cut_off_are_damage(tmp_path: Path) -> None:
    for verdict in ("ok", "drop", "unsure"):
        _append(tmp_path, verdict=verdict)
    log = (tmp_path / LOG_NAME).read_bytes()
    lines = log.splitlines(keepends=True)
    for changed in (
        lines[0] + lines[2],  # one taken out
        lines[1] + lines[0] + lines[2],  # order changed
        lines[0] + lines[1],  # cut off the end
        lines[0] + lines[1].replace(b"drop", b"okay") + lines[2],
        lines[0] + lines[0] + lines[1] + lines[2],
        lines[0] + b"\n" + lines[1] + lines[2],
        b"",
    ):
        (tmp_path / LOG_NAME).write_bytes(changed)
        with pytest.raises(BadIndex, match=r"verdicts\.jsonl"):
            VerdictLog(tmp_path)
    (tmp_path / LOG_NAME).unlink()
    with pytest.raises(BadIndex, match="expected 3 verdicts, found 0"):
        VerdictLog(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    who=st.text(min_size=1, max_size=50).filter(str.isprintable),
    image=st.text(st.characters(codec="utf-8"), max_size=80),
    line=st.integers(-1, 2**40),
)
def test_any_text_comes_back_as_it_was(tmp_path: Path, who: str, image: str, line: int) -> None:
    for name in (LOG_NAME, HEAD_NAME):
        (tmp_path / name).unlink(missing_ok=True)
    _append(tmp_path, who=who, image=image, line=line)
    found = VerdictLog(tmp_path).verdicts[0]
    assert (found.who, found.image, found.line) == (who, image, line)


def _judge_until_killed(folder: str, told: str) -> None:
    log = VerdictLog(Path(folder))
    with Path(told).open("ab", buffering=0) as saved:
        while True:
            log.append(NewVerdict("mislabel", "ok", "a", box_id=0), ABOUT)
            saved.write(b".")


def test_a_kill_loses_no_verdict_that_was_told_as_saved(processes: BaseContext, tmp_path: Path) -> None:
    told = tmp_path / "told"
    kill = getattr(signal, "SIGKILL", signal.SIGTERM)
    for round_ in range(3):
        before = told.stat().st_size if told.exists() else 0
        process = processes.Process(target=_judge_until_killed, args=(str(tmp_path), str(told)))
        process.start()
        while not told.exists() or told.stat().st_size < before + 3 + 5 * round_:
            process.join(0.005)
            assert process.is_alive()
        assert process.pid is not None
        os.kill(process.pid, kill)
        process.join()
        found = len(VerdictLog(tmp_path).verdicts)
        assert told.stat().st_size <= found <= told.stat().st_size + round_ + 1


def _full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _saved(folder: Path) -> list[str]:
    return [verdict.verdict for verdict in VerdictLog(folder).verdicts]


def test_a_verdict_is_saved_though_its_head_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _append(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(log, "write_file", _full)
        _append(tmp_path, verdict="drop")
    assert _saved(tmp_path) == ["ok", "drop"]
    _append(tmp_path, verdict="unsure")
    assert _saved(tmp_path) == ["ok", "drop", "unsure"]


def test_a_verdict_is_saved_though_its_lock_is_not_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def no_unlock(file: Any, what: int) -> None:
        _full() if what == fcntl.LOCK_UN else flock(file, what)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_unlock)
        _append(tmp_path)
    assert _saved(tmp_path) == ["ok"]


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("half", [False, True])
def test_what_was_not_saved_does_not_count_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, half: bool
) -> None:
    """The disk fails when all is written and not synced, or is full in the middle of the second line."""
    _append(tmp_path)
    before = (tmp_path / LOG_NAME).read_bytes()
    decided = [(NewVerdict("mislabel", "drop", "a", box_id=n), ABOUT) for n in range(lines)]
    opening, fsync, failed = pathlib.Path.open, os.fsync, []

    def opened(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        file = opening(path, mode, *args, **more)
        return _Full(file) if half and path.name == LOG_NAME and "a" in mode else file

    def sync_fails_once(handle: int) -> None:
        if not failed and not half:
            failed.append(handle)
            _full()
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "open", opened)
        there = VerdictLog(tmp_path)
        patch.setattr(os, "fsync", sync_fails_once)
        with pytest.raises(OSError, match=LOG_NAME):
            there.append_all(decided)
    assert (tmp_path / LOG_NAME).read_bytes() == before
    assert len(there.append_all(decided)) == lines  # the same object goes on
    assert _saved(tmp_path) == ["ok"] + ["drop"] * lines


class _Full:
    """A file on a disk that has room for 500 bytes more."""

    def __init__(self, file: Any) -> None:
        self._file, self._room = file, 500

    def write(self, data: Any) -> int:
        if not self._room:
            _full()
        written = self._file.write(data[: self._room])
        self._room -= written
        if self._room:
            _full()  # one line alone fits: then the disk fails instead
        return int(written)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_where_nobody_can_know_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _append(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        patch.setattr(append, "_take_out", lambda file, at, error: append_take_out(Stuck(file), at, error))
        with pytest.raises(append.NotKnown, match="not known whether"):
            _append(tmp_path, verdict="drop")


append_take_out = append._take_out


class Stuck:
    """A file that cannot be cut any more."""

    truncate = staticmethod(_full)

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_no_verdict_makes_a_folder_again(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    _append(folder)
    there = VerdictLog(folder)
    folder.rename(tmp_path / "moved")
    with pytest.raises(BadIndex, match="not there any more"):
        there.append(NewVerdict("mislabel", "drop", "a", box_id=0), ABOUT)
    assert not folder.exists()
    assert _saved(tmp_path / "moved") == ["ok"]
