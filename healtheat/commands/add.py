"""`healtheat add`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, print_flags
from healtheat.commands._terminal import echo, note, print_json_line, progress_bar, report_of
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.building.append import AddReport

PROBLEMS_SHOWN = 5

NewArgument = Annotated[
    Path,
    typer.Argument(
        metavar="NEW", help="Anything that `healtheat build` reads, or a folder that is an index."
    ),
]
ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="INDEX",
        help="The index that takes it in. Default: the one built last under ./index.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="What the batch is called. Default: after NEW."),
]
AcceptedOption = Annotated[
    bool,
    typer.Option(
        "--accepted-only",
        help="NEW is a vetted index: only boxes that were accepted, on images that have one.",
    ),
]


def add(
    new: NewArgument,
    to: ToOption = None,
    name: NameOption = None,
    accepted_only: AcceptedOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be added and embedded.")
    ] = False,
    weights: options.WeightsOption = None,
    conf: options.ConfOption = None,
    images: options.ImagesOption = None,
    task: options.TaskOption = None,
    names: options.NamesOption = None,
    outside: options.OutsideOption = False,
    encoder: options.AgainEncoderOption = None,
    group_by: options.AgainGroupOption = None,
    contents_rule: options.ContentsRuleOption = None,
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
    proposals: options.ProposalsOption = None,
    threads: options.ThreadsOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Take a batch into an index; only its crops are embedded, and `healtheat remove` takes it out again.

    Nothing else is read or embedded again; then the signals run over everything, and verdicts stay. Class ids
    and names must agree with those of the index; a class that it does not know is taken and told. An image
    that the index holds already, with the same boxes, is not added twice; with other labels it is left out
    and becomes a problem. An add that was interrupted continues with the same command. An expression, files
    or an encoder of your own that the index was built with are given again: an index names nothing to run or
    to open.

    \b
    Examples:
      healtheat add june/data.yaml
      healtheat add june/data.yaml --to index/pills --dry-run
      healtheat add photos --weights best.pt --to index/pills --name pseudo-1
      healtheat add index/vetted --to index/pills --accepted-only
    """
    with progress_bar() as progress:
        report = api.add(
            new,
            to=options.which_index(to),
            name=name,
            accepted_only=accepted_only,
            dry_run=dry_run,
            weights=weights,
            conf=conf,
            images=images,
            task=task,
            names=names,
            outside=outside,
            encoder=encoder,
            group_by=group_by,
            contents_rule=contents_rule,
            classes=classes,
            predictions=predictions,
            proposals=proposals,
            threads=threads,
            progress=progress,
        )
    if json_:
        print_json_line(_summary(report))
    elif dry_run:
        _print(report, dry_run=True)
    else:
        with report_of("the batch is in the index all the same"):
            _print(report, dry_run=False)
    exit_if_failed(report.failures)


def _summary(report: AddReport) -> dict[str, Any]:
    return {
        "index": report.index.as_posix(),
        "name": report.name,
        "written": report.written,
        "images": report.images,
        "boxes": report.boxes,
        "known": report.known,
        "refused": report.refused,
        "left_out": report.left_out,
        "held": report.held,
        "new_classes": {str(class_id): name for class_id, name in report.new_classes.items()},
        "problems": len(report.problems),
        "embedded": report.embedded,
        "reused": report.reused,
        "flagged": report.flagged,
        "flagged_here": report.flagged_here,
        "failures": [str(failure) for failure in report.failures],
        "seconds": round(report.seconds, 3),
    }


def _print(report: AddReport, *, dry_run: bool) -> None:
    if report.images or dry_run:
        _print_batch(report, dry_run=dry_run)
    else:
        echo(f"batch {report.name}: nothing new, the index is as it was")
    if report.known:
        echo(f"{counted(report.known, 'image is', 'images are')} in the index already")
    if report.refused:
        are = counted(report.refused, "image is", "images are")
        echo(f"{are} left out: the index holds them with other labels, or others in their place")
    if report.left_out:
        echo(f"{counted(report.left_out, 'box is', 'boxes are')} left out: not accepted")
    if report.held:
        were = counted(report.held, "box was", "boxes were")
        note(f"warning: {were} held by vet and come along; --accepted-only leaves them out")
    for class_id, name in report.new_classes.items():
        echo(f"new class {class_id} {name}")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        echo(f"  {problem}")
    if len(report.problems) > PROBLEMS_SHOWN:
        echo(f"  … {counted(len(report.problems), 'problem')} in all")
    if dry_run:
        note("dry run: nothing was embedded or written")
    elif report.flags is not None:
        echo(f"{counted(report.flagged_here, 'place')} flagged in the batch, in the whole index:")
        print_flags(report.flags, report.index)


def _print_batch(report: AddReport, *, dry_run: bool) -> None:
    what = f"{counted(report.boxes, 'box', 'boxes')} on {counted(report.images, 'image')}"
    echo(f"batch {report.name}: {what} {'would be added' if dry_run else 'added'}")
    crops = counted(report.embedded, "crop")
    echo(f"{crops} {'to embed' if dry_run else 'embedded'}, {report.reused} reused")
