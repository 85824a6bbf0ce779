"""What a data set's own files may name: its folder, and places elsewhere only if the user says so.

A data.yaml of a stranger could name the whole disk. What the user typed is always read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from healtheat.core.errors import Argument, InputError
from healtheat.core.text import shown

_ALLOWED = ContextVar("outside", default=False)


@contextmanager
def outside_allowed(allowed: bool) -> Iterator[None]:
    """While the block runs, data sets that are opened may name places outside of their folder."""
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


class Bounds:
    """The folder of a data set, links followed; None where it may name any place."""

    def __init__(self, data: Path) -> None:
        """`data` is what the user typed: a data.yaml or a folder. The context decides (`outside_allowed`)."""
        self.data = data
        folders = [data] if data.is_dir() else [data.parent, Path(os.path.realpath(data)).parent]
        homes = {os.path.realpath(folder) for folder in folders}
        self.homes: frozenset[str] | None = None if _ALLOWED.get() else frozenset(homes)

    def check(self, places: Iterable[Path]) -> None:
        """Raises InputError for the first that lies outside."""
        for place in places:
            if not self.holds(place):
                raise InputError(
                    f"{self.data}: names {shown(str(place), 300)}, which lies outside of its folder "
                    f"({shown(os.path.realpath(place), 300)}); if that is meant, add ",
                    Argument("outside", True),
                )

    def holds(self, place: Path) -> bool:
        """Whether `place` lies inside; of a file its folder decides, so that it may be a link itself."""
        if self.homes is None:
            return True
        real = os.path.realpath(place if place.is_dir() else place.parent)
        return any(real == home or real.startswith(home.rstrip(os.sep) + os.sep) for home in self.homes)
