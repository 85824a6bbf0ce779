"""What commands share about the terminal: data on stdout, everything else on stderr, nothing unprintable."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from healtheat.core.progress import Progress, silent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

# exit codes, beside 0: done and 1: a gate that was asked for was not met
USAGE, FAULT, INTERRUPTED, BROKEN_PIPE = 2, 70, 130, 141
PIPED_WIDTH = 160  # columns of a table that goes into a file or pipe


def prepare_streams() -> None:
    """UTF-8 on every platform: a Windows console's code page has no Korean drug names."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if hasattr(sys.stdout, "reconfigure") and os.name == "nt":
        sys.stdout.reconfigure(newline="\n")  # CSV carries its own line ends


def one_line(text: str) -> str:
    """`text` on one line, with control characters (a terminal would obey them) escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in text
    )


def note(text: str) -> None:
    """One line on stderr, for people."""
    print(one_line(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """`value` as indented JSON on stdout; figures that are not defined (NaN) become null."""
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console(out: IO[str] | None = None) -> Console:
    """Rich's console on `out` (default stdout). Honours NO_COLOR and COLUMNS; wide where nobody looks."""
    from rich.console import Console

    out = out or sys.stdout
    width = None if out.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False)


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress callback that draws bars on stderr while the block runs; silent where no terminal is."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console(sys.stderr)) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(one_line(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report
