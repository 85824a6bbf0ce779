"""`healtheat score`."""

from __future__ import annotations

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, print_flags
from healtheat.commands._terminal import note, progress_bar, report_of
from healtheat.core.text import counted


def score(
    index: options.IndexOption = None,
    contents_rule: options.ContentsRuleOption = None,
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
    missing: options.MissingAgainOption = None,
    proposals: options.ProposalsOption = None,
    encoder: options.AgainEncoderOption = None,
) -> None:
    """Run the signals again over an index.

    Vectors, boxes and verdicts stay as they are. Useful after an update of healtheat,
    or where a signal failed. Findings are flagged, image names are read, and missing boxes are searched for,
    as at the last scoring; an expression or files of that are given again, or left out by the words auto and
    none. The search also needs the encoder, where that is not one of healtheat's own. `healtheat flag`
    applies other thresholds without running any signal.

    \b
    Examples:
      healtheat score
      healtheat score --index index/pills
      healtheat score --contents-rule aihub --classes classes.csv
      healtheat score --predictions runs/detect/predict/labels
      healtheat score --missing
      healtheat score --missing --proposals sam2.1_t.pt
    """
    with progress_bar() as progress:
        report = api.score(
            options.which_index(index),
            contents_rule=contents_rule,
            classes=classes,
            predictions=predictions,
            missing=missing,
            proposals=proposals,
            encoder=encoder,
            progress=progress,
        )
    if (used := report.predictions) is not None:
        note(f"predictions for {used.matched} of {counted(used.images, 'image')} in {used.folder}")
    with report_of("the index is scored all the same"):
        print_flags(report.flags, report.index)
    exit_if_failed(report.failures)
