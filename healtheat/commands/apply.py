"""`healtheat apply`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._cleanup import (
    PATCH,
    left_out,
    note_called_wrong,
    note_left_alone,
    note_too_much,
    show_training,
    what_goes,
)
from healtheat.commands._terminal import echo, note, progress_bar, report_of
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.cleanup import Applied, Figures

_IN_PLACE = "the cleanup is done all the same; undo it with `healtheat rollback`"
_DONE = {
    "changed": _IN_PLACE,
    "finished": _IN_PLACE,
    "copied": "the copy is written all the same",
}


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
        bool, typer.Option("--flagged", help="Also take out what is flagged and nobody has decided on.")
    ] = False,
    drop: options.DropOption = None,
    max_share: options.MaxShareOption = None,
    outside: options.OutsideOption = False,
    issue: options.IssueOption = None,
    class_: options.ClassOption = None,
    split: options.SplitOption = None,
    image: options.ImageOption = None,
    signal: options.SignalOption = None,
    min_score: options.MinScoreOption = None,
) -> None:
    """Take out of the labels what people decided to drop; a dry run without --to or --in-place.

    Only boxes with the verdict `drop` are removed, with --flagged the flagged ones too. Class ids are never
    changed and every other line stays byte for byte. What should be relabelled is written to a list,
    relabel.csv; a copy leaves it out, since nobody should train on its old class, and in place it stays.
    `healtheat export --format patch` writes the new classes for you to apply. Every label file is compared
    with its hash from the build before it is touched. Nothing is written where more than a tenth of the boxes
    or images would go, unless --max-share says so.

    With --to, the data set is copied without these boxes. With --in-place, its own label files are replaced,
    one by one; the originals are kept in `.healtheat/applied/` beside data.yaml, and stale label caches of
    Ultralytics are moved there too. If it is killed, the same command finishes the work. Build the index
    again after it.

    \b
    Examples:
      healtheat apply
      healtheat apply --to cleaned
      healtheat apply --issue background --in-place
      healtheat apply --flagged --min-score 0.9 --to cleaned
      healtheat apply --drop mask --to cleaned
    """
    with progress_bar() as progress:
        done = api.apply(
            options.which_index(index),
            to=to,
            in_place=in_place,
            flagged=flagged,
            drop=drop,
            max_share=max_share,
            outside=outside,
            issue=issue,
            class_=class_,
            split=split,
            image=image,
            signal=signal,
            min_score=min_score,
            progress=progress,
        )
    changed = done.done not in ("planned", "nothing")
    with report_of(_DONE[done.done]) if changed else contextlib.nullcontext():
        _tell(done, max_share)


def _tell(done: Applied, max_share: float | None) -> None:
    if done.figures is not None:
        _show(done.figures, done.stale_caches)
        if done.done == "planned":
            note_too_much(done.figures, max_share)
    _show_end(done)


def _show(figures: Figures, caches: tuple[str, ...]) -> None:
    kept, of = figures.boxes_kept
    echo(f"data set  {figures.root}")
    echo(f"boxes     {kept} of {of} kept")
    echo(f"goes      {what_goes(figures)}")
    echo(f"lines     {figures.lines_removed} taken out{_by_issue(figures.boxes_out)}")
    echo(f"images    {figures.images_removed} taken out{_by_issue(figures.images_out)}")
    if figures.images_greyed:
        get = counted(figures.images_greyed, "image gets", "images get")
        echo(f"greyed    {get} a copy in which what is dropped is greyed out")
    echo(left_out(figures))
    lose = counted(figures.files_edited, "loses lines", "lose lines")
    echo(f"files     {lose}, {counted(figures.files_removed, 'goes', 'go')}")
    if caches:
        listed = ", ".join(caches)
        echo(f"caches    {len(caches)} would be stale, --in-place moves them aside: {listed}")
    stay = f"a copy leaves them out, in place they stay; {PATCH} has the classes"
    go = counted(figures.relabels, "box goes", "boxes go")
    echo(f"relabel   {go} out as a list{f'; {stay}' if figures.relabels else ''}")
    note_called_wrong(figures)
    note_left_alone(figures)
    if empty := figures.emptied:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        fix = "a copy (--to) leaves the image out" if figures.whole_images else "take it out of `images` too"
        note(f"warning: {empty[0]}{more} would have no box left and train as an image without any; {fix}")


def _by_issue(found: Mapping[str, int]) -> str:
    """Why: one place (a box, a missing box) may cost no line or several, so places are counted apart."""
    parts = ", ".join(f"{issue or 'not readable as it is'} {n}" for issue, n in found.items())
    return f", for {counted(sum(found.values()), 'place')}: {parts}" if parts else ""


def _show_end(done: Applied) -> None:
    folder = str(done.folder)
    if done.done == "planned":
        echo("dry run: nothing was written; --to DIR writes a cleaned copy, --in-place changes the data set")
    elif done.done == "nothing":
        echo("nothing to take out")
    elif done.done == "copied":
        echo(f"written to {folder}; its lists are in {done.lists}")
        show_training(done.command, done.refused)
    else:
        what = (
            "done; originals and lists are in"
            if done.done == "changed"
            else "finished the cleanup that was begun before:"
        )
        echo(f"{what} {folder}")
        echo("undo it with `healtheat rollback`; build the index again before the next review")
