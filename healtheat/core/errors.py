"""The few exceptions callers may want to catch. Every message is one line and says what to do.

A message that names a parameter holds it as a `Argument`: Python reads fdr, the command line prints --fdr.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of a public function, in a message; with its value, or the one it should have."""

    name: str
    value: object = None

    def __str__(self) -> str:
        """As Python spells it.

        >>> str(Argument("keep_edited", True)), str(Argument("drop", "boxes"))
        ('keep_edited=True', "drop='boxes'")
        """
        return self.name if self.value is None else f"{self.name}={self.value!r}"

    @property
    def option(self) -> str:
        """As the command line spells it.

        >>> Argument("keep_edited", True).option, Argument("drop", "boxes").option
        ('--keep-edited', '--drop boxes')
        """
        name = "--" + self.name.rstrip("_").replace("_", "-")
        if self.value is None or self.value is True:
            return name
        return f"{name} {self.value:g}" if isinstance(self.value, float) else f"{name} {self.value}"


Part = str | Argument


def with_options(parts: Iterable[Part]) -> str:
    """A message as the command line prints it."""
    return "".join(part.option if isinstance(part, Argument) else part for part in parts)


class HealtheatError(Exception):
    """Anything healtheat raises on purpose. `parts` are the pieces of the message."""

    def __init__(self, *parts: Part) -> None:
        super().__init__("".join(map(str, parts)))
        self.parts = parts


class InputError(HealtheatError):
    """The data given cannot be used; the message names the file, the line and what to do."""


class UsageError(InputError):
    """A function was called with a parameter that it lacks, or with a value of the wrong kind."""


class ImageError(HealtheatError):
    """One image cannot be decoded; the message is the reason alone."""


class EncoderError(HealtheatError):
    """An encoder cannot be loaded exactly as asked for."""


class BadIndex(HealtheatError):
    """An index is damaged, incomplete, or written by an incompatible version."""


class IndexGone(BadIndex):
    """The folder of an index that was open is not there any more."""


class IndexBusy(HealtheatError):
    """Another process is building this index right now."""
