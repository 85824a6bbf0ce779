"""`healtheat build`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healtheat.commands import _options as options
from healtheat.commands._options import INDEX_ROOT, MANIFEST
from healtheat.commands._summary import exit_if_failed, flagged_issues, print_flagged
from healtheat.commands._terminal import note, one_line, progress_bar
from healtheat.core.errors import InputError

if TYPE_CHECKING:
    from healtheat.building.build import BuildReport
    from healtheat.sources import Source

PROBLEMS_SHOWN = 5


def build(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A YOLO data.yaml, a COCO .json, or a folder of either; with --weights a folder of photos.",
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            "--index", metavar="DIR", help="Where to build. Default: ./index/NAME after the data set."
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="See `healtheat encoders`.")
    ] = "default",
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="A YOLO detector (.pt, .onnx) whose boxes become the labels. Loading a .pt runs code in it.",
        ),
    ] = None,
    conf: Annotated[
        float,
        typer.Option(
            "--conf", min=0, max=1, metavar="X", help="With --weights: the least confidence of a box."
        ),
    ] = 0.25,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="COCO: the photos, if they lie elsewhere.")
    ] = None,
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
            "--padding", min=0, max=1, metavar="SHARE", help="Kept around a box, as a share of its side."
        ),
    ] = None,
    group_by: Annotated[
        str,
        typer.Option(
            "--group-by",
            metavar="auto|none|REGEX",
            help="Which photos are copies of one source and must not vouch for each other.",
        ),
    ] = "auto",
    contents_rule: options.ContentsRuleOption = "auto",
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
    fdr: options.FdrOption = None,
    budget: options.BudgetOption = None,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where the encoder runs.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Threads that read and decode photos.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Any problem is fatal: nothing is built.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read, crop, embed, index and score a data set.

    Building again embeds only what changed. A build that was interrupted goes on where it stopped. Bad
    lines and files become problems, listed by `healtheat problems`; the rest goes on.

    \b
    Examples:
      healtheat build data/pills/data.yaml
      healtheat build annotations.json --images photos --index index/hospital
      healtheat build photos --weights best.pt
      healtheat build data.yaml --contents-rule aihub --classes classes.csv
      healtheat build data.yaml --predictions runs/detect/predict/labels
      healtheat build data.yaml --encoder ViT-B-32/laion2b_s34b_b79k --views 0,90,180,270
    """
    from healtheat.building.build import build as build_index
    from healtheat.embedding import load_encoder
    from healtheat.signals import SIGNALS
    from healtheat.signals.agreement import with_predictions
    from healtheat.signals.contents import with_contents

    signals = with_contents(SIGNALS, contents_rule or "auto", classes)
    signals = with_predictions(signals, options.predictions_folder(predictions))
    source, folder = _open(data, index, images, weights, conf)
    loaded = load_encoder(encoder, views=_degrees(views), device=device)
    policy = loaded.spec.crop_policy()
    if padding is not None:
        policy = policy.model_copy(update={"padding": padding})
    with progress_bar() as progress:
        report = build_index(
            source,
            folder,
            encoder=loaded,
            crop_policy=policy,
            group_rule=group_by,
            signals=signals,
            findings=options.finding_settings(fdr=fdr, budget=budget),
            strict=strict,
            threads=threads,
            progress=progress,
        )
    if report.note:
        note(report.note)
    issues = flagged_issues(folder)
    if json_:
        typer.echo(json.dumps(_summary(report, issues), ensure_ascii=False))
    else:
        _print(report, issues)
    exit_if_failed(report.failures)


def _open(
    data: Path, index: Path | None, images: Path | None, weights: Path | None, conf: float
) -> tuple[Source, Path]:
    """The source and the folder of its index."""
    from healtheat.index.cache import CACHE_FOLDER
    from healtheat.sources import DetectorSettings, open_source

    if weights is None:
        source = open_source(data, images=images)
        return source, index or _default_folder(data, source.data)
    folder = index or _default_folder(data, data)
    scratch = folder / CACHE_FOLDER  # the detector may write here and nowhere else
    settings = DetectorSettings(conf=conf)
    return open_source(data, images=images, weights=weights, detector=settings, scratch=scratch), folder


def _default_folder(data: Path, read: Path) -> Path:
    """./index/NAME. Raises InputError if the index of another data set of that name is there."""
    from healtheat.index import Manifest

    data = data.absolute()
    own = data.name if data.is_dir() else data.parent.name if data.stem == "data" else data.stem
    name = re.sub(r"[^\w.\-]+", "_", own).strip("._") or "data"
    folder = INDEX_ROOT / name
    if (folder / MANIFEST).is_file():
        there = Manifest.read(folder / MANIFEST).source.data
        if there != read.absolute().as_posix():
            raise InputError(f"{folder} is the index of {there}; name another folder with --index")
    return folder


def _degrees(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"--views {text!r}: give degrees with commas between, such as 0,90,180,270"
        ) from None


def _summary(report: BuildReport, issues: dict[str, int]) -> dict[str, Any]:
    return {
        "index": report.index.as_posix(),
        "images": report.images,
        "boxes": report.boxes,
        "classes": report.classes,
        "problems": len(report.problems),
        "embedded": report.embedded,
        "reused": report.reused,
        "flagged": report.flagged,
        "issues": issues,
        "failures": list(report.failures),
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
    }


def _print(report: BuildReport, issues: dict[str, int]) -> None:
    typer.echo(f"{report.boxes} boxes of {report.classes} classes on {report.images} photos")
    typer.echo(
        f"{report.embedded} crops embedded, {report.reused} reused, {report.seconds['total']:.1f} s in all"
    )
    if report.problems:
        typer.echo(f"{len(report.problems)} problems, not indexed:")
        for problem in report.problems[:PROBLEMS_SHOWN]:
            typer.echo(f"  {one_line(str(problem))}")
        if len(report.problems) > PROBLEMS_SHOWN:
            typer.echo(f"  … all: healtheat problems --index {report.index}")
    print_flagged(issues, report.index)
