"""A source that is read once and can be gone through again: a detector must not look at everything twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from healtheat.sources.base import Edits, Record, Source


class ReadOnce:
    """`source` with its records kept: boxes and paths of all images, no pixels."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._records = list(source.read())

    @property
    def kind(self) -> str:
        return self._source.kind

    @property
    def edits(self) -> Edits:
        return self._source.edits

    @property
    def root(self) -> Path:
        return self._source.root

    @property
    def data(self) -> Path:
        return self._source.data

    @property
    def names(self) -> Mapping[int, str]:
        return self._source.names

    @property
    def ids_from(self) -> str:
        """Where the class ids come from, where a format knows classes by name; else ""."""
        return str(getattr(self._source, "ids_from", ""))

    def read(self) -> Iterator[Record]:
        """The same records every time."""
        return iter(self._records)
