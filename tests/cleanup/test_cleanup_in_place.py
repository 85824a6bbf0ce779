"""In place and back: byte for byte, at whatever point either is killed."""

import json
import os
import shutil
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from healtheat.cleanup import (
    Plan,
    apply_in_place,
    finish,
    inplace,
    pending,
    plan_labels,
    rollback,
    write_copy,
)
from healtheat.cleanup.run import HOME
from healtheat.core.errors import InputError
from healtheat.index import NewVerdict
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage
from tests.cleanup.killed import run as run_killed
from tests.cleanup.small_yolo import LABELS, PROBLEMS, decide_some, make_index, tree
from tests.made_index import MadeIndex

KILLS = 21  # a scenario, spread evenly over its steps


def test_in_place_and_back(decided: MadeIndex) -> None:
    root = decided.root
    before = tree(root)
    times = (root / "labels/train/a.txt").stat().st_mtime_ns
    plan = plan_labels(decided)
    run = apply_in_place(plan)
    assert (root / "labels/train/a.txt").read_bytes() == b"3 0.1 0.5 0.25 0.125\r\n40 0.3 0.5 0.25 0.125"
    kept = LABELS["images/train/가 나.jpg"]
    assert (root / "labels/train/가 나.txt").read_bytes() == f"{kept[0]}\n{kept[2]}\n".encode()
    after = tree(root)
    gone = {"images/val/a.jpg", "labels/val/a.txt"}
    caches = {"labels/train.cache", "labels/val.cache", "labels/train/deep.cache"}
    assert before.keys() - after.keys() == gone | caches
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {edit.path for edit in plan.edits} - gone
    assert {path: tree(run.folder / "originals")[path] for path in gone | caches | changed} == {
        path: before[path] for path in gone | caches | changed
    }
    assert {f.name for f in run.folder.iterdir()} >= {
        "removed.csv",
        "relabel.csv",
        "boxes.csv",
        "held_back.csv",
        "apply.json",
    }
    assert pending(root) is None
    done = rollback(root)
    assert tree(root) == before
    assert done.left == [] and len(done.restored) == len(gone | caches | changed)
    assert (root / "labels/train/a.txt").stat().st_mtime_ns == times
    with pytest.raises(InputError, match="no cleanup to roll back"):
        rollback(root)


def test_what_is_left_is_a_data_set(decided: MadeIndex) -> None:
    apply_in_place(plan_labels(decided))
    images = {
        r.path: r for r in open_source(decided.root / "data.yaml").read() if isinstance(r, LabelledImage)
    }
    assert images.keys() == LABELS.keys() - {"images/val/a.jpg"}
    assert images["images/train/a.jpg"].boxes.class_id.tolist() == [3, 40]
    assert images["images/train/a.jpg"].boxes.line.tolist() == [0, 1]


def test_two_cleanups_are_undone_one_by_one(index: MadeIndex, tmp_path: Path) -> None:
    start = tree(index.root)
    index.judging.append(NewVerdict(box_id=1, issue="background", verdict="drop", who="a"))
    apply_in_place(plan_labels(index))
    middle = tree(index.root)
    with pytest.raises(InputError, match="changed since the build"):  # its lines moved: build first
        plan_labels(index)
    again = MadeIndex(
        tmp_path / "again",
        names={3: "a", 7: "b", 40: "c"},
        root=tmp_path / "other",
        labels=LABELS,
        problems=PROBLEMS,
        findings=[{"image": "images/val/b.jpg", "line": 0, "issue": "background"}],
    )
    again.judging.append(NewVerdict(box_id=8, issue="background", verdict="drop", who="a"))
    source = again.manifest.source.model_copy(
        update={"root": index.root.as_posix(), "data": (index.root / "data.yaml").as_posix()}
    )
    label = "labels/val/b.txt"
    again.manifest = again.manifest.model_copy(
        update={"source": source, "label_files": {label: index.label_files[label]}}
    )
    apply_in_place(plan_labels(again))
    assert rollback(index.root).restored == [label]
    assert tree(index.root) == middle
    rollback(index.root)
    assert tree(index.root) == start


def test_what_was_edited_since_is_not_overwritten(decided: MadeIndex) -> None:
    root = decided.root
    before = tree(root)
    apply_in_place(plan_labels(decided))
    label = root / "labels/train/a.txt"
    label.write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    now = tree(root)
    with pytest.raises(InputError, match=r"labels/train/a\.txt: edited after the cleanup"):
        rollback(root)
    assert tree(root) == now
    done = rollback(root, keep_edited=True)
    assert done.left == ["labels/train/a.txt"]
    assert label.read_text(encoding="utf-8") == "7 0.5 0.5 0.1 0.1\n"
    after = tree(root)
    assert {**after, "labels/train/a.txt": ""} == {**before, "labels/train/a.txt": ""}


def test_caches_written_since_go_on_rollback(decided: MadeIndex) -> None:
    root = decided.root
    before = tree(root)
    run = apply_in_place(plan_labels(decided))
    (root / "labels/train.cache").write_bytes(b"\x93NUMPY of the cleaned labels")
    (root / "labels/more.cache").write_bytes(b"\x93NUMPY new")
    rollback(root)
    assert tree(root) == before
    assert sorted(tree(run.folder / "replaced")) == ["labels/more.cache", "labels/train.cache"]


def test_a_label_that_changes_before_the_first_step_stops_everything(decided: MadeIndex) -> None:
    plan = plan_labels(decided)
    (decided.root / "labels/train/가 나.txt").write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    before = tree(decided.root)
    with pytest.raises(InputError, match="changed since the build"):
        apply_in_place(plan)
    assert tree(decided.root) == before
    assert not (decided.root / HOME).exists()


def test_a_damaged_original_is_never_put_back(decided: MadeIndex) -> None:
    run = apply_in_place(plan_labels(decided))
    (run.folder / "originals/labels/train/a.txt").write_bytes(b"x")
    before = tree(decided.root)
    with pytest.raises(InputError, match="gone or damaged"):
        rollback(decided.root)
    assert tree(decided.root) == before


@pytest.mark.parametrize(
    "path", ["../out.txt", "/out.txt", "labels/../../out.txt", "C:/out.txt", "link/out.txt"]
)
def test_a_strangers_plan_cannot_write_elsewhere(path: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "data"
    folder = root / HOME / "0001"
    (folder / "originals/link").mkdir(parents=True)
    (folder / "originals/link/out.txt").write_bytes(b"evil")
    (root / "link").symlink_to(outside)
    digest = "ff" * 32
    step = {"path": path, "kind": "file", "drop": [], "before": digest, "after": ""}
    plan = {"version": 1, "at": "", "steps": [step], "label_folders": []}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    for act in (rollback, finish):
        with pytest.raises(InputError):
            act(root)
    assert [*outside.iterdir()] == []
    assert sorted(f.name for f in tmp_path.iterdir()) == ["data", "outside"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.parametrize("name", ["0002", "0000", "9" * 20, "٠٠٠٣", "notes"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch])
def test_what_is_no_run_stands_in_the_way_of_none(
    decided: MadeIndex, name: str, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(decided.root)
    with monkeypatch.context() as broken:
        broken.setattr(inplace, "remove", _stopped)
        with pytest.raises(KeyboardInterrupt):
            apply_in_place(plan_labels(decided))
    make(decided.root / HOME / name)
    run = finish(decided.root)
    assert run is not None and run.folder.name == "0001"
    rollback(decided.root)
    assert tree(decided.root) == before
    assert apply_in_place(plan_labels(decided)).folder.name == ("0003" if name == "0002" else "0002")


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_hinders_a_cleanup_is_named_with_what_to_do(decided: MadeIndex) -> None:
    run = apply_in_place(plan_labels(decided))
    home = decided.root / HOME
    (run.folder / "journal.jsonl").rename(run.folder / "kept")
    (run.folder / "journal.jsonl").mkdir()
    with pytest.raises(InputError, match=r"0001/journal\.jsonl: not a regular file.*move it away and run"):
        rollback(decided.root)
    (run.folder / "journal.jsonl").rmdir()
    (home / "0002").mkdir()
    (home / "0002/notes.txt").touch()
    with pytest.raises(InputError, match=r"0002/plan\.json: not found.*0002 is no cleanup of yours, move it"):
        rollback(decided.root)
    shutil.rmtree(home / "0002")
    (home.parent / "lock").unlink(missing_ok=True)
    (home.parent / "lock").mkdir()
    with pytest.raises(InputError, match="lock: not a regular file, and a lock file is expected; remove it"):
        rollback(decided.root)
    (home.parent / "lock").rmdir()
    home.rename(home.with_name("kept"))
    home.touch()
    with pytest.raises(InputError, match=r"applied: is no folder, .*; move it away"):
        rollback(decided.root)
    home.unlink()
    home.with_name("kept").rename(home)
    rollback(decided.root)


def test_linked_folders_are_not_changed_in_place(decided: MadeIndex, tmp_path: Path) -> None:
    plan = plan_labels(decided)
    labels = decided.root / "labels"
    labels.rename(tmp_path / "elsewhere")
    labels.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="reached by a link"):
        apply_in_place(plan)


def test_lists_of_images_lose_the_images_that_go(decided: MadeIndex) -> None:
    root = decided.root
    lines = ["./images/val/b.jpg\r\n", "images/val/a.jpg\n", "./images/val/a.jpg"]
    (root / "val.txt").write_bytes("".join(lines).encode())
    text = (root / "data.yaml").read_text(encoding="utf-8").replace("val: images/val", "val: val.txt")
    (root / "data.yaml").write_text(text, encoding="utf-8")
    from healtheat.core.atomic import sha256_file
    from healtheat.index.manifest import FileEntry

    entry = FileEntry(sha256=sha256_file(root / "val.txt"), size=(root / "val.txt").stat().st_size)
    decided.label_files["val.txt"] = entry
    before = tree(root)
    apply_in_place(plan_labels(decided))
    assert (root / "val.txt").read_bytes() == b"./images/val/b.jpg\r\n"
    rollback(root)
    assert tree(root) == before


# ---- killed ----


def _kill(processes: BaseContext, what: str, argument: object, at: int, scratch: Path) -> int | None:
    """The number of steps if it lived."""
    counted = scratch / "steps.txt"
    counted.unlink(missing_ok=True)
    process = processes.Process(target=run_killed, args=(what, argument, at, str(counted)))
    process.start()
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    if counted.exists():
        return int(counted.read_text(encoding="utf-8"))
    assert process.exitcode not in (0, 1), "it failed instead of being killed"
    return None


def _spread(steps: int) -> list[int]:
    return sorted({1 + round(k * (steps - 1) / (KILLS - 1)) for k in range(KILLS)})


@pytest.fixture
def ready(tmp_path: Path) -> tuple[MadeIndex, Plan, dict[str, str], dict[str, str]]:
    """The index, the plan, the data set before and after."""
    index = make_index(tmp_path)
    decide_some(index)
    plan, before = plan_labels(index), tree(index.root)
    shutil.copytree(index.root, tmp_path / "pristine")
    apply_in_place(plan)
    after = tree(index.root)
    _reset(index.root)
    return index, plan, before, after


def _reset(root: Path) -> None:
    shutil.rmtree(root)
    shutil.copytree(root.parent / "pristine", root)


Ready = tuple[MadeIndex, Plan, dict[str, str], dict[str, str]]


def test_killed_apply_is_finished_or_undone(processes: BaseContext, ready: Ready, tmp_path: Path) -> None:
    index, plan, before, after = ready
    steps = _kill(processes, "apply", plan, -1, tmp_path)
    assert steps is not None and steps > KILLS
    met = set()
    for number, point in enumerate(_spread(steps)):
        _reset(index.root)
        assert _kill(processes, "apply", plan, point, tmp_path) is None, f"not killed at {point}"
        run = pending(index.root)
        met.add(run is None)
        if number % 2:
            if run is not None:
                finish(index.root)
            elif tree(index.root) == before:  # killed before anything was begun
                apply_in_place(plan)
            assert tree(index.root) == after, f"killed at step {point} of {steps}"
        if tree(index.root) != before or run is not None:
            rollback(index.root)
        assert tree(index.root) == before, f"killed at step {point} of {steps}"
    assert met == {True, False}


def test_killed_rollback_is_finished(processes: BaseContext, ready: Ready, tmp_path: Path) -> None:
    index, plan, before, _ = ready
    root = index.root
    apply_in_place(plan)
    (root / "labels/train.cache").write_bytes(b"\x93NUMPY of the cleaned labels")
    shutil.rmtree(root.parent / "pristine")
    shutil.copytree(root, root.parent / "pristine")
    steps = _kill(processes, "rollback", root, -1, tmp_path)
    assert steps is not None and steps > 20
    for point in _spread(steps):
        _reset(root)
        assert _kill(processes, "rollback", root, point, tmp_path) is None
        run = pending(root)
        if run is not None:
            with pytest.raises(InputError, match="healtheat rollback"):
                finish(root)
        if run is not None or tree(root) != before:
            rollback(root)
        assert tree(root) == before, f"killed at step {point} of {steps}"


def test_killed_copy_starts_over(processes: BaseContext, ready: Ready, tmp_path: Path) -> None:
    index, plan, before, _ = ready
    to = tmp_path / "cleaned"
    steps = _kill(processes, "copy", (plan, to), -1, tmp_path)
    assert steps is not None and steps > 20
    expected = tree(to)
    for point in _spread(steps):
        shutil.rmtree(to, ignore_errors=True)
        assert _kill(processes, "copy", (plan, to), point, tmp_path) is None
        if not to.exists():
            write_copy(plan, to)
        assert tree(to) == expected, f"killed at step {point} of {steps}"
        assert not [f for f in tmp_path.iterdir() if f.name.endswith("unfinished")]
    assert tree(index.root) == before
