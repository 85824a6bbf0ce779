"""`apply` as one call: plan, and write where it is told to."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from healtheat.cleanup.batches import check_in_place
from healtheat.cleanup.copy import LISTS_FOLDER, write_copy
from healtheat.cleanup.figures import Figures
from healtheat.cleanup.inplace import apply_in_place, finish, stale_caches
from healtheat.cleanup.plan import plan_labels
from healtheat.cleanup.rows import drop_for
from healtheat.cleanup.run import pending
from healtheat.cleanup.train import train_command, why_refused
from healtheat.core.drop import Drop
from healtheat.core.errors import Argument, InputError
from healtheat.core.progress import Progress, silent
from healtheat.findings.filters import Filters
from healtheat.index import Index


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did. `done` is planned (nothing was written), nothing (there was nothing to take out in
    place), copied, changed (in place), or finished (an earlier run in place, which was killed).

    `folder` is the copy, or in place the folder with originals and lists; None where nothing was written.
    `lists` is the folder of removed.csv and the other lists. `figures` are None for a run that was finished.
    `command` trains on the copy of a YOLO data set, `refused` says why Ultralytics would take no such copy.
    `stale_caches` are label caches of Ultralytics that a cleanup in place moves aside, relative to the root.
    """

    done: Literal["planned", "nothing", "copied", "changed", "finished"]
    figures: Figures | None
    folder: Path | None = None
    lists: Path | None = None
    stale_caches: tuple[str, ...] = ()
    command: str = ""
    refused: str = ""


def apply(
    index: Index,
    to: str | os.PathLike[str] | None = None,
    *,
    in_place: bool = False,
    flagged: bool = False,
    drop: Drop | None = None,
    max_share: float | None = None,
    filters: Filters | None = None,
    progress: Progress = silent,
) -> Applied:
    """Take out of the labels what people decided to drop; a dry run unless `to` or `in_place` is given.

    `to` is a new folder for a cleaned copy, from which also goes what people want relabelled. `in_place`
    changes the data set itself, and finishes an earlier such run that was killed instead; `rollback` undoes
    it. `flagged` also takes out what is only flagged, `drop="images"` the whole image of a box; `drop="mask"`
    greys it out in the copy as well. `filters` narrow it (their verdicts, statuses and `flagged_only` do not
    count). Nothing is written where more than `max_share` (0.1) of the boxes or images would go. Raises
    InputError for that, where something changed since the build or where the target cannot be used.
    """
    if to is not None and in_place:
        raise InputError(
            Argument("to"),
            " writes a copy and ",
            Argument("in_place"),
            " changes the data set; give one of them",
        )
    root = Path(index.manifest.source.root)
    if in_place and pending(root) is not None:
        run = finish(root, progress=progress)
        if run is not None:
            return Applied("finished", None, run.folder, run.folder)
    if in_place:
        check_in_place(index)
    chosen = drop_for(drop, index.manifest.source.edits, in_place=in_place)
    plan = plan_labels(index, filters, flagged=flagged, drop=chosen, copied=to is not None)
    figures, caches = Figures.of(plan), () if to is not None else tuple(stale_caches(plan))
    if (why := figures.too_much(max_share)) and (to is not None or in_place):
        raise InputError(*why)
    if to is not None:
        to = Path(to)
        write_copy(plan, to, progress=progress)
        done = Applied("copied", figures, to, to / LISTS_FOLDER)
        if not (to / "data.yaml").is_file():  # COCO, or a folder without class names
            return done
        return replace(done, command=train_command(plan, to / "data.yaml"), refused=why_refused(plan))
    if not in_place:
        return Applied("planned", figures, stale_caches=caches)
    if not plan.edits:
        return Applied("nothing", figures)
    run = apply_in_place(plan, progress=progress)
    return Applied("changed", figures, run.folder, run.folder, caches)
