"""Bytes of a label file in, the same bytes with some lines or annotations changed out; nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping, Sequence

from healtheat.core.verdicts import Place

_SPACE = re.compile(r"[ \t\r\n]*")
# The class id of a label line and the four numbers behind it, each with what stands before it.
_FIELDS = re.compile(rb"(?:\xef\xbb\xbf)?([ \t]*\S+)((?:[ \t]+\S+){4})")
_NUMBER = re.compile(rb"([ \t]+)(\S+)")
_DECODER = json.JSONDecoder()


def without_lines(data: bytes, drop: Container[int]) -> bytes:
    """`data` without the 0-based physical lines in `drop`, as the reader of label files counts them.

    >>> without_lines(b"3 0.5 0.5 0.1 0.1\\r\\n7 0.2 0.2 0.1 0.1", {0})
    b'7 0.2 0.2 0.1 0.1'
    """
    return b"".join(line for n, line in enumerate(data.splitlines(keepends=True)) if n not in drop)


def box_line(class_id: int, place: Place) -> str:
    """A label line of the task detect: six digits, a thousandth of a pixel of the largest image.

    >>> box_line(3, (0.5, 1 / 3, 0.25, 1e-6))
    '3 0.5 0.333333 0.25 0.000001'
    """
    return " ".join([str(class_id), *map(_digits, place)])


def moved_line(line: bytes, place: Place) -> bytes:
    """A label line whose box is at `place`: its numbers that differ are written anew, every other byte stays.

    Raises ValueError for a line without five fields.

    >>> moved_line(b"3 .50  0.4 0.10 0.1 0.97\\r\\n", (0.5, 0.45, 0.1, 0.2))
    b'3 .50  0.45 0.10 0.2 0.97\\r\\n'
    """
    found = _FIELDS.match(line)
    if found is None:
        raise ValueError("no box of five fields")
    numbers = zip(_NUMBER.findall(found[2]), place, strict=True)
    new = [gap + (old if float(old) == value else _digits(value).encode()) for (gap, old), value in numbers]
    return line[: found.start(2)] + b"".join(new) + line[found.end(2) :]


def with_added(pieces: Sequence[tuple[bytes, bytes]], added: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Lines of a file before and after, and more of them at its end, with the line ends that the file has.

    The last line has one if it had one.
    """
    if not added:
        return list(pieces)
    ends = [line[len(line.rstrip(b"\r\n")) :] for line, _ in pieces]
    end = next((one for one in reversed(ends) if one), b"\n")
    text = end.join(one.encode() for one in added)
    if not ends or ends[-1]:
        return [*pieces, (b"", text + end)]
    *before, (line, after) = pieces
    return [*before, (line, after + end if after else b""), (b"", text)]


def edited(data: bytes, drop: Container[int], moved: Mapping[int, Place], added: Sequence[str] = ()) -> bytes:
    """A label file without the 0-based lines in `drop`, with `moved` boxes, and `added` lines at its end.

    >>> edited(b"3 0.5 0.5 0.1 0.1\\r\\n7 0.2 0.2 0.1 0.1", {0}, {}, ["3 0.5 0.5 0.1 0.2"])
    b'7 0.2 0.2 0.1 0.1\\r\\n3 0.5 0.5 0.1 0.2'
    """
    pieces = []
    for n, line in enumerate(data.splitlines(keepends=True)):
        after = b"" if n in drop else moved_line(line, moved[n]) if n in moved else line
        pieces.append((line, after))
    return b"".join(after for _, after in with_added(pieces, added))


def _digits(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def without_annotations(data: bytes, drop: Container[int]) -> bytes:
    """A COCO JSON without the entries of its array `annotations` at the indices in `drop`.

    Every other byte stays: numbers, spaces, order and keys nobody knows. Raises ValueError where `data` is
    not one JSON object with that array.

    >>> without_annotations(b'{"annotations": [{"id": 1.50}, {"id": 2}], "x": 1e3}', {1})
    b'{"annotations": [{"id": 1.50}], "x": 1e3}'
    """
    text = data.decode("utf-8")
    spans = _spans(text)
    if not spans:
        return data
    parts, end, first = [text[: spans[0][0]]], spans[0][0], True
    for n, (start, stop) in enumerate(spans):
        if n not in drop:
            parts.append(text[start:stop] if first else text[end:stop])  # with the comma before it
            first = False
        end = stop
    return "".join([*parts, text[end:]]).encode("utf-8")


def _spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every element of the top-level array `annotations`."""
    at = _take(text, 1 if text.startswith("\ufeff") else 0, "{")
    spans: list[tuple[int, int]] | None = None
    while not _sees(text, at, "}"):
        key, at = _DECODER.raw_decode(text, _skip(text, at))
        at = _take(text, at, ":")
        if key == "annotations":
            if spans is not None:
                raise ValueError("key 'annotations' is given twice")
            spans, at = _elements(text, at)
        else:
            _, at = _DECODER.raw_decode(text, _skip(text, at))
        if _sees(text, at, "}"):
            break
        at = _take(text, at, ",")
    if spans is None:
        raise ValueError("no list 'annotations'")
    return spans


def _elements(text: str, at: int) -> tuple[list[tuple[int, int]], int]:
    at = _take(text, at, "[")
    spans: list[tuple[int, int]] = []
    while not (_sees(text, at, "]") and not spans):
        start = _skip(text, at)
        _, at = _DECODER.raw_decode(text, start)
        spans.append((start, at))
        if _sees(text, at, "]"):
            break
        at = _take(text, at, ",")
    return spans, _take(text, at, "]")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _sees(text: str, at: int, char: str) -> bool:
    return text.startswith(char, _skip(text, at))


def _take(text: str, at: int, char: str) -> int:
    at = _skip(text, at)
    if not text.startswith(char, at):
        raise ValueError(f"expected {char} at character {at}")
    return at + 1
