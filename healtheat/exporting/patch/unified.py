"""A unified diff of bytes, as `git apply` and `patch` take it
(https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

CONTEXT = 3  # lines around a change
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")  # a diff's lines end at a line feed alone
_PLAIN = re.compile(r"[ !#-\[\]-~]*")  # what git writes without quotes
_ESCAPES = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r"}

Row = tuple[bytes, bytes]  # some bytes of a file, before and after


def unified(path: str, pieces: Sequence[Row], *, made: bool = False) -> bytes:
    """The diff of the file `path` (relative, POSIX), whose content before and after is all `pieces` in a row.

    `made`: the file is not there yet.

    b"" if nothing changes. There is no line `diff --git`: with it `git apply` would count the path from the
    top of a repository that the folder may lie in, and pass over it silently.
    """
    rows = _rows(pieces)
    hunks = [_hunk(rows, start, stop) for start, stop in _spans(rows)]
    if not hunks:
        return b""
    old = b"/dev/null" if made else _name("a/" + path)
    return b"--- " + old + b"\n+++ " + _name("b/" + path) + b"\n" + b"".join(hunks)


def _rows(pieces: Sequence[Row]) -> list[Row]:
    """The pieces joined until both sides end with a line feed: a lone CR ends no line of a diff."""
    rows: list[Row] = []
    old = new = b""
    for before, after in pieces:
        old, new = old + before, new + after
        if old.endswith(b"\n") and new[-1:] in (b"", b"\n"):
            rows.append((old, new))
            old = new = b""
    return [*rows, (old, new)] if old or new else rows


def _spans(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Rows of each hunk: the changed ones with their context, those that touch together."""
    start = stop = -1
    for at, (old, new) in enumerate(rows):
        if old == new:
            continue
        if start >= 0 and at - CONTEXT > stop:
            yield start, stop
            start = -1
        start = max(0, at - CONTEXT) if start < 0 else start
        stop = min(len(rows), at + 1 + CONTEXT)
    if start >= 0:
        yield start, stop


def _hunk(rows: Sequence[Row], start: int, stop: int) -> bytes:
    lines: list[bytes] = []
    for old, new in rows[start:stop]:
        if old == new:
            lines += [b" " + line for line in _LINES.findall(old)]
        else:
            lines += [b"-" + line for line in _LINES.findall(old)]
            lines += [b"+" + line for line in _LINES.findall(new)]
    ranges = []
    for side, sign in enumerate((b"-", b"+")):
        before = sum(len(_LINES.findall(row[side])) for row in rows[:start])
        count = sum(line[:1] in (b" ", sign) for line in lines)
        ranges.append(b"%s%d,%d" % (sign, before + (count > 0), count))
    ended = [line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines]
    return b"@@ " + b" ".join(ranges) + b" @@\n" + b"".join(ended)


def _name(path: str) -> bytes:
    """A file name as git writes it: quoted where it is not plain ASCII, ended by a tab where it has a space.

    >>> _name('a/labels/정 "1".txt').decode(), _name("b/my labels.txt").decode()
    ('"a/labels/\\\\354\\\\240\\\\225 \\\\"1\\\\".txt"', 'b/my labels.txt\\t')
    """
    if _PLAIN.fullmatch(path):
        return path.encode("ascii") + (b"\t" if " " in path else b"")
    return b'"' + b"".join(map(_escaped, path.encode("utf-8", "surrogateescape"))) + b'"'


def _escaped(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\" + bytes([byte])
    return bytes([byte]) if 32 <= byte < 127 else _ESCAPES.get(byte, b"\\%03o" % byte)
