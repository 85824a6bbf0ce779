"""`healtheat flag`."""

from __future__ import annotations

from typing import Annotated

import typer

from healtheat.commands import _options as options
from healtheat.commands._summary import flagged_issues, print_flagged
from healtheat.errors import InputError


def flag(
    index: options.IndexOption = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="ISSUE=X",
            help="Flag this issue from score X up, 0 to 1. Repeatable; the other issues take their defaults.",
        ),
    ] = None,
) -> None:
    """Flag findings by other thresholds. Scores stay, no signal runs again.

    \b
    Examples:
      healtheat flag --threshold mislabel=0.8 --threshold outlier=0.9
      healtheat flag
    """
    from healtheat.findings import THRESHOLDS, FindingSettings
    from healtheat.scoring import update_findings

    chosen = dict(THRESHOLDS)
    for text in threshold or ():
        issue, _, value = text.partition("=")
        if issue not in chosen:
            raise InputError(f"--threshold {text!r}: no such issue; choose from {', '.join(chosen)}")
        chosen[issue] = _share(text, value)
    folder = options.index_path(index)
    update_findings(folder, FindingSettings(thresholds=chosen))
    print_flagged(flagged_issues(folder), folder)


def _share(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise InputError(f"--threshold {text!r}: give a number from 0 to 1, such as mislabel=0.8")
    return number
