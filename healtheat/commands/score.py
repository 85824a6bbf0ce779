"""`healtheat score`."""

from __future__ import annotations

from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, flagged_issues, print_flagged
from healtheat.commands._terminal import note, progress_bar


def score(
    index: options.IndexOption = None,
    contents_rule: options.ContentsRuleOption = None,
    classes: options.ClassesOption = None,
    predictions: options.PredictionsOption = None,
) -> None:
    """Run the signals again over an index.

    Vectors, boxes and verdicts stay as they are; nothing is embedded. Useful after an update of healtheat,
    or where a signal failed. Findings are flagged, and what photo names and predictions say is read, as at
    the last scoring, unless --contents-rule, --classes or --predictions is given. `healtheat flag` applies
    other thresholds without running any signal.

    \b
    Examples:
      healtheat score
      healtheat score --index index/pills
      healtheat score --contents-rule aihub --classes classes.csv
      healtheat score --predictions runs/detect/predict/labels
    """
    from healtheat.findings.flag import FindingSettings
    from healtheat.findings.score import rescore
    from healtheat.index import Index
    from healtheat.signals import SIGNALS
    from healtheat.signals.agreement import Agreement, predictions_of, with_predictions
    from healtheat.signals.contents import contents_of, with_contents

    folder = options.index_path(index)
    with Index.open(folder) as opened:
        flagging = FindingSettings.model_validate(opened.manifest.settings["findings"])
        if contents_rule is None and classes is None:
            signals = with_contents(SIGNALS, *contents_of(opened))
        else:
            signals = with_contents(SIGNALS, contents_rule or "auto", classes)
        given = predictions_of(opened) if predictions is None else options.predictions_folder(predictions)
        signals = with_predictions(signals, given)
        for signal in signals:
            if isinstance(signal, Agreement):
                photos = [str(path) for path in opened.images().path]
                joined = signal.joined(photos)
                note(f"predictions for {joined.photos} of {len(photos)} photos in {given}")
    with progress_bar() as progress:
        report = rescore(folder, signals=signals, findings=flagging, progress=progress)
    print_flagged(flagged_issues(folder), folder)
    exit_if_failed(report.failures)
