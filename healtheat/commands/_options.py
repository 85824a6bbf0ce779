"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat.commands._terminal import note
from healtheat.core.drop import DEFAULT_DROP, MAX_SHARE, Drop
from healtheat.core.issues import ISSUES
from healtheat.findings.filters import STATUSES, VERDICTS

IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        envvar="HEALTHEAT_INDEX",
        help="The index to read. Default: the one built last under ./index.",
        show_default=False,
    ),
]
EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="One of `healtheat encoders`; auto: the embedded one that suits a sample of the boxes best.",
    ),
]
AgainEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="The encoder that the index was built with, as the build was told; needed where it is not one "
        "of healtheat's own.",
        show_default=False,
    ),
]
AgainGroupOption = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="REGEX",
        help="The expression that the index groups its images by; needed where it has one.",
        show_default=False,
    ),
]
IssueOption = Annotated[
    list[str] | None,
    typer.Option("--issue", metavar="NAME", help=f"Only this issue: {', '.join(ISSUES)}. Repeatable."),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="ID|NAME", help="Only boxes of this class, by id or exact name."),
]
SignalOption = Annotated[
    list[str] | None, typer.Option("--signal", metavar="NAME", help="Only what this signal found.")
]
SplitOption = Annotated[
    list[str] | None,
    typer.Option("--split", metavar="NAME", help="Only images of this split, such as train."),
]
ImageOption = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="GLOB", help="Only images whose path matches, such as '*/K-0019*'."),
]
MinScoreOption = Annotated[
    float | None, typer.Option("--min-score", metavar="X", help="Only scores of at least X, from 0 to 1.")
]
NamesOption = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        help="Where labels know classes by name: the names in order of their ids, one a line, or a "
        "data.yaml.",
    ),
]
ContentsRuleOption = Annotated[
    str | None,
    typer.Option(
        "--contents-rule",
        metavar="auto|aihub|FILE.csv|REGEX",
        help="How an image's name lists what is on it, as in `healtheat contents`. auto: AI Hub's names, if "
        "nearly all follow them and class ids can be told.",
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        "--classes", metavar="CSV", help="class_id,drug_code,name: which class a code in a name stands for."
    ),
]
PredictionsOption = Annotated[
    str | None,
    typer.Option(
        "--predictions",
        metavar="DIR|FILE|none",
        help="What `yolo predict save_txt=True save_conf=True` wrote about these images, with a model not "
        "trained on these labels, or its COCO results; where it disagrees is reported. none: without any, if "
        "some were given before.",
    ),
]
MissingOption = Annotated[
    bool,
    typer.Option(
        "--missing/--no-missing",
        help="Search the images for objects like the labelled ones that have no box, and for boxes that do "
        "not fit their object. Takes longer than the rest of the build.",
    ),
]
MissingAgainOption = Annotated[
    bool | None,
    typer.Option(
        "--missing/--no-missing",
        help="Search the images for missing and loose boxes, or no longer. Default: as at the last scoring.",
        show_default=False,
    ),
]
ProposalsOption = Annotated[
    str | None,
    typer.Option(
        "--proposals",
        metavar="FILE.pt|none",
        help="With the search for missing boxes: your weights of a Segment Anything model (SAM, SAM 2, "
        "MobileSAM or FastSAM of Ultralytics), whose masks are more places to look at. Loading a .pt runs "
        "code in it. none: without, if some were given before.",
        show_default=False,
    ),
]
DropOption = Annotated[
    Drop | None,
    typer.Option(
        help="What goes for a box: its label line (boxes), the line and, in a copy of the image, its pixels, "
        "greyed out (mask), or the whole image (images). mask and images are for YOLO data sets. "
        f"Default: {DEFAULT_DROP}.",
        show_default=False,
    ),
]
MaxShareOption = Annotated[
    float | None,
    typer.Option(
        "--max-share",
        metavar="X",
        help=f"Write nothing if more than this share of the boxes or images goes. Default: {MAX_SHARE:g}.",
        show_default=False,
    ),
]
VerdictOption = Annotated[
    list[str] | None,
    typer.Option(
        "--verdict",
        metavar="NAME",
        help=f"Only findings with this decision of a person: {', '.join(VERDICTS)} "
        f"(none: not decided yet). Repeatable.",
    ),
]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="NAME",
        help=f"Only findings with this status: {', '.join(STATUSES)}. Repeatable.",
    ),
]
FdrOption = Annotated[
    float | None,
    typer.Option(
        "--fdr",
        metavar="X",
        help="Flag so that about this share of an issue's flags is false, such as 0.1.",
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option("--budget", min=0, metavar="N", help="Flag at most the N most suspicious boxes or images."),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every judged box, one row per issue, not only what is flagged.")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A YOLO detector (.pt, .onnx) whose boxes become the labels. Loading a .pt runs code in it.",
    ),
]
ConfOption = Annotated[
    float | None,
    typer.Option(
        "--conf",
        min=0,
        max=1,
        metavar="X",
        help="With --weights: the lowest confidence of a box. Default: 0.25.",
        show_default=False,
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="The images, if they are elsewhere than a COCO file or another tool's labels.",
    ),
]
OutsideOption = Annotated[
    bool,
    typer.Option(
        "--outside",
        help="YOLO: data.yaml and its lists may name places outside of its folder, by a path or a link.",
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="detect|segment|pose|obb",
        help="YOLO: what the set is labelled for. Default: told by data.yaml and the label files.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Threads that read and decode images.")
]


def which_index(path: Path | None) -> Path | None:
    """`path` as it is; says on stderr which index will be read where none is named and there are several."""
    if path is None:
        from healtheat.index.locate import built_indexes

        built = built_indexes()
        if len(built) > 1:
            note(f"reading {built[-1]}, the last built of {len(built)} (choose with --index)")
    return path
