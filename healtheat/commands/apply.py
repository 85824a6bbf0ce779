"""`healtheat apply`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import note, one_line, progress_bar
from healtheat.core.errors import InputError

if TYPE_CHECKING:
    from healtheat.cleanup import ApplyPlan


def apply(
    index: options.IndexOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Write a cleaned copy into this new folder.", show_default=False
        ),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change the data set itself; `healtheat rollback` undoes it.")
    ] = False,
    flagged: Annotated[
        bool, typer.Option("--flagged", help="Also take out what is only flagged and nobody decided on.")
    ] = False,
    drop: Annotated[
        Literal["boxes", "photos"],
        typer.Option(help="Take out the line of a dropped box, or the whole photo it is on (YOLO)."),
    ] = "boxes",
    issue: options.IssueOption = None,
    class_: options.ClassOption = None,
    split: options.SplitOption = None,
    image: options.ImageOption = None,
    signal: options.SignalOption = None,
    min_score: options.MinScoreOption = None,
) -> None:
    """Take out of the labels what people decided to drop. Says what it would do unless told where to.

    Only boxes with the verdict `drop` go, or with --flagged the flagged ones too. Class ids are never changed
    and every other line stays byte for byte; what should be relabelled goes out as a list, relabel.csv, for
    the annotation tool. Every label file is compared with its hash from the build before it is touched.

    With --to, the data set is copied without these boxes. With --in-place, its own label files are replaced,
    one by one; the originals are kept in `.healtheat/applied/` beside data.yaml, and stale label caches of
    Ultralytics go there too. If it is killed, the same command finishes the work. Build the index again
    after it.

    \b
    Examples:
      healtheat apply
      healtheat apply --to cleaned
      healtheat apply --issue background --in-place
      healtheat apply --flagged --min-score 0.9 --to cleaned
    """
    from healtheat.cleanup import apply_in_place, finish, pending, plan_apply, stale_caches, write_copy

    if to is not None and in_place:
        raise InputError("--to writes a copy and --in-place changes the data set; give one of them")
    opened = options.open_index(index)
    root = Path(opened.manifest.source.root)
    if in_place and pending(root) is not None:
        with progress_bar() as progress:
            run = finish(root, progress=progress)
        if run is not None:
            typer.echo(f"finished the cleanup that was begun before: {one_line(str(run.folder))}")
            _after()
        return
    filters = options.make_filters(
        opened,
        issue=issue,
        class_=class_,
        signal=signal,
        split=split,
        image=image,
        min_score=min_score,
        verdict=None,
    )
    plan = plan_apply(opened, filters, flagged=flagged, drop=drop)
    _show(plan, [] if to is not None else stale_caches(plan))
    if to is not None:
        with progress_bar() as progress:
            write_copy(plan, to, progress=progress)
        typer.echo(
            f"written to {one_line(str(to))}; its lists are in {one_line(str(to / 'healtheat-apply'))}"
        )
    elif not in_place:
        typer.echo(
            "dry run: nothing was written; --to DIR writes a cleaned copy, --in-place changes the data set"
        )
    elif not plan.edits:
        typer.echo("nothing to take out")
    else:
        with progress_bar() as progress:
            run = apply_in_place(plan, progress=progress)
        typer.echo(f"done; originals and lists are in {one_line(str(run.folder))}")
        _after()


def _after() -> None:
    typer.echo("undo it with `healtheat rollback`; build the index again before the next review")


def _show(plan: ApplyPlan, caches: Sequence[str]) -> None:
    lines = Counter(row.issue for row in plan.removals if row.removed == "line")
    photos = Counter(row.issue for row in plan.removals if row.removed == "photo")
    total = sum(len(e.drop) for e in plan.edits if e.path not in plan.lists)
    kept, of = (sum(pair[i] for pair in plan.boxes.values()) for i in (0, 1))
    typer.echo(f"data set  {one_line(str(plan.root))}")
    typer.echo(f"boxes     {kept} of {of} kept")
    for what, number, found in (("lines", total, lines), ("photos", len(plan.photos_out), photos)):
        parts = ", ".join(f"{issue} {n}" for issue, n in found.most_common())
        typer.echo(f"{what:<9} {number} taken out{f' ({parts})' if parts else ''}")
    files = sum(e.kind != "file" for e in plan.edits)
    typer.echo(f"files     {files} lose lines, {len(plan.edits) - files} go")
    if caches:
        listed = ", ".join(map(one_line, caches))
        typer.echo(f"caches    {len(caches)} would be stale, --in-place moves them aside: {listed}")
    typer.echo(f"relabel   {len(plan.relabels)} boxes go out as a list; their labels stay as they are")
    for why, n in Counter(row.why for row in plan.held_back).most_common():
        note(f"left alone: {n}, {why}")
    if plan.emptied:
        more = f" and {len(plan.emptied) - 1} more" if len(plan.emptied) > 1 else ""
        note(
            f"warning: {plan.emptied[0]}{more} would have no box left and train as a photo without any; "
            "--drop photos takes the photo out instead"
        )
