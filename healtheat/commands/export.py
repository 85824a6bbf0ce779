"""`healtheat export`."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._cleanup import (
    left_out,
    note_called_wrong,
    note_left_alone,
    note_too_much,
    show_training,
    what_goes,
)
from healtheat.commands._terminal import echo, note, progress_bar, report_of
from healtheat.core.errors import with_options
from healtheat.core.text import counted
from healtheat.exporting.formats import FORMATS, Needs

if TYPE_CHECKING:
    from healtheat.cleanup import Figures
    from healtheat.exporting.patch.changes import Changes
    from healtheat.exporting.run import Exported

FOLDERS = " and ".join(format.name for format in FORMATS if format.is_folder)


def _named(needs: Needs) -> str:
    return ", ".join(format.name for format in FORMATS if format.needs == needs)


def export(
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help=f"File to write; a folder for {FOLDERS}.")],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"Tables: {_named('rows')}. For other tools: {_named('images')}. Lists to train on: "
            f"{_named('plan')}. What people confirmed, to be applied to the labels: {_named('changes')}. "
            f"What `healtheat vet` accepted and held: {_named('decisions')}. "
            "Default: from the suffix of PATH.",
            show_default=False,
        ),
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
    drop: options.DropOption = None,
    max_share: options.MaxShareOption = None,
    outside: options.OutsideOption = False,
    write: Annotated[
        bool, typer.Option("--write", help="yolo: write; without it only print what would be written.")
    ] = False,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet", help="csv: for Excel, with a byte-order mark; no cell runs as a formula."
        ),
    ] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="atlas: put a small picture of every box into the file.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace what is there, unless it belongs to the data set or an index."
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="yolo: continue although label files changed; their images are left out."
        ),
    ] = False,
) -> None:
    """Write cleanup lists. No file of the data set is changed, and nothing is written among its images and
    labels or into an index, whatever PATH is.

    A table holds the findings, with the columns of `healtheat query`: `status` says what a person confirmed,
    what is only flagged and what a person cleared. Formats for other tools hand over the images with
    findings, with all their boxes and what was found about each; --all hands over every image.
    docs/handoffs.md says how to open them. yolo is a folder with train and val lists for Ultralytics without
    what is flagged, and lists of what was left out and why; it is a dry run until --write is given, and is
    not written where more than a tenth of the boxes or images would go, unless --max-share says so. patch is
    a unified diff of the label files (of COCO: a JSON Patch) with what people dropped, relabelled, added and
    moved; you apply it, healtheat does not.

    \b
    Examples:
      healtheat export --to cleanup.csv
      healtheat export --to mislabels.parquet --issue mislabel --min-score 0.8
      healtheat export --to cleanup --format yolo
      healtheat export --to to-fix.xml --format cvat --status confirmed
      healtheat export --to fixes.patch --verdict relabel
      healtheat export --to map.parquet --format atlas --all --crops
      healtheat export --to cleanup --format yolo --drop images --issue background --write
    """
    with progress_bar() as progress:
        done = api.export(
            to,
            format=format,
            index=options.which_index(index),
            issue=issue,
            class_=class_,
            split=split,
            image=image,
            signal=signal,
            min_score=min_score,
            verdict=verdict,
            status=status,
            all_=all_,
            drop=drop,
            max_share=max_share,
            outside=outside,
            write=write,
            spreadsheet=spreadsheet,
            crops=crops,
            overwrite=overwrite,
            force=force,
            progress=progress,
        )
    what = "what was asked for is written all the same"
    with report_of(what) if done.written else contextlib.nullcontext():
        _show(done, max_share)


def _show(done: Exported, max_share: float | None) -> None:
    if done.changed:
        listed = f"{done.changed[0]}{_more(done.changed)}"
        note(f"warning: {listed} changed since the build; lines may have moved, build again")
    if done.formula_cells:
        note(
            f"warning: {counted(done.formula_cells, 'cell begins', 'cells begin')} with = + - or @, which a "
            "spreadsheet may run; --spreadsheet guards"
        )
    if done.unreadable:
        note(f"left out, nobody can look at it: {done.unreadable[0]}{_more(done.unreadable)}")
    if done.cleanup is not None:
        _show_cleanup(done, done.cleanup, max_share)
    elif done.parts:
        names = ", ".join(file.name for file in done.files)
        whole, partly, held = (done.parts[name] for name in ("whole", "partly", "held"))
        echo(f"images: {whole} accepted whole, {partly} in part, {held} with a held box")
        echo(f"written to {done.to}: {names}")
    elif done.changes is not None:
        _show_patch(done, done.changes)
    elif done.images is not None:
        listed = ", ".join(str(file) for file in done.files)
        given = f"{counted(done.images, 'image')}, {counted(done.boxes or 0, 'box')}"
        echo(f"{given}, {done.findings} with findings -> {listed}")
    else:
        parts = ", ".join(f"{n} {status}" for status, n in done.statuses.items())
        found = counted(done.findings, "finding") + (f" ({parts})" if parts else "")
        echo(f"{found} -> {done.to}")


def _show_patch(done: Exported, changes: Changes) -> None:
    for why, n in Counter(left.why for left in changes.left_alone).items():
        first = next(left for left in changes.left_alone if left.why == why)
        note(f"left alone: {n}, {why.words}; the first is {first}")
    to, root = (shlex.quote(str(path.absolute())) for path in (done.to, changes.root))
    if not changes.files and not changes.added:
        verdicts = "`relabel`, `drop`, `added` or `moved`"
        note(f"nothing to patch, so nothing was written: no verdict {verdicts} on a box to follow")
        return
    files = counted(len({*changes.files, *changes.added}), "label file")
    more = "".join(f", {n} {what}" for n, what in ((changes.moved, "moved"), (changes.new, "added")) if n)
    echo(f"{changes.relabelled} relabelled, {changes.dropped} dropped{more} in {files} -> {done.to}")
    _warn_of_emptied(changes)
    if changes.by == "lines":
        echo(f"apply it with: cd {root} && git apply {to}")
    else:
        echo("apply it with a tool for JSON Patch (RFC 6902); docs/patch.md names one")


def _warn_of_emptied(changes: Changes) -> None:
    if not changes.emptied:
        return
    fix = "take it out of `images` too"
    if changes.by == "lines":
        fix = "take the image out too, or let `healtheat apply --to` write a copy without it"
    note(
        f"warning: no box would be left in {changes.emptied[0]}{_more(changes.emptied)}, and the image would "
        f"train as background with the object on it; {fix}"
    )


def _show_cleanup(done: Exported, figures: Figures, max_share: float | None) -> None:
    if done.blocked:
        note(f"note: {with_options(done.blocked.parts)}")
    for split, (kept, of) in figures.images.items():
        echo(f"{split or 'no split':<9} {kept:>7} of {counted(of, 'image')} kept")
    kept, of = figures.boxes_kept
    echo(f"{'boxes':<9} {kept:>7} of {of} kept")
    echo(f"{'goes':<9} {what_goes(figures)}")
    if figures.images_greyed:
        get = counted(figures.images_greyed, "image gets", "images get", spec=">7")
        echo(f"{'greyed':<9} {get} a copy with what is dropped greyed out")
    echo(left_out(figures))
    reasons = {
        what: figures.boxes_out.get(what, 0) + figures.images_out.get(what, 0)
        for what in (*figures.boxes_out, *figures.images_out)
    }
    for what, n in sorted(reasons.items(), key=lambda item: -item[1]):
        echo(f"  {n:>7} {what or 'not readable as it is'}")
    note_called_wrong(figures)
    note_left_alone(figures)
    if poor := figures.halved():
        lose = ("class loses more than half of its boxes", "classes lose more than half of their boxes")
        listed = ", ".join(f"{i} {figures.names.get(i, '')} ({k} of {n})" for i, k, n in poor[:10])
        note(f"warning: {counted(len(poor), *lose)}: {listed}")
    if done.written:
        names = ", ".join(f"{file.name}/" if file.is_dir() else file.name for file in done.files)
        echo(f"written to {done.to}: {names}")
        show_training(done.command, done.refused)
    else:
        note_too_much(figures, max_share)
        echo(f"dry run: nothing was written; add --write to write {done.to}")


def _more(files: tuple[str, ...]) -> str:
    return f" and {len(files) - 1} more" if len(files) > 1 else ""
