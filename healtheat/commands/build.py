"""`healtheat build`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, print_flags
from healtheat.commands._terminal import echo, note, print_json_line, progress_bar, report_of
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.building.build import BuildReport

PROBLEMS_SHOWN = 5


def build(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A YOLO data.yaml, a COCO .json, a folder of either, another tool's labels; with --weights "
            "a folder of images.",
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            "--index", metavar="DIR", help="Where to build. Default: ./index/NAME, after the data set."
        ),
    ] = None,
    encoder: options.EncoderOption = "auto",
    weights: options.WeightsOption = None,
    conf: options.ConfOption = None,
    images: options.ImagesOption = None,
    task: options.TaskOption = None,
    names: options.NamesOption = None,
    outside: options.OutsideOption = False,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="DEGREES",
            help="Rotations to average, such as 0,90,180,270. Default: the encoder's.",
        ),
    ] = None,
    padding: Annotated[
        float | None,
        typer.Option(
            "--padding",
            min=0,
            max=1,
            metavar="SHARE",
            help="Margin kept around a box, as a share of its side.",
        ),
    ] = None,
    cut: Annotated[
        str,
        typer.Option(
            "--cut",
            metavar="box|object",
            help="How crops are cut: the upright box, or along the object: an oriented box turned upright, a "
            "polygon on a plain ground.",
        ),
    ] = "box",
    group_by: Annotated[
        str,
        typer.Option(
            "--group-by",
            metavar="auto|none|REGEX",
            help="Which images are copies of one source, so that they do not confirm each other.",
        ),
    ] = "auto",
    contents_rule: options.ContentsRuleOption = "auto",
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
    missing: options.MissingOption = False,
    proposals: options.ProposalsOption = None,
    fdr: options.FdrOption = None,
    budget: options.BudgetOption = None,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where the encoder runs.")
    ] = "auto",
    threads: options.ThreadsOption = None,
    drop_batches: Annotated[
        bool, typer.Option("--drop-batches", help="Build over an index that took in batches, and lose them.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Any problem is fatal: nothing is built.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read, crop, embed, index and score a data set.

    Run it again to embed only what changed. A build that was interrupted continues where it stopped. Bad
    lines and files become problems, listed by `healtheat problems`; the rest is built.

    \b
    Examples:
      healtheat build data/pills/data.yaml
      healtheat build annotations.json --images images --index index/hospital
      healtheat build images --weights best.pt
      healtheat build data.yaml --contents-rule aihub --classes classes.csv
      healtheat build data.yaml --predictions runs/detect/predict/labels
      healtheat build data.yaml --missing
      healtheat build data.yaml --encoder ViT-B-32/laion2b_s34b_b79k --views 0,90,180,270
    """
    with progress_bar() as progress:
        report = api.build(
            data,
            index=index,
            encoder=encoder,
            weights=weights,
            conf=conf,
            images=images,
            task=task,
            names=names,
            outside=outside,
            views=views,
            padding=padding,
            cut=cut,
            group_by=group_by,
            contents_rule=contents_rule,
            classes=classes,
            predictions=predictions,
            missing=missing,
            proposals=proposals,
            fdr=fdr,
            budget=budget,
            device=device,
            threads=threads,
            strict=strict,
            drop_batches=drop_batches,
            progress=progress,
        )
    if report.note:
        note(report.note)
    if json_:
        print_json_line(_summary(report) | {"searched": missing})
    else:
        with report_of("the index is built all the same"):
            _print(report, missing)
    exit_if_failed(report.failures)


def _summary(report: BuildReport) -> dict[str, Any]:
    return {
        "index": report.index.as_posix(),
        "images": report.images,
        "boxes": report.boxes,
        "classes": report.classes,
        "task": report.task,
        "cut": report.cut,
        "outlined": report.outlined,
        "ids_from": report.ids_from,
        "unlabelled": report.unlabelled,
        "untrained": report.untrained,
        "problems": len(report.problems),
        "encoder": report.encoder,
        "choice": report.choice.model_dump(mode="json") if report.choice else None,
        "embedded": report.embedded,
        "reused": report.reused,
        "flagged": report.flagged,
        "issues": dict(report.flags.issues),
        "silences": [asdict(silence) for silence in report.flags.silences],
        "failures": [str(failure) for failure in report.failures],
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
    }


def _print(report: BuildReport, searched: bool) -> None:
    boxes, classes = counted(report.boxes, "box"), counted(report.classes, "class")
    echo(f"{boxes} of {classes} on {counted(report.images, 'image')}")
    embedded = f"{counted(report.embedded, 'crop')} embedded, {report.reused} reused"
    echo(f"{embedded}, {report.seconds['total']:.1f} s in all")
    echo(str(report.choice) if report.choice else f"encoder {report.encoder}")
    if report.task:
        echo(f"task {report.task} (--task changes it)")
    if report.cut == "object":
        echo(f"{report.outlined} of {boxes} cut along their corners")
    if report.ids_from:
        echo(f"class ids from {report.ids_from}")
    if report.unlabelled:
        echo(f"{counted(report.unlabelled, 'image')} of {report.images} without a label file")
    if report.untrained:
        untrained = counted(report.untrained, "image")
        echo(f"{untrained} of {report.images} that YOLO's training ignores or misreads")
    if report.problems:
        echo(f"{counted(len(report.problems), 'problem')}:")
        for problem in report.problems[:PROBLEMS_SHOWN]:
            echo(f"  {problem}")
        if len(report.problems) > PROBLEMS_SHOWN:
            echo(f"  … all: healtheat problems --index {report.index}")
    if not searched:
        echo("not searched for boxes that are missing: that takes longer than all the rest (--missing)")
    print_flags(report.flags, report.index)
