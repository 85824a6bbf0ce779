"""Cleaning a data set in place: journalled, every original kept, finished by the same command if killed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from healtheat.cleanup.edits import without_annotations, without_lines
from healtheat.cleanup.files import caches, hash_of, put, quarantine, remove, sweep_folders
from healtheat.cleanup.lists import write_lists
from healtheat.cleanup.plan import Plan
from healtheat.cleanup.rows import drop_for
from healtheat.cleanup.run import Run, Step, create, inside, one_at_a_time, pending
from healtheat.core.errors import InputError
from healtheat.core.paths import relative
from healtheat.core.progress import Progress, silent

_TO_FINISH = "run `healtheat apply --in-place` to finish it, or `healtheat rollback` to undo it"


def apply_in_place(plan: Plan, *, progress: Progress = silent) -> Run:
    """Take out of the data set itself what the plan takes out; `rollback` puts everything back.

    Before the first file is touched, all of them are compared with the plan. Each original is kept in the
    run's `originals/` before the file is replaced in one step. A killed run is finished by `finish`. Raises
    InputError if a file changed, lies outside the data set's folder, an earlier run is unfinished, or the
    plan greys out boxes: images are never changed.
    """
    drop_for(plan.drop, plan.by, in_place=True)
    with one_at_a_time(plan.root):
        if (unfinished := pending(plan.root)) is not None:
            raise InputError(f"{unfinished.folder}: was begun and never finished; {fix_for(unfinished)}")
        run = create(plan.root, _steps(plan), _label_folders(plan), lambda folder: write_lists(plan, folder))
        _work(run, progress)
    return run


def finish(root: Path, *, progress: Progress = silent) -> Run | None:
    """Finish the cleanup of this data set that was killed; None if there is none. Raises InputError."""
    with one_at_a_time(root):
        run = pending(root)
        if run is None:
            return None
        if run.state != "applying":
            raise InputError(f"{run.folder}: {fix_for(run)}")
        _work(run, progress)
    return run


def fix_for(run: Run) -> str:
    """What to do about an unfinished run."""
    if run.state == "rolling back":
        return "its rollback was begun; run `healtheat rollback` again"
    return _TO_FINISH


def _steps(plan: Plan) -> list[Step]:
    steps = []
    for edit in plan.edits:
        if hash_of(inside(plan.root, edit.path)) != edit.before:
            raise InputError(f"{edit.path}: changed since the build; build again")
        steps.append(
            Step(path=edit.path, kind=edit.kind, drop=list(edit.drop), before=edit.before, after=edit.after)
        )
    if not steps:
        return []
    for path in stale_caches(plan):
        file = inside(plan.root, path)
        steps.append(Step(path=path, kind="cache", drop=[], before=hash_of(file), after=""))
    return steps


def stale_caches(plan: Plan) -> list[str]:
    """Label caches of Ultralytics that `apply_in_place` moves aside, relative to the root; none where nothing
    else changes.
    """
    folders = _label_folders(plan) if plan.edits else ()
    return [relative(file, plan.root) for file in caches(plan.root / folder for folder in folders)]


def _label_folders(plan: Plan) -> list[str]:
    """Folders of label files that lie in the data set, relative to its root."""
    if plan.by != "lines":
        return []
    folders = {Path(image.label_path).parent.as_posix() for image in plan.images if image.label_path}
    return sorted(f for f in folders if not Path(f).is_absolute() and ".." not in Path(f).parts)


def _work(run: Run, progress: Progress) -> None:
    """Do every step that is not done yet. Safe to repeat from any point."""
    with run.telling(_TO_FINISH):
        _steps_of(run, progress)


def _steps_of(run: Run, progress: Progress) -> None:
    steps = run.plan.steps
    found = [_found(run, step) for step in steps]  # nothing is touched if one of them is not as expected
    sweep_folders(place for step in steps for place in (run.file(step), run.original(step)))
    for number, (step, now) in enumerate(zip(steps, found, strict=True)):
        file = run.file(step)
        if now == step.before:
            data = quarantine(file, run.original(step), step.before)
            run.note("step", step=number, path=step.path, kind=step.kind)
            if step.after:
                put(file, _result(step, data), file, times=False)
            else:
                remove(file)
        progress("apply", number + 1, len(steps))
    run.note("applied")


def _found(run: Run, step: Step) -> str:
    now = hash_of(run.file(step))
    if now != step.before and now != step.after:
        raise InputError(
            f"{step.path}: somebody changed it since this cleanup began; `healtheat rollback` undoes it"
        )
    if now == step.after and hash_of(run.original(step)) != step.before:
        raise InputError(f"{run.original(step)}: the original is gone or damaged; restore it from a copy")
    return now


def _result(step: Step, data: bytes) -> bytes:
    left = (without_lines if step.kind == "lines" else without_annotations)(data, frozenset(step.drop))
    if hashlib.sha256(left).hexdigest() != step.after:
        raise InputError(f"{step.path}: the plan does not fit the file; `healtheat rollback` undoes it")
    return left
