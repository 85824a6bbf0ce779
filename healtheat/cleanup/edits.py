"""Bytes of a label file in, the same bytes without some lines or annotations out. Nothing else changes."""

from __future__ import annotations

import json
import re
from collections.abc import Container

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def without_lines(data: bytes, drop: Container[int]) -> bytes:
    """`data` without the 0-based physical lines in `drop`, as the reader of label files counts them.

    >>> without_lines(b"3 0.5 0.5 0.1 0.1\\r\\n7 0.2 0.2 0.1 0.1", {0})
    b'7 0.2 0.2 0.1 0.1'
    """
    return b"".join(line for n, line in enumerate(data.splitlines(keepends=True)) if n not in drop)


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
