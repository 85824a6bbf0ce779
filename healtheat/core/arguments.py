"""What Python gave for a parameter, checked where a function is called: the error names the parameter."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from healtheat.core.errors import Argument, UsageError

PathLike = str | os.PathLike[str]


def whole(*, least: int | None = None, optional: bool = False, **given: Any) -> None:
    """Raises UsageError unless each of `given` (parameter=value) is a whole number, or None if `optional`."""
    _check(given, Integral, "a whole number", least, optional)


def number(*, least: float | None = None, optional: bool = False, **given: Any) -> None:
    """The same for numbers."""
    _check(given, Real, "a number", least, optional)


def text(*, optional: bool = False, **given: Any) -> None:
    """The same for texts."""
    _check(given, str, "text", None, optional)


def switch(**given: Any) -> None:
    """The same for True and False."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise UsageError(Argument(name), f": expected True or False, found {type(value).__name__}")


def path(*, optional: bool = False, **given: Any) -> None:
    """The same for paths: text or `os.PathLike`."""
    _check(given, (str, os.PathLike), "a path", None, optional)


def path_or_none(**given: PathLike | None) -> Path | None:
    """The one path of `given`, None where it is. Raises UsageError for a value of another type."""
    ((name, value),) = given.items()
    _check({name: value}, (str, os.PathLike), "a path", None, True)
    return None if value is None else Path(value)


def needed_path(**given: PathLike) -> Path:
    """The one path of `given`. Raises UsageError for a value of another type."""
    ((name, value),) = given.items()
    _check({name: value}, (str, os.PathLike), "a path", None, False)
    return Path(value)


def _check(given: dict[str, Any], kind: Any, expected: str, least: float | None, optional: bool) -> None:
    for name, value in given.items():
        if value is None and optional:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UsageError(Argument(name), f": expected {expected}, found {type(value).__name__}")
        if least is not None and not value >= least:
            raise UsageError(Argument(name), f" {value}: give {expected} of at least {least:g}")
