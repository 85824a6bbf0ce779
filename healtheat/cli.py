"""`healtheat …`: the app that gathers the commands, and what every command's failure looks like.

Exit codes: 0 done; 1 a gate asked for was not met; 2 bad input or usage; 70 a fault of healtheat itself;
130 interrupted; 141 the reader of a pipe went away. They say what was done, not whether it could be printed.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from healtheat.commands import COMMANDS
from healtheat.commands._quiet import TRACEBACK, others_quiet
from healtheat.commands._terminal import BROKEN_PIPE, FAULT, INTERRUPTED, USAGE, drop, note, prepare_streams
from healtheat.commands.reference import command_name
from healtheat.core.conditions import NO_ROOM, told, told_of_name
from healtheat.core.errors import HealtheatError, with_options
from healtheat.core.version import __version__

app = typer.Typer(
    name="healtheat",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Find wrong labels in object-detection data. Class ids are never changed.",
    epilog="Exit codes: 0 done, 1 a gate was not met (such as --fail-over), 2 bad input or usage.",
)
for command in COMMANDS:
    app.command(command_name(command))(command)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"healtheat {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _app(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code. Never raises."""
    prepare_streams()
    with others_quiet():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(given: list[str]) -> int:
    try:
        code = app(given, prog_name="healtheat", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; the same command continues where this one stopped", INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # Typer ends the process on a broken pipe, and on nothing else
        return _close_pipe()
    except HealtheatError as error:
        return _fail(with_options(error.parts), USAGE)
    except typer.TyperException as error:
        where = getattr(error, "ctx", None)
        path = where.command_path if where is not None else "healtheat"
        return _fail(f"{_in_our_words(error).format_message()} (see `{path} --help`)", USAGE)
    except OSError as error:
        return _fail(("standard output: " if _of_stdout(error) else "") + told(error), USAGE)
    except UnicodeEncodeError as error:
        return _fail(told_of_name(error), USAGE)
    except MemoryError:
        return _fail("not enough memory; close other programs, then run the same command again", USAGE)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return _fail(f"a fault of healtheat: {what} (set {TRACEBACK}=1 to see where)", FAULT)


def _in_our_words(error: typer.TyperException) -> typer.TyperException:
    """Typer lets pydantic read values, and repeats what that says."""
    from pydantic import ValidationError

    from healtheat.core.validation import what_is_wrong

    if isinstance(error.__cause__, ValidationError):
        _, error.message = what_is_wrong(error.__cause__)
    return error


def main() -> NoReturn:
    """The `healtheat` console script."""
    sys.exit(run())


def _fail(message: str, code: int) -> int:
    note(f"healtheat: {message}")
    return code


def _close_pipe() -> int:
    """Nobody reads any more: end quietly, with the code a shell expects."""
    drop(sys.stdout)
    return BROKEN_PIPE


def _of_stdout(error: OSError) -> bool:
    """Whether what was printed could not be written. What is left of it goes nowhere."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)
        return True
    return error.filename is None and error.errno in NO_ROOM  # every file of ours is named
