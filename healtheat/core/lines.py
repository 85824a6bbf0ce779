"""Lists: text files with one path per line, as trainers read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.text import shown


def listable(path: str) -> bool:
    """Whether `path` survives in a text file with one path per line, read as Ultralytics reads it.

    That splits at every line end that Python knows (U+0085 and U+2028 among them) and strips spaces.
    """
    return len(path.splitlines()) == 1 and path == path.strip()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write the new file `path`, one of `lines` per line. Raises InputError, and writes nothing, for a line
    that would be read back as another one, or as two.
    """
    lines = list(lines)
    if bad := next((line for line in lines if not listable(line)), None):
        raise InputError(
            f"{path.name}: {shown(bad, 300)!r} cannot stand in a list, one path per line; rename it"
        )
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
