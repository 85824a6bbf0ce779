"""`healtheat prelabel`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import progress_bar
from healtheat.commands.vet import FormatOption, MaxWrongOption, OutOption, tell

ImagesArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[IMAGES]",
        help="Folder of the images to label. Default: the images of INDEX's own data set that have no label "
        "file.",
        show_default=False,
    ),
]
AgainstOption = Annotated[
    Path,
    typer.Option("--against", metavar="INDEX", help="The index whose labels are trusted; it proposes."),
]
ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        help="Folder of the batch's own index. Default: ./vetted/NAME, after IMAGES.",
        show_default=False,
    ),
]
ConfOption = Annotated[
    float, typer.Option("--conf", metavar="X", help="Least chance of an object for a box to be proposed.")
]


def prelabel(
    images: ImagesArgument = None,
    *,
    against: AgainstOption,
    to: ToOption = None,
    conf: ConfOption = 0.25,
    proposals: options.ProposalsOption = None,
    max_wrong: MaxWrongOption = 0.02,
    contents_rule: options.ContentsRuleOption = "auto",
    classes: options.ClassesOption = None,
    encoder: options.AgainEncoderOption = None,
    group_by: options.AgainGroupOption = None,
    no_guard: Annotated[
        bool, typer.Option("--no-guard", help="Judge the boxes of a batch that looks collapsed as well.")
    ] = False,
    threads: options.ThreadsOption = None,
    format: FormatOption = None,
    out: OutOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier one wrote to the folder of --out.")
    ] = False,
) -> None:
    """Propose boxes with classes for images without labels, by an index alone; each is accepted or held.

    What objects look like, where they end and which class they are is learned from the boxes of INDEX; no
    detector is trained or needed, but 30 labelled boxes on 10 images are, and several boxes of each class. A
    box is proposed where the chance of an object is at least --conf, with its likeliest class. Then it is
    judged as `healtheat vet` judges: of the boxes accepted at most --max-wrong are wrong, on average over
    batches; held ones are for people.

    Objects unlike the labelled ones are not proposed, and an image on which nothing is held may lack boxes.
    The batch becomes an index of its own, for `healtheat review` and `healtheat export` (which hands it to
    CVAT or Label Studio). Images are only read; no label file is written beside them.

    \b
    Examples:
      healtheat prelabel photos --against index/pills
      healtheat prelabel --against index/pills
      healtheat prelabel photos --against index/pills --format yolo --out photos-labelled
      healtheat prelabel photos --against index/pills --to vetted/photos
      healtheat export --index vetted/photos --all --format cvat --to photos.xml
    """
    with progress_bar() as progress:
        report = api.prelabel(
            images,
            against=against,
            to=to,
            conf=conf,
            proposals=proposals,
            max_wrong=max_wrong,
            contents_rule=contents_rule,
            classes=classes,
            encoder=encoder,
            group_by=group_by,
            no_guard=no_guard,
            threads=threads,
            format=format if format in ("yolo", "coco") else None,
            out=out,
            overwrite=overwrite,
            progress=progress,
        )
    tell(report, format)
