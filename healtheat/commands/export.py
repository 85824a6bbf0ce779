"""`healtheat export`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import note, one_line, progress_bar
from healtheat.core.errors import InputError
from healtheat.findings.query import STATUSES, Filters

if TYPE_CHECKING:
    from healtheat.exporting.yolo import CleanupPlan
    from healtheat.index import Index

HANDOFFS = ("cvat", "labelstudio", "coco", "fiftyone", "atlas")
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def export(
    to: Annotated[
        Path, typer.Option("--to", metavar="PATH", help="File to write; a folder for yolo and fiftyone.")
    ],
    format: Annotated[
        Literal["csv", "json", "jsonl", "parquet", "yolo", "cvat", "labelstudio", "coco", "fiftyone", "atlas"]
        | None,
        typer.Option("--format", "-f", help="Default: from the suffix of PATH.", show_default=False),
    ] = None,
    index: options.IndexOption = None,
    issue: options.IssueOption = None,
    class_: options.ClassOption = None,
    split: options.SplitOption = None,
    image: options.ImageOption = None,
    signal: options.SignalOption = None,
    min_score: options.MinScoreOption = None,
    verdict: options.VerdictOption = None,
    status: options.StatusOption = None,
    all_: options.AllOption = False,
    drop: Annotated[
        Literal["images", "boxes"],
        typer.Option(
            help="yolo: leave out the whole photo, or only the box's line in a copy of the label file."
        ),
    ] = "images",
    write: Annotated[
        bool, typer.Option("--write", help="yolo: write; without it only say what would be.")
    ] = False,
    spreadsheet: Annotated[
        bool,
        typer.Option("--spreadsheet", help="csv: for Excel: byte-order mark, no cell runs as a formula."),
    ] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="atlas: put a small picture of every box into the file.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what is there, if no part of the data set or an index."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="yolo: go on though label files changed; their photos are left out."),
    ] = False,
) -> None:
    """Write cleanup lists. The data set itself is never touched, nor an index, whatever PATH is.

    csv, json, jsonl and parquet hold the findings, with the columns of `healtheat query`: `status` says what
    a person confirmed, what is only flagged and what a person cleared. yolo is a folder with train and val
    lists for Ultralytics without what is flagged, and lists of what was left out and why.
    cvat, labelstudio, coco, fiftyone and atlas hand the photos with findings to other tools, with all their
    boxes and what was found about each; --all hands over every photo. docs/handoffs.md says how to open them.
    A YOLO cleanup is a dry run until --write is given.

    \b
    Examples:
      healtheat export --to cleanup.csv
      healtheat export --to mislabels.parquet --issue mislabel --min-score 0.8
      healtheat export --to cleanup --format yolo
      healtheat export --to to-mend.xml --format cvat --status confirmed
      healtheat export --to map.parquet --format atlas --all --crops
      healtheat export --to cleanup --format yolo --drop boxes --issue background --write
    """
    format = format or SUFFIXES.get(to.suffix.lower())  # type: ignore[assignment]
    if format is None:
        raise InputError(
            f"{to}: no format known for this name; add --format, such as --format yolo for a folder"
        )
    if all_ and format == "yolo":
        raise InputError("--all would leave out every photo; a YOLO cleanup takes flagged samples only")
    if format == "yolo" and {"cleared", "unflagged"} & set(status or ()):
        raise InputError(
            "a YOLO cleanup leaves out what is confirmed or flagged; --status takes these two here"
        )
    _check_options(format, crops=crops, spreadsheet=spreadsheet, drop=drop, write=write, force=force)
    opened = options.open_index(index)
    filters = options.make_filters(
        opened,
        issue=issue,
        class_=class_,
        signal=signal,
        split=split,
        image=image,
        min_score=min_score,
        verdict=verdict,
        status=status,
        all_=all_,
    )
    if format == "yolo":
        _yolo(opened, filters, to, drop=drop, write=write, overwrite=overwrite, force=force)
    elif format in HANDOFFS:
        _hand_off(opened, filters, to, format, crops=crops, overwrite=overwrite)
    else:
        _table(opened, filters, to, format, spreadsheet=spreadsheet, overwrite=overwrite)


def _check_options(
    format: str, *, crops: bool, spreadsheet: bool, drop: str, write: bool, force: bool
) -> None:
    given = {"--crops": ("atlas", crops), "--spreadsheet": ("csv", spreadsheet)}
    given |= {
        "--drop boxes": ("yolo", drop == "boxes"),
        "--write": ("yolo", write),
        "--force": ("yolo", force),
    }
    for option, (only, wanted) in given.items():
        if wanted and format != only:
            raise InputError(f"{option} is for --format {only}, not {format}; leave it out")


def _table(
    index: Index, filters: Filters, to: Path, format: str, *, spreadsheet: bool, overwrite: bool
) -> None:
    from healtheat.core.table import formula_cells, write_table
    from healtheat.findings.query import LISTED, query
    from healtheat.index.target import Places

    Places.of(index).check_file(to, overwrite=overwrite)
    if filters.flagged_only and not (filters.verdicts or filters.statuses):
        filters = replace(filters, statuses=LISTED)  # the list also tells what people cleared and confirmed
    rows = query(index, filters)
    changed = index.changed_label_files()
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        note(f"warning: {changed[0]}{more} changed since the build; lines may have moved, build again")
    if format == "csv" and not spreadsheet and (cells := formula_cells(rows)):
        note(
            f"warning: {cells} cells begin with = + - or @, a spreadsheet may run them; --spreadsheet guards"
        )
    write_table(rows, to, format, spreadsheet=spreadsheet, overwrite=overwrite)
    found = Counter(rows["status"].to_pylist())
    parts = ", ".join(f"{found[status]} {status}" for status in STATUSES if found[status])
    typer.echo(f"{rows.num_rows} findings{f' ({parts})' if parts else ''} -> {one_line(str(to))}")


def _hand_off(index: Index, filters: Filters, to: Path, format: str, *, crops: bool, overwrite: bool) -> None:
    from healtheat.exporting.atlas import write_atlas
    from healtheat.exporting.coco import write_coco
    from healtheat.exporting.cvat import write_cvat
    from healtheat.exporting.fiftyone import write_fiftyone
    from healtheat.exporting.handoff import files_of, gather
    from healtheat.exporting.labelstudio import write_labelstudio
    from healtheat.index.target import Places

    places = Places.of(index)
    for file in files_of(format, to):
        places.check_file(file, overwrite=overwrite)
    given = gather(index, filters)
    if given.unreadable:
        more = f" and {len(given.unreadable) - 1} more" if len(given.unreadable) > 1 else ""
        note(f"left out, nobody can look at it: {given.unreadable[0]}{more}")
    if format == "fiftyone":
        files = write_fiftyone(given, to, overwrite=overwrite)
    elif format == "atlas":
        with progress_bar() as progress:
            files = write_atlas(index, given, to, images=crops, progress=progress)
    else:
        write = {"cvat": write_cvat, "labelstudio": write_labelstudio, "coco": write_coco}[format]
        files = write(given, to)
    boxes = [box for photo in given.photos for box in photo.boxes]
    found = sum(box.finding is not None for box in boxes)
    listed = ", ".join(one_line(str(file)) for file in files)
    typer.echo(f"{len(given.photos)} photos, {len(boxes)} boxes, {found} with findings -> {listed}")


def _yolo(
    index: Index,
    filters: Filters,
    to: Path,
    *,
    drop: Literal["images", "boxes"],
    write: bool,
    overwrite: bool,
    force: bool,
) -> None:
    from healtheat.exporting.yolo import deciding, plan_cleanup
    from healtheat.exporting.yolo_write import check_target, write_cleanup

    plan = plan_cleanup(index, deciding(index, filters), drop=drop, force=force)
    plan.places.check_folder(to)
    try:
        check_target(plan, to, overwrite=overwrite)
    except InputError as error:
        if write:
            raise
        note(f"note: {error}")
    _print_plan(plan)
    if write:
        names = write_cleanup(plan, to, overwrite=overwrite)
        typer.echo(f"written to {one_line(str(to))}: {', '.join(names)}")
        typer.echo(f"train with: yolo detect train data={one_line(str(to / 'data.yaml'))} model=yolo11n.pt")
    else:
        typer.echo(f"dry run: nothing was written; add --write to write {one_line(str(to))}")


def _print_plan(plan: CleanupPlan) -> None:
    kept = sum(n for n, _ in plan.boxes.values())
    total = sum(n for _, n in plan.boxes.values())
    for split, (photos, of) in plan.by_split().items():
        typer.echo(f"{one_line(split) or 'no split':<9} {photos:>7} of {of} photos kept")
    typer.echo(f"{'boxes':<9} {kept:>7} of {total} kept")
    if plan.drop == "images":
        typer.echo("a photo is left out whole, with its good boxes; `--drop boxes` leaves out boxes alone")
    reasons: dict[str, int] = {}
    for row in plan.left_out:
        what = row.issue or "not readable as it is"
        reasons[what] = reasons.get(what, 0) + 1
    for what, n in sorted(reasons.items(), key=lambda item: -item[1]):
        typer.echo(f"  {n:>7} {what}")
    poor = [(i, k, n) for i, (k, n) in plan.boxes.items() if k < n / 2]
    if poor:
        listed = ", ".join(f"{i} {plan.names.get(i, '')} ({k} of {n})" for i, k, n in poor[:10])
        note(f"warning: {len(poor)} classes lose more than half of their boxes: {listed}")
