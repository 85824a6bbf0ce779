"""Regular expressions with a limit: of some, a search of forty characters takes longer than a life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import regex

from healtheat.core.errors import InputError
from healtheat.core.text import shown

MAX_PATTERN_CHARS = 2000
SEARCH_S = 2.0  # for one text


class Pattern:
    """A regular expression, spelled as Python's `re` spells it.

    Raises InputError, which begins with `what`, for a text that is none, or is longer than
    MAX_PATTERN_CHARS; so does a search that takes longer than SEARCH_S.
    """

    def __init__(self, expression: str, what: str = "pattern") -> None:
        self.expression, self._what = expression, f"{what} {shown(expression)!r}"
        if len(expression) > MAX_PATTERN_CHARS:
            raise InputError(f"{self._what}: longer than {MAX_PATTERN_CHARS} characters")
        try:
            self._pattern: Any = regex.compile(expression, regex.VERSION0)
        except (regex.error, RecursionError, OverflowError, MemoryError, ValueError) as error:
            raise InputError(f"{self._what}: not a regular expression: {error}") from None

    @property
    def named(self) -> Mapping[str, int]:
        """Name → number of each group that has one."""
        return dict(self._pattern.groupindex)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self._pattern.groups)

    def search(self, text: str) -> Any:
        """The first match, None where there is none. Raises InputError."""
        try:
            return self._pattern.search(text, timeout=SEARCH_S)
        except (TimeoutError, MemoryError):
            raise self._too_slow(text) from None

    def every(self, text: str) -> Iterator[Any]:
        """All matches. Raises InputError."""
        try:
            yield from self._pattern.finditer(text, timeout=SEARCH_S)
        except (TimeoutError, MemoryError):
            raise self._too_slow(text) from None

    def _too_slow(self, text: str) -> InputError:
        return InputError(
            f"{self._what}: takes longer than {SEARCH_S:g} s on {shown(text)!r}; write it without repeats "
            "inside repeats, such as (a+)+"
        )


@lru_cache(maxsize=64)
def pattern(expression: str, what: str = "pattern") -> Pattern:
    """The same, kept for the next call."""
    return Pattern(expression, what)
