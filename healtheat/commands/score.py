"""`healtheat score`."""

from __future__ import annotations

from healtheat.commands import _options as options
from healtheat.commands._summary import exit_if_failed, flagged_issues, print_flagged
from healtheat.commands._terminal import progress_bar


def score(index: options.IndexOption = None) -> None:
    """Run the signals again over an index.

    Vectors, boxes and verdicts stay as they are; nothing is embedded. Useful after an update of healtheat,
    or where a signal failed. `healtheat flag` applies other thresholds without running any signal.

    \b
    Examples:
      healtheat score
      healtheat score --index index/pills
    """
    from healtheat.scoring import rescore

    folder = options.index_path(index)
    with progress_bar() as progress:
        report = rescore(folder, progress=progress)
    print_flagged(flagged_issues(folder), folder)
    exit_if_failed(report.failures)
