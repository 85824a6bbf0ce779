"""What `build`, `score` and `flag` print at the end: how many findings are flagged, by issue."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from healtheat.commands._terminal import FAULT, USAGE, echo, note
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.core.issues import Silence
    from healtheat.findings.outcome import Failure, Flags

REASONS_SHOWN = 5


def print_flags(flags: Flags, folder: Path) -> None:
    """The table of issues, what was not judged, and the command that shows the findings."""
    more = f" ({flags.boxes} with their copies)" if flags.boxes > flags.places else ""
    echo(f"{counted(flags.places, 'place')} flagged{more}:" if flags.issues else "nothing flagged")
    for issue, n in flags.issues.items():
        echo(f"  {n:>6} {issue}")
    _print_unjudged(flags)
    print_silences(flags.silences)
    echo(f"next: healtheat query --index {folder.as_posix()}")


def exit_if_failed(failures: Sequence[Failure]) -> None:
    """Name the signals that crashed, and end with the code for it."""
    for failure in failures:
        note(f"a signal failed, the others are complete: {failure}")
    if failures:
        raise typer.Exit(USAGE if all(failure.fault == "input" for failure in failures) else FAULT)


def print_silences(silences: Sequence[Silence]) -> None:
    """One line for each question that was not asked of this set, below their heading."""
    if silences:
        echo("not asked on this set:")
    for silence in silences:
        echo(f"  {silence}")


def _print_unjudged(flags: Flags) -> None:
    if flags.withheld:
        why = "their classes look alike to the encoder: healtheat trust"
        echo(f"{counted(flags.withheld, 'score')} without a flag, {why}")
    if not flags.unjudged:
        return
    boxes = counted(sum(flags.unjudged.values()), "box")
    echo(f"{boxes} whose class could not be judged:")
    for reason, n in islice(flags.unjudged.items(), REASONS_SHOWN):
        echo(f"  {n:>6} {reason}")
    if (more := len(flags.unjudged) - REASONS_SHOWN) > 0:
        echo(f"         … and {counted(more, 'more class')}: healtheat trust")
