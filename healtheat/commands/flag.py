"""`healtheat flag`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healtheat.commands import _options as options
from healtheat.commands._summary import flagged_issues, print_flagged
from healtheat.core.errors import InputError


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
    fdr: options.FdrOption = None,
    budget: options.BudgetOption = None,
) -> None:
    """Flag findings by other thresholds. Scores stay, no signal runs again.

    Without options, by the default thresholds. With --fdr thresholds do not count. A budget comes on top of
    either. The number of errors to expect follows from the scores, which are chances.

    \b
    Examples:
      healtheat flag --fdr 0.1
      healtheat flag --budget 200
      healtheat flag --threshold mislabel=0.8 --threshold outlier=0.9
      healtheat flag
    """
    from healtheat.findings.flag import THRESHOLDS
    from healtheat.findings.score import update_findings

    if fdr is not None and threshold:
        raise InputError("--fdr sets the thresholds itself; leave out --threshold or --fdr")

    chosen = dict(THRESHOLDS)
    for text in threshold or ():
        issue, _, value = text.partition("=")
        if issue not in chosen:
            raise InputError(f"--threshold {text!r}: no such issue; choose from {', '.join(chosen)}")
        chosen[issue] = _share(text, value)
    folder = options.index_path(index)
    update_findings(folder, options.finding_settings(thresholds=chosen, fdr=fdr, budget=budget))
    print_flagged(flagged_issues(folder), folder)
    places, errors = _expected(folder)
    if places:
        typer.echo(f"{places} boxes or photos; by their scores, {errors:.0f} of them are errors")


def _expected(folder: Path) -> tuple[int, float]:
    """Flagged boxes or photos, and how many hold an error if scores are chances: the sum of their highest."""
    from healtheat.index import Index

    with Index.open(folder, verify=False) as index:
        row = index.sql(
            "select count(*) as places, coalesce(sum(best), 0) as errors from (select max(score) as best "
            "from findings where flagged group by box_id, case when box_id < 0 then image_id end)"
        ).to_pylist()[0]
    return row["places"], row["errors"]


def _share(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise InputError(f"--threshold {text!r}: give a number from 0 to 1, such as mislabel=0.8")
    return number
