"""`export` as one call: findings or images in one of `FORMATS`, or lists to train on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healtheat.core.drop import Drop
from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.exporting.formats import Format, check_options, format_of
from healtheat.findings.filters import LISTED, STATUSES, Filters
from healtheat.findings.query import query, unit_of

if TYPE_CHECKING:
    from healtheat.cleanup import Figures, Plan
    from healtheat.exporting.patch.changes import Changes
    from healtheat.index import Index


@dataclass(frozen=True, slots=True)
class Exported:
    """What `export` wrote, or planned to: `written` is false for the dry run of a YOLO cleanup.

    `files` are what lies in `to`, with the folder `edited` of a YOLO cleanup, or `to` and what belongs to it.
    `findings` counts rows of a table, or boxes with a finding of a hand-off; `images` and `boxes` are what
    was handed over, None elsewhere. `changes` is what a patch holds, and what it leaves alone and why.
    `cleanup` are the figures of a YOLO cleanup, and `blocked` says why it could not be written; `command`
    trains on it, `refused` says why Ultralytics would take no such data set. `parts` of a vetted batch are
    its images that are `whole` accepted, `partly` so, and those with a `held` box. The rest is for warnings:
    `changed` label files, whose lines may have moved since the build, `unreadable` images that were left out,
    and `formula_cells` of a CSV that a spreadsheet runs.
    """

    format: str
    to: Path
    files: tuple[Path, ...]
    written: bool = True
    findings: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    images: int | None = None
    boxes: int | None = None
    unreadable: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    formula_cells: int = 0
    changes: Changes | None = None
    cleanup: Figures | None = None
    blocked: InputError | None = None
    command: str = ""
    refused: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)


def export(
    index: Index,
    to: str | os.PathLike[str],
    format: str | None = None,
    *,
    filters: Filters | None = None,
    drop: Drop | None = None,
    max_share: float | None = None,
    write: bool = False,
    spreadsheet: bool = False,
    crops: bool = False,
    overwrite: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Exported:
    """Write findings to `to`, never over a file of the data set, among its images and labels or in an index.

    `format` is the name of one of `FORMATS`; None takes it from the suffix of `to`. `filters` choose findings
    as for `query`. Only for yolo: `drop` (what goes for a box), `write` (without it a dry run), `max_share`
    (nothing is written where more of the boxes or images would go) and `force` (leave out images whose label
    files changed). Only for csv: `spreadsheet`. Only for atlas: `crops`. `overwrite` replaces what is there.
    Raises InputError for what cannot be written or means nothing.
    """
    to, filters = Path(to), filters or Filters()
    chosen = format_of(to, format)
    given = {"crops": crops, "spreadsheet": spreadsheet, "drop": drop is not None}
    given["max-share"] = max_share is not None
    check_options(chosen, {**given, "write": write, "force": force})
    if chosen.needs == "plan":
        from healtheat.cleanup import plan_training

        plan = plan_training(index, filters, drop=drop, force=force)
        return _plan(plan, to, chosen, max_share, write=write, overwrite=overwrite)
    if chosen.needs == "decisions":
        return _decisions(index, filters, to, chosen, overwrite)
    if chosen.needs == "changes":
        return _changes(index, filters, to, chosen, overwrite)
    _check_free(index, chosen, to, chosen.files(to), overwrite)
    options = {name: value for name, value in given.items() if name in chosen.takes}
    if chosen.needs == "rows":
        return _rows(index, filters, to, chosen, options)
    return _images(index, filters, to, chosen, options, progress)


def _rows(index: Index, filters: Filters, to: Path, format: Format, options: Mapping[str, Any]) -> Exported:
    from healtheat.core.table import formula_cells

    if filters.flagged_only and not (filters.verdicts or filters.statuses):
        filters = replace(filters, statuses=LISTED)  # the list also tells what people cleared and confirmed
    rows = query(index, filters, each=unit_of(filters, "box"))
    _write(format, rows, format.files(to), options)
    found = Counter(rows["status"].to_pylist())
    return Exported(
        format.name,
        to,
        format.files(to),
        findings=rows.num_rows,
        statuses={status: found[status] for status in STATUSES if found[status]},
        changed=tuple(index.changed_label_files()),
        formula_cells=0 if options.get("spreadsheet", True) else formula_cells(rows),  # of a plain CSV
    )


def _images(
    index: Index,
    filters: Filters,
    to: Path,
    format: Format,
    options: Mapping[str, Any],
    progress: Progress,
) -> Exported:
    from healtheat.exporting.handoff import gather

    given = gather(index, filters, progress=progress)
    _write(format, given, format.files(to), options)
    boxes = [box for image in given.images for box in image.boxes]
    return Exported(
        format.name,
        to,
        format.files(to),
        findings=sum(box.finding is not None for box in boxes),
        images=len(given.images),
        boxes=len(boxes),
        unreadable=tuple(given.unreadable),
    )


def _decisions(index: Index, filters: Filters, to: Path, format: Format, overwrite: bool) -> Exported:
    from healtheat.exporting.vetted.gather import HELD, PARTLY, WHOLE, gather_vetted

    if filters != Filters():
        raise InputError(f"{format.name} holds every box of a batch; leave the filters out")
    given = gather_vetted(index)
    if format.writes_folder:
        files = tuple(to / name for name in format.write(given, to, overwrite=overwrite))
    else:
        files = format.files(to)
        _check_free(index, format, to, files, overwrite)
        _write(format, given, files, {})
    return Exported(
        format.name,
        to,
        files,
        images=len(given.images),
        boxes=given.rows.num_rows,
        parts={name: len(given.part(name)) for name in (WHOLE, PARTLY, HELD)},
    )


def _changes(index: Index, filters: Filters, to: Path, format: Format, overwrite: bool) -> Exported:
    from healtheat.exporting.patch.changes import gather_changes
    from healtheat.exporting.patch.write import patch_files

    given = gather_changes(index, filters)
    files = patch_files(given, to)
    _check_free(index, format, to, files, overwrite)
    found = given.relabelled + given.dropped + given.new + len(given.left_alone)
    if not given.files and not given.added:  # git and patch refuse a patch without a change
        return Exported(format.name, to, (), written=False, findings=found, changes=given)
    _write(format, given, files, {})
    return Exported(format.name, to, files, findings=found, changes=given)


def _plan(
    plan: Plan, to: Path, format: Format, max_share: float | None, *, write: bool, overwrite: bool
) -> Exported:
    from healtheat.cleanup import Figures
    from healtheat.cleanup.train import train_command, why_refused
    from healtheat.cleanup.training import check_target

    plan.places.check_folder(to)
    figures = Figures.of(plan)
    command, refused = train_command(plan, to / "data.yaml"), why_refused(plan)
    done = Exported(format.name, to, (), written=write, cleanup=figures, command=command, refused=refused)
    try:
        check_target(plan, to, overwrite=overwrite)
    except InputError as error:
        if write:
            raise
        return replace(done, blocked=error)
    too_much = figures.too_much(max_share)  # also refuses what is no share
    if not write:
        return done
    if too_much:
        raise InputError(*too_much)
    return replace(done, files=tuple(to / name for name in format.write(plan, to, overwrite=overwrite)))


def _check_free(index: Index, format: Format, to: Path, files: Sequence[Path], overwrite: bool) -> None:
    from healtheat.index.target import Places

    places = Places.of(index)
    if format.is_folder and to.exists() and not to.is_dir():
        raise InputError(f"{to}: is a file; give a folder")
    for file in files:
        places.check_file(file, overwrite=overwrite)


def _write(format: Format, content: Any, to: Sequence[Path], options: Mapping[str, Any]) -> None:
    """Write all files of a format beside their places, then put them there; on any error none of them."""
    from healtheat.core.atomic import replacing_file

    with ExitStack() as stack:  # put into place from the last file to the first, the one that was named
        files = [stack.enter_context(replacing_file(file)) for file in to]
        format.write(content, *files, **options)
