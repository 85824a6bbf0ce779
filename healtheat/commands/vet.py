"""`healtheat vet`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, echo, note, print_json, print_rows, progress_bar, report_of
from healtheat.core.paths import is_file
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.vetting.report import VetReport

PROBLEMS_SHOWN = 5
POOR_OUTLOOK = 0.5  # share of right boxes accepted, below which people are told why


NewArgument = Annotated[
    Path,
    typer.Argument(
        metavar="NEW",
        help="The new labels: anything that `healtheat build` reads; with --weights or --predictions a "
        "folder of images.",
    ),
]
AgainstOption = Annotated[
    Path, typer.Option("--against", metavar="INDEX", help="The index whose labels are trusted; it judges.")
]
ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        help="Folder of the batch's own index. Default: ./vetted/NAME, after NEW.",
        show_default=False,
    ),
]
MaxWrongOption = Annotated[
    float,
    typer.Option(
        "--max-wrong", metavar="X", help="Share of the accepted boxes that may be wrong, on average."
    ),
]
PredictedOption = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="DIR",
        help="Text files that `yolo predict save_txt=True` wrote about the images of NEW: their boxes "
        "are judged.",
    ),
]

FormatOption = Annotated[
    Literal["table", "json", "csv", "yolo", "coco"] | None,
    typer.Option(
        "--format",
        "-f",
        help="What goes to stdout. yolo and coco print the table and write files to --out. Default: table.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="With --format yolo or coco: the folder for the images and labels to train on, and for those "
        "held. `healtheat export --format vetted-yolo` writes it later.",
        show_default=False,
    ),
]


def vet(
    new: NewArgument,
    against: AgainstOption,
    to: ToOption = None,
    max_wrong: MaxWrongOption = 0.02,
    weights: options.WeightsOption = None,
    conf: options.ConfOption = None,
    predictions: PredictedOption = None,
    images: options.ImagesOption = None,
    task: options.TaskOption = None,
    names: options.NamesOption = None,
    outside: options.OutsideOption = False,
    contents_rule: options.ContentsRuleOption = "auto",
    classes: options.ClassesOption = None,
    encoder: options.AgainEncoderOption = None,
    group_by: options.AgainGroupOption = None,
    no_guard: Annotated[
        bool, typer.Option("--no-guard", help="Judge the boxes of a batch that looks collapsed as well.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Any problem of NEW is fatal.")] = False,
    threads: options.ThreadsOption = None,
    format: FormatOption = None,
    out: OutOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier vet wrote to the folder of --out.")
    ] = False,
) -> None:
    """Judge new labels box by box by an index whose labels are trusted: accept or hold.

    Trusted are the boxes of INDEX: their labels were checked, or nearly all of them are right. Boxes in doubt
    there (flagged, and nobody called them ok) do not count. What the trusted boxes look like is learned on
    the first vet and kept in INDEX; after that only the crops of NEW are embedded.

    The promise: of the boxes that are accepted, at most --max-wrong are wrong, on average over batches. It
    holds as long as NEW shows what INDEX shows; from another camera or under other light it may not, and a
    warning says so. A held box need not be wrong: it is one that could not be vouched for. A batch that looks
    collapsed (one product everywhere) is refused as a whole, with exit code 1.

    The batch becomes an index of its own; its flagged findings are the held boxes, for `healtheat review` and
    `healtheat query`. Class ids and label files stay as they are.

    \b
    Examples:
      healtheat vet june/data.yaml --against index/pills
      healtheat vet photos --weights best.pt --conf 0.1 --against index/pills
      healtheat vet photos --predictions runs/detect/predict/labels --against index/pills
      healtheat vet june/data.yaml --against index/pills --max-wrong 0.01 --format csv > june.csv
      healtheat vet june/data.yaml --against index/pills --format yolo --out june-vetted
    """
    with progress_bar() as progress:
        report = api.vet(
            new,
            against,
            to=to,
            max_wrong=max_wrong,
            weights=weights,
            conf=conf,
            predictions=predictions,
            images=images,
            task=task,
            names=names,
            outside=outside,
            contents_rule=contents_rule,
            classes=classes,
            encoder=encoder,
            group_by=group_by,
            no_guard=no_guard,
            strict=strict,
            threads=threads,
            format=format if format in ("yolo", "coco") else None,
            out=out,
            overwrite=overwrite,
            progress=progress,
        )
    tell(report, format)


def tell(report: VetReport, format: str | None) -> None:
    """What became of a batch, as `format` asks for it; ends with exit code 1 where it was refused."""
    _print(report, format)
    sys.stdout.flush()
    _notes(report, format)
    if report.verdict == "refused":
        raise typer.Exit(1)


def _print(report: VetReport, format: str | None) -> None:
    if format == "json":
        decisions = report.decisions.to_pylist() if report.decisions is not None else []
        print_json({"report": report.as_dict(), "decisions": decisions})
    elif format == "csv":
        from healtheat.vetting.tables import flat

        print_rows(flat(report.decisions), "csv")
    else:
        with report_of("the batch is judged all the same"):
            _show(report)


def _show(report: VetReport) -> None:
    """The batch for people, on stdout."""
    for check in report.checks:
        echo(f"FAILED  {check.text}")
    if report.decisions is None:
        return
    echo(_quality(report))
    whole = counted(report.whole - report.bare, "image has", "images have")
    bare = f"; {counted(report.bare, 'has', 'have')} no box" if report.bare else ""
    echo(f"{whole} every box accepted, of {counted(report.images, 'image')}{bare}")
    if report.drift is not None:
        echo(f"drift between batch and index: {report.drift.distance:.2f} (0 to 1)")
    _show_classes(report)
    _show_held(report)
    if report.files:
        names = ", ".join(file.name for file in report.files)
        echo(f"written to {report.files[0].parent.as_posix()}: {names}")
    if report.verdict == "judged":
        _show_next(report)


def _quality(report: VetReport) -> str:
    line = f"{report.accepted} of {counted(report.boxes, 'box')} accepted, {report.held} held"
    if math.isnan(report.wrong):
        return f"{line}; none could be judged by its looks"
    of = "the batch" if report.judged == report.boxes else f"the {report.judged} judged by their looks"
    wrong = f"estimated wrong: {report.wrong:.1%} of {of} ({report.low:.1%} to {report.high:.1%})"
    if not report.accepted:
        return f"{line}; {wrong}"
    return (
        f"{line}; {wrong}, {report.expected:.1%} of the accepted (at most {100 * report.max_wrong:g}% asked)"
    )


def _show_classes(report: VetReport) -> None:
    from rich.table import Table

    if not report.classes:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    for name in ("boxes", "accepted", "held", "wrong (estimated)"):
        table.add_column(name, justify="right")
    for one in report.classes:
        figures = (one.boxes, one.accepted, one.boxes - one.accepted)
        name = one.name if one.name != str(one.class_id) else ""
        wrong = "-" if math.isnan(one.wrong) else f"{one.wrong:.1f}"
        cells = (f"{one.class_id} {name}".strip(), *map(str, figures), wrong)
        table.add_row(*cells)
    console().print(table)


def _show_held(report: VetReport) -> None:
    from healtheat.vetting.report import HELD_WORDS

    if report.held_for:
        echo("held for:")
    for why, n in report.held_for.items():
        echo(f"  {n:>6} {HELD_WORDS.get(why, why)}")
    if report.missing:
        missing = counted(report.missing, "box", "boxes")
        echo(f"{missing} missing, by the names of the images")


def _show_next(report: VetReport) -> None:
    batch, index = report.batch.as_posix(), report.against.as_posix()
    echo("next:")
    if report.held:
        echo(f"  healtheat review --index {batch} --against {index}    look at what was held")
    if report.accepted:
        echo(f"  healtheat add {batch} --to {index} --accepted-only    trust what was accepted")


def _notes(report: VetReport, format: str | None) -> None:
    """What people should know beside it, on stderr."""
    for check in report.checks if format == "csv" else ():
        note(f"FAILED  {check.text}")
    drift = report.drift
    if drift is not None and drift.strong:
        note(
            f"warning: the crops look unlike the trusted ones (distance {drift.distance:.2f}, wrong boxes "
            f"explain {drift.explained:.2f}): another camera, light or cut? The share of wrong boxes may be "
            "higher than promised; review a sample of the accepted"
        )
    if report.verdict == "judged" and report.outlook < POOR_OUTLOOK:
        note(
            f"at {100 * report.max_wrong:g}% wrong, only {report.outlook:.0%} of the right boxes of a batch "
            f"like {report.against} can be accepted: its encoder mixes up classes (`healtheat trust` shows "
            "which). A larger --max-wrong accepts more; people have to look at the rest"
        )
    if report.doubted:
        boxes = counted(report.doubted, "box", "boxes")
        note(f"{boxes} of {report.against} are in doubt themselves and were not trusted: review them there")
    if report.fitted and report.kept:
        note(
            f"learned {report.against} first ({counted(report.fitted_crops, 'crop')}); the next vet need not"
        )
    if not report.kept:
        note(f"what was learned could not be kept in {report.against}; the next vet learns it again")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        note(f"problem: {problem}")
    if (more := len(report.problems) - PROBLEMS_SHOWN) > 0:
        note(f"and {counted(more, 'more problem')}: healtheat problems --index {report.batch.as_posix()}")
    if report.verdict == "refused":
        _note_refused(report)


def _note_refused(report: VetReport) -> None:
    if report.decisions is None and is_file(report.batch / "manifest.json"):
        note(f"{report.batch.as_posix()} is left as it was: an earlier vet, not of these labels")
    if any(check.name == "wrong" for check in report.checks):
        differ = f"boxes look wrong, too, where the images differ from those of {report.against}"
        note(f"{differ}: another camera, light or cut")
    note("the batch was refused as a whole; --no-guard judges its boxes all the same")
