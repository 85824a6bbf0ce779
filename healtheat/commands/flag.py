"""`healtheat flag`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import print_flags
from healtheat.commands._terminal import echo, note, report_of
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.findings.outcome import Flags


def flag(
    index: options.IndexOption = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="ISSUE=X",
            help="Flag this issue from score X (0 to 1). Repeatable; other issues keep their defaults. "
            "outlier and low_quality have none and score 0.01 at most.",
        ),
    ] = None,
    fdr: options.FdrOption = None,
    budget: options.BudgetOption = None,
) -> None:
    """Flag findings by other thresholds. Scores stay, no signal runs again.

    Without options, the default thresholds apply. With --fdr thresholds do not count. A budget applies on
    top of either. The number of errors to expect follows from the scores, which are probabilities.

    \b
    Examples:
      healtheat flag --fdr 0.1
      healtheat flag --budget 200
      healtheat flag --threshold mislabel=0.8 --threshold background=0.7
      healtheat flag --threshold low_quality=0.005
      healtheat flag
    """
    from healtheat.findings.choose import thresholds

    report = api.flag(options.which_index(index), threshold=threshold, fdr=fdr, budget=budget)
    flags = report.flags
    with report_of("the findings are flagged all the same"):
        _tell(flags, report.index, thresholds(threshold))


def _tell(flags: Flags, index: Path, asked: Mapping[str, float]) -> None:
    print_flags(flags, index)
    for issue, least in asked.items():
        if least > (highest := flags.highest.get(issue, 0.0)):
            note(
                f"--threshold {issue}={least:g} flags nothing: the highest score of {issue} is {highest:.4g}"
            )
    if flags.places:
        errors = counted(round(flags.errors), "of them is an error", "of them are errors")
        echo(f"{counted(flags.places, 'place')}; by their scores, {errors}")
