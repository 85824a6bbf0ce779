"""The journal of a cleanup in place: one synced line for what began or ended, each chained to the one before.

The end of the file may be a line that a kill tore; it was never reported and is cut off by the next one. Any
other line that is not as it was written is damage, and is told: what it said is not guessed. Journals that
were begun before lines were chained stay without.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from healtheat.core.append import append_synced
from healtheat.core.atomic import canonical_json
from healtheat.core.errors import InputError
from healtheat.core.files import MAX_WHOLE_BYTES, Missing, Unreadable, read_small

_CHECK = "check"
_CHECK_CHARACTERS = 32
_KEYS = {"at", "event", "kind", "left", "path", "step"}  # that a line had before they were chained


class Journal:
    """The journal at `path`, read once; only the holder of the data set's lock may append."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: list[dict[str, Any]] | None = None
        self._chained = True
        self._last = ""  # check of the last whole line
        self._bytes = 0  # of whole lines

    def entries(self) -> list[dict[str, Any]]:
        """Every line, oldest first. Raises InputError for a journal that was changed."""
        if self._read is None:
            self._read = self._whole_lines()
        return self._read

    def append(self, entry: dict[str, Any]) -> None:
        """Add one line; it is on the disk when this returns, or is not there where that fails."""
        entries = self.entries()
        line, check = self._encoded(entry)
        append_synced(self._path, line, self._bytes)
        entries.append(entry)
        self._last, self._bytes = check, self._bytes + len(line)

    def _whole_lines(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        *lines, torn = self._bytes_on_disk().split(b"\n")
        self._chained = not (lines and _unchained(lines[0]))
        for number, line in enumerate(lines, 1):
            entry = self._entry(line)
            if entry is None:
                raise self._changed(number)
            found.append(entry)
            self._last, self._bytes = self._encoded(entry)[1], self._bytes + len(line) + 1
        if self._entry(torn[:-1]) is not None:
            raise self._changed(len(lines) + 1)  # a whole line with another end
        return found

    def _bytes_on_disk(self) -> bytes:
        try:
            return read_small(self._path, MAX_WHOLE_BYTES).data
        except Missing:
            return b""
        except Unreadable as error:
            raise InputError(
                f"{self._path}: {error}, so nobody knows how far this cleanup came; restore it from a copy, "
                "or move it away and run `healtheat rollback`, which undoes it"
            ) from None

    def _entry(self, line: bytes) -> dict[str, Any] | None:
        """What a line says; None for one that is not, byte for byte, what was written behind the last."""
        try:
            entry = json.loads(line)
            check = entry.pop(_CHECK) if self._chained else entry.get(_CHECK, "")
            return entry if (line + b"\n", check) == self._encoded(entry) else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _encoded(self, entry: dict[str, Any]) -> tuple[bytes, str]:
        """The next line for an entry, and its check; no check where lines are not chained."""
        return _encode(entry, self._last) if self._chained else (canonical_json(entry) + b"\n", "")

    def _changed(self, line: int) -> InputError:
        return InputError(
            f"{self._path}:{line}: the line was changed, so nobody knows how far this cleanup came; "
            "restore the file from a copy, or delete it and run `healtheat rollback`, which undoes it"
        )


def _unchained(line: bytes) -> bool:
    """Whether it is a line of before they were chained."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and entry.keys() <= _KEYS and canonical_json(entry) == line


def _encode(entry: dict[str, Any], previous: str) -> tuple[bytes, str]:
    """The line of an entry behind the line with the check `previous`, and its own check."""
    body = previous.encode() + canonical_json(entry)
    check = hashlib.sha256(body).hexdigest()[:_CHECK_CHARACTERS]
    return canonical_json({**entry, _CHECK: check}) + b"\n", check
