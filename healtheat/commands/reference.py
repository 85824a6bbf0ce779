"""docs/cli.md out of the commands themselves: `python -m healtheat.commands.reference docs/cli.md`.

Made from what the commands declare rather than from the text of --help, whose layout belongs to Typer.
What stands above the marker in the file is written by hand and stays.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

MARKER = "<!-- below: made by `make docs` -->\n"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument or option as it is typed: `names` is empty for an argument."""

    names: tuple[str, ...]
    value: str  # what stands behind the name; "" for a flag
    default: Any
    help: str


def page(preface: str) -> str:
    """The whole page: the preface, and a section for each command."""
    from healtheat.commands import COMMANDS

    return preface.partition(MARKER)[0] + MARKER + "".join(_section(command) for command in COMMANDS)


def command_name(command: Callable[..., None]) -> str:
    """The name on the command line."""
    return _dashed(command.__name__)


def parameters(command: Callable[..., None]) -> Iterator[Parameter]:
    """Arguments and options in the order of --help."""
    hints = get_type_hints(command, include_extras=True)
    for name, given in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])[:2]
        # Typer's Option takes the first name where a default could stand
        given_names = [info.default, *(info.param_decls or ())]
        written = (n for given in given_names if isinstance(given, str) for n in given.split("/"))
        names = tuple(written) or (f"--{_dashed(name)}",)
        if type(info).__name__ == "ArgumentInfo":
            yield Parameter((), info.metavar or name.upper(), given.default, info.help or "")
        else:
            value = "" if kind is bool else info.metavar or "|".join(_choices(kind)) or _plain_name(kind)
            yield Parameter(names, value, given.default, info.help or "")


def _dashed(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _section(command: Callable[..., None]) -> str:
    name, found = command_name(command), list(parameters(command))
    usage = " ".join(["healtheat", name, *(p.value for p in found if not p.names), "[OPTIONS]"])
    rows = "\n".join(_row(parameter) for parameter in found)
    table = f"\n| option | default | what it does |\n|---|---|---|\n{rows}\n" if found else ""
    return f"\n## healtheat {name}\n\n{_prose(command)}\nUsage: `{usage}`\n{table}"


def _prose(command: Callable[..., None]) -> str:
    """The docstring; what stands under `Examples:` becomes a code block."""
    words, _, examples = (inspect.getdoc(command) or "").partition("\b\nExamples:\n")
    lines = "\n".join(line.removeprefix("  ") for line in examples.rstrip().splitlines())
    return words.strip() + "\n" + (f"\n```\n{lines}\n```\n" if lines else "")


def _row(parameter: Parameter) -> str:
    names = "`, `".join(parameter.names)
    head = " ".join(f"`{text}`" for text in (names, parameter.value) if text)
    default = parameter.default
    if default is inspect.Parameter.empty:
        shown = "required"
    elif default is None or default is False:
        shown = ""
    else:
        shown = f"`{default.as_posix() if isinstance(default, Path) else default}`"
    return "| " + " | ".join(text.replace("|", "\\|") for text in (head, shown, parameter.help)) + " |"


def _choices(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for part in get_args(kind) for choice in _choices(part))


def _plain_name(kind: Any) -> str:
    known = {int: "N", float: "X", Path: "PATH"}
    return next((known[part] for part in (kind, *get_args(kind)) if part in known), "TEXT")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(page(target.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
