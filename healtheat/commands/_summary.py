"""What `build`, `score` and `flag` say at the end: how many findings are flagged, by issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from healtheat.commands._terminal import FAULT, note


def flagged_issues(folder: Path) -> dict[str, int]:
    """Issue → flagged findings, most first."""
    from healtheat.index import Index

    with Index.open(folder, verify=False) as index:
        rows = index.sql(
            "select issue, count(*) as n from findings where flagged group by issue order by n desc, issue"
        ).to_pylist()
    return {row["issue"]: row["n"] for row in rows}


def print_flagged(issues: Mapping[str, int], folder: Path) -> None:
    """The table of issues and the command that shows them."""
    typer.echo(f"{sum(issues.values())} findings flagged:" if issues else "nothing flagged")
    for issue, n in issues.items():
        typer.echo(f"  {n:>6} {issue}")
    typer.echo(f"next: healtheat query --index {folder.as_posix()}")


def exit_if_failed(failures: Sequence[str]) -> None:
    """Name the signals that crashed, and end with the code for it."""
    for failure in failures:
        note(f"a signal failed, the others are complete: {failure}")
    if failures:
        raise typer.Exit(FAULT)
