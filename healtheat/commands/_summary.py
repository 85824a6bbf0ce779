"""What `build`, `score` and `flag` say at the end: how many findings are flagged, by issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from healtheat.commands._terminal import FAULT, USAGE, note, one_line
from healtheat.core.errors import InputError

REASONS_SHOWN = 5


def flagged_issues(folder: Path) -> dict[str, int]:
    """Issue → flagged findings, most first."""
    from healtheat.index import Index

    with Index.open(folder, verify=False) as index:
        rows = index.sql(
            "select issue, count(*) as n from findings where flagged group by issue order by n desc, issue"
        ).to_pylist()
    return {row["issue"]: row["n"] for row in rows}


def print_unjudged(folder: Path) -> None:
    """How many flags were withheld, and which boxes' classes could not be judged, and why."""
    from healtheat.index import Index

    with Index.open(folder, verify=False) as index:
        withheld = index.sql(
            "select count(*) as n from findings where evidence like '%\"withheld\"%' and not flagged"
        )["n"][0].as_py()
        silent = index.sql(
            "select abstain, count(*) as n from scores where signal = 'label' and abstain is not null "
            "group by all order by n desc, abstain"
        ).to_pylist()
    if withheld:
        typer.echo(
            f"{withheld} scores without a flag, their classes look alike to the encoder: healtheat trust"
        )
    if silent:
        boxes = sum(row["n"] for row in silent)
        typer.echo(f"{boxes} boxes whose class could not be judged:")
        for row in silent[:REASONS_SHOWN]:
            typer.echo(f"  {row['n']:>6} {one_line(row['abstain'])}")
        if len(silent) > REASONS_SHOWN:
            typer.echo(f"         … and {len(silent) - REASONS_SHOWN} more classes: healtheat trust")


def print_flagged(issues: Mapping[str, int], folder: Path) -> None:
    """The table of issues and the command that shows them."""
    typer.echo(f"{sum(issues.values())} findings flagged:" if issues else "nothing flagged")
    for issue, n in issues.items():
        typer.echo(f"  {n:>6} {issue}")
    print_unjudged(folder)
    typer.echo(f"next: healtheat query --index {folder.as_posix()}")


def exit_if_failed(failures: Sequence[str]) -> None:
    """Name the signals that crashed, and end with the code for it."""
    for failure in failures:
        note(f"a signal failed, the others are complete: {failure}")
    if failures:
        bad_input = all(f": {InputError.__name__}: " in failure for failure in failures)
        raise typer.Exit(USAGE if bad_input else FAULT)
