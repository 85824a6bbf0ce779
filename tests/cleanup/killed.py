"""A cleanup or rollback that is killed, for real, at its k-th step: started in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healtheat.cleanup import Plan, apply_in_place, rollback, write_copy
from tests.kill_steps import run_to_step

_MORE_CALLS = ((shutil, "copystat"), (shutil, "copymode"))


def run(what: str, argument: Any, kill_at: int, counted: str) -> None:
    """Do `what` and die at step `kill_at`; with -1 live, and write the number of steps to `counted`."""
    run_to_step(lambda: _WHAT[what](argument), _MORE_CALLS, kill_at, counted)


def _copy(argument: tuple[Plan, Path]) -> None:
    write_copy(*argument)


_WHAT: dict[str, Callable[[Any], Any]] = {"apply": apply_in_place, "rollback": rollback, "copy": _copy}
