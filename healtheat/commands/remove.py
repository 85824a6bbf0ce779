"""`healtheat remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, print_flags
from healtheat.commands._terminal import echo, print_json_line, progress_bar, report_of
from healtheat.core.text import counted


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The batch, one of `healtheat batches`.")],
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="INDEX",
            help="The index that it is taken out of. Default: the one built last under ./index.",
            show_default=False,
        ),
    ] = None,
    contents_rule: options.ContentsRuleOption = None,
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
    proposals: options.ProposalsOption = None,
    encoder: options.AgainEncoderOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Take a batch out of an index again, which is then as if it had never been added.

    Its images and label files are not touched, and nothing is embedded. Verdicts on its boxes stay in the
    log: they speak again if the batch is added again. An expression or files of the last scoring are given
    again, as for `healtheat score`, and so is an encoder that missing boxes need.

    \b
    Examples:
      healtheat remove june
      healtheat remove june --from index/pills
    """
    with progress_bar() as progress:
        report = api.remove(
            name,
            from_=options.which_index(from_),
            contents_rule=contents_rule,
            classes=classes,
            predictions=predictions,
            proposals=proposals,
            encoder=encoder,
            progress=progress,
        )
    batch = report.batch
    if json_:
        summary = {
            "index": report.index.as_posix(),
            "name": batch.name,
            "images": batch.images,
            "boxes": batch.boxes,
            "classes": list(report.classes),
            "flagged": report.flagged,
            "failures": [str(failure) for failure in report.failures],
        }
        print_json_line(summary)
    else:
        with report_of("the batch is taken out all the same"):
            what = f"{counted(batch.boxes, 'box', 'boxes')} on {counted(batch.images, 'image')}"
            echo(f"batch {batch.name}: {what} taken out")
            if report.classes:
                gone = ", ".join(map(str, report.classes))
                echo(f"{counted(len(report.classes), 'class', 'classes')} gone with it: {gone}")
            print_flags(report.flags, report.index)
    exit_if_failed(report.failures)
