"""Undoing a cleanup in place: every file back, byte for byte, from the quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from healtheat.cleanup.files import caches, hash_of, put, quarantine, remove, sweep_folders
from healtheat.cleanup.run import REPLACED, Run, Step, one_at_a_time, runs
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import read_whole
from healtheat.core.paths import relative
from healtheat.core.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class RolledBack:
    """`restored` files are as they were before; `left` were edited after the cleanup and stay as they are."""

    run: Run
    restored: list[str]
    left: list[str]


def rollback(root: Path, *, keep_edited: bool = False, progress: Progress = silent) -> RolledBack:
    """Undo the last cleanup in place of the data set at `root`, finished or not.

    Label caches that were written since are stale and go. Files that somebody edited after the cleanup are
    never overwritten: InputError names them, before anything is touched, unless `keep_edited`. A killed
    rollback is finished by calling this again. Raises InputError if there is nothing to undo.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the data set's folder")
    with one_at_a_time(root):
        open_runs = [run for run in runs(root) if run.state != "rolled back"]
        if not open_runs:
            raise InputError(f"{root}: there is no cleanup to roll back")
        run = open_runs[-1]
        left = _check(run)
        if left and not keep_edited:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise InputError(
                f"{left[0]}{more}: edited after the cleanup; add ",
                Argument("keep_edited", True),
                f" to roll back everything else (their originals are in {run.folder / 'originals'})",
            )
        with run.telling("run `healtheat rollback` again"):
            if run.state != "rolling back":
                run.note("rollback")
            _drop_new_caches(run)
            restored = _restore(run, set(left), progress)
            run.note("rolled back", left=left)
    return RolledBack(run, restored, left)


def _check(run: Run) -> list[str]:
    """Files that were edited since. Raises InputError if an original that is needed is gone or damaged."""
    left = []
    for step in run.plan.steps:
        now = hash_of(run.file(step))
        if now == step.before:
            continue
        if step.kind != "cache" and now != step.after:
            left.append(step.path)
        elif hash_of(run.original(step)) != step.before:
            raise InputError(f"{run.original(step)}: the original is gone or damaged; restore it from a copy")
    return left


def _restore(run: Run, left: set[str], progress: Progress) -> list[str]:
    sweep_folders(place for step in run.plan.steps for place in (run.file(step), run.original(step)))
    restored = []
    for number, step in enumerate(reversed(run.plan.steps)):
        file = run.file(step)
        if step.path not in left and hash_of(file) != step.before:
            kept = run.original(step)
            put(file, read_whole(kept), kept)
            run.note("restored", path=step.path)
            restored.append(step.path)
        progress("rollback", number + 1, len(run.plan.steps))
    return restored


def _drop_new_caches(run: Run) -> None:
    """Caches of the cleaned labels would be believed for the old ones: keep them aside."""
    known: dict[str, Step] = {step.path: step for step in run.plan.steps if step.kind == "cache"}
    for file in caches(run.root / folder for folder in run.plan.label_folders):
        path, now = relative(file, run.root), hash_of(file)
        if path not in known or now != known[path].before:
            quarantine(file, run.kept(REPLACED, path), now)
            remove(file)
