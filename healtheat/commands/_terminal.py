"""What commands share about the terminal: data on stdout, everything else on stderr, nothing unprintable.

Whatever a command prints goes through here, so that no name or value of a stranger reaches a terminal raw: as
text (`echo`, `note`), as a table of rich (`console`), as JSON (`print_json`) and as rows (`print_rows`).
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

import typer

from healtheat.core.json_text import json_text
from healtheat.core.progress import Progress, silent
from healtheat.core.text import one_line, shortened

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console
    from rich.progress import TaskID

# exit codes, beside 0: done and 1: a gate that was asked for was not met
USAGE, FAULT, INTERRUPTED, BROKEN_PIPE = 2, 70, 130, 141
MAX_NOTE = 2000  # characters of a message; only what a stranger made so long is longer
PIPED_WIDTH = 160  # columns of a table that goes into a file or pipe


def prepare_streams() -> None:
    """UTF-8 on every platform: a Windows console's code page has no Korean drug names.

    A stream that was closed (`>&-`) is as one that leads to /dev/null, and no file of ours gets its number.
    """
    _fill_descriptors()
    sys.stdout = sys.stdout or _nowhere(1)
    sys.stderr = sys.stderr or _nowhere(2)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if hasattr(sys.stdout, "reconfigure") and os.name == "nt":
        sys.stdout.reconfigure(newline="\n")  # CSV carries its own line ends


def _fill_descriptors() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _nowhere(number: int) -> IO[str]:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def drop(stream: IO[str]) -> None:
    """What is still to be written to a stream that takes nothing any more goes nowhere.

    The interpreter would write it once more as it ends, complain, and change the exit code.
    """
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def echo(text: str = "") -> None:
    """One line on stdout."""
    typer.echo(one_line(text))


def note(text: str) -> None:
    """One line on stderr, for people; lost where that cannot be written, which is no reason to stop."""
    try:
        print(one_line(shortened(text, MAX_NOTE)), file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


@contextlib.contextmanager
def report_of(done: str) -> Iterator[None]:
    """The block prints, for people, what became of work that is done.

    What cannot be printed does not undo the work: it is told on stderr, with `done`, and the command ends as
    it would.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is not None:
            raise
        drop(sys.stdout)
        note(f"standard output: {error.strerror or error}; {done}")


def print_json(value: Any) -> None:
    """`value` as indented JSON on stdout; figures that are not defined (NaN) become null."""
    sys.stdout.write(json_text(_finite(value), indent=2) + "\n")


def print_json_line(value: Any) -> None:
    """`value` as JSON on one line of stdout, as `print_json`."""
    sys.stdout.write(json_text(_finite(value)) + "\n")


def print_rows(rows: pa.Table, format: str) -> None:
    """A table on stdout as csv, json or jsonl, exact; in a CSV that goes to a terminal, not into a file,
    what a terminal would obey is escaped.
    """
    from healtheat.core.table import TEXT_FORMATS

    shown = format == "csv" and sys.stdout.isatty()
    TEXT_FORMATS[format](rows, cast("IO[str]", _Escaped(sys.stdout)) if shown else sys.stdout)


class _Escaped:
    """Takes the rows of a CSV, one by one, and writes each on one line."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, row: str) -> None:
        self._out.write(one_line(row.removesuffix("\n")) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console(out: IO[str] | None = None) -> Console:
    """Rich's console on `out` (default stdout). Honours NO_COLOR and COLUMNS; wide where nobody looks.

    Every text that it prints, cells of tables included, stands on one line and is escaped as by `one_line`.
    """
    from rich.console import Console
    from rich.text import Text

    class Escaping(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(one_line(text), **options)

    out = out or sys.stdout
    width = None if out.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Escaping(file=out, width=width, highlight=False, markup=False, emoji=False)


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
