"""A large JSON object or list, item by item: memory is bounded by the largest item, not by the file."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from healtheat.core.text import shown

MAX_ITEM_CHARS = 8 * 2**20
MAX_KEYS = 1000
_CHUNK_BYTES = 2**20
_LONGEST_WORD = len("-Infinity") + len(
    "\\uD83D\\uDE00"
)  # a token cut by the end of a chunk fails this near it
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SPACE = re.compile(r"[ \t\r\n]*")


class BadJson(Exception):
    """Not the JSON expected; `line` is 0-based."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class _JsonStream:
    """What is common to objects and lists, read once, strictly in order.

    NaN and Infinity, which many writers emit, are read as floats; a UTF-8 byte-order mark is ignored (RFC
    8259, section 8.1). `sha256` and `size` are those of the bytes read so far.
    Raises BadJson, also for a key given twice, values nested too deeply and items of more than 8 Mi
    characters (or `max_item_chars`).
    """

    def __init__(self, file: BinaryIO, limit_bytes: int, max_item_chars: int | None = None) -> None:
        self._file = file
        self._limit = limit_bytes
        self._max_item_chars = MAX_ITEM_CHARS if max_item_chars is None else max_item_chars
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 0  # of the start of _text
        self._ended = False
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes read so far: of the whole file once iteration has ended."""
        return self._hash.hexdigest()

    @property
    def begins(self) -> str:
        """The first character that is not white space, "" of an empty file. Nothing is read past it."""
        return self._peek()

    def _end(self) -> None:
        if self._peek():
            raise BadJson("more text after the end of the JSON value", self._here())

    def _members(self, opening: str, closing: str) -> Iterator[int]:
        """Counts the members of an array or object; the caller reads each one before going on."""
        self._take(opening)
        index = 0
        while self._peek() != closing or index > 0:
            yield index
            index += 1
            if self._peek() == closing:
                break
            self._take(",")
        self._take(closing)

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                problem = BadJson(error.msg, self._line + error.lineno - 1)
                cut_off = error.pos > len(self._text) - _LONGEST_WORD or error.msg.startswith("Unterminated")
                if not cut_off:
                    raise problem from None
            except RecursionError:
                raise BadJson("values nested too deeply", self._here()) from None
            except ValueError:  # an integer of more than 4,300 digits
                raise BadJson("a number with too many digits", self._here()) from None
            else:
                # A number may go on in the next chunk: certain only when what follows it can be seen.
                after = _SPACE.match(self._text, end)
                if self._ended or (after and self._text[after.end() : after.end() + 1] in tuple(",:]}")):
                    self._at = end
                    return value
                problem = BadJson("expected , or the end of the list or object", self._here())
            if self._ended:
                raise problem
            if len(self._text) - self._at > self._max_item_chars:
                limit = f"an item of more than {self._max_item_chars} characters"
                raise BadJson(f"{problem}, or {limit}", problem.line)
            self._fill()

    def _peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill()

    def _take(self, char: str) -> None:
        if (found := self._peek()) != char:
            instead = f"found {shown(found)}" if found else "the file ends"
            raise BadJson(f"expected {char} but {instead}", self._here())
        self._at += 1

    def _fill(self) -> None:
        """At least as much again as is left, so that a long item is tried a logarithmic number of times."""
        self._line = self._here()
        self._text = self._text[self._at :]
        self._at = 0
        data = self._file.read(max(_CHUNK_BYTES, len(self._text)))
        if not self.size and (data.startswith(_UTF16_MARKS) or b"\0" in data[:2]):
            raise BadJson("UTF-16 text; save the file as UTF-8", 0)
        self._hash.update(data)
        self.size += len(data)
        if self.size > self._limit:
            raise BadJson(f"file larger than {self._limit // 2**20} MiB", self._line)
        self._ended = not data
        try:
            self._text += self._decode.decode(data, final=self._ended)
        except UnicodeDecodeError:
            line = self._line + self._text.count("\n")
            raise BadJson("bytes that are not UTF-8 text; save the file as UTF-8", line) from None

    def _here(self) -> int:
        return self._line + self._text.count("\n", 0, self._at)


class JsonObject(_JsonStream):
    """The members of the one object in `file`, read once, strictly in order.

    Iterating gives `(key, index, item)` for each item of a member that is an array and `(key, None, value)`
    for any other member. See `_JsonStream` for the rest.
    """

    def __init__(self, file: BinaryIO, limit_bytes: int, max_item_chars: int | None = None) -> None:
        super().__init__(file, limit_bytes, max_item_chars)
        self.keys: set[str] = set()  # met so far, those of empty arrays too

    def __iter__(self) -> Iterator[tuple[str, int | None, Any]]:
        if (first := self._peek()) != "{":
            found = {"": "nothing", "[": "a list"}.get(first, "something else")
            raise BadJson(f"expected an object {{…}}, found {found}", self._here())
        for _ in self._members("{", "}"):
            if self._peek() != '"':
                raise BadJson("expected a key in double quotes", self._here())
            key: str = self._value()
            if key in self.keys:
                raise BadJson(f"key {shown(key)!r} is given twice", self._here())
            if len(self.keys) == MAX_KEYS:
                raise BadJson(f"more than {MAX_KEYS} keys", self._here())
            self.keys.add(key)
            self._take(":")
            if self._peek() != "[":
                yield key, None, self._value()
                continue
            for index in self._members("[", "]"):
                yield key, index, self._value()
        self._end()


class JsonList(_JsonStream):
    """The items of the one list in `file`, each with its index, read once and in order."""

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        if (first := self._peek()) != "[":
            found = {"": "nothing", "{": "an object"}.get(first, "something else")
            raise BadJson(f"expected a list […], found {found}", self._here())
        for index in self._members("[", "]"):
            yield index, self._value()
        self._end()
