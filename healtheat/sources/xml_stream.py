"""XML from strangers, one child of the root at a time: no entities, no documents elsewhere, bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pyexpat import ErrorString, ExpatError, ParserCreate, XMLParserType
from typing import BinaryIO
from xml.etree.ElementTree import Element, TreeBuilder

from healtheat.core.text import shown

MAX_ITEM_BYTES = 8 * 2**20
MAX_DEPTH = 50
_CHUNK_BYTES = 2**16


class BadXml(Exception):
    """Not the XML expected; `line` is 0-based."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class XmlChildren:
    """The children of the root element in `file`, read once and in order, each with all that is in it.

    Expat (in Python's standard library) parses. A document type is refused, so there are no entities to
    expand and no other file to fetch (attacks such as "billion laughs" need one). `root` is the tag of the
    root element once the first child was given, "" before. `sha256` and `size` are those of
    the bytes read so far. Raises BadXml, also for more than `limit_bytes`, a child of more than 8 MiB and
    more than 50 levels.
    """

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self._file = file
        self._limit = limit_bytes
        self._hash = hashlib.sha256()
        self._ready: list[tuple[int, Element]] = []
        self._tree: TreeBuilder | None = None
        self._depth = 0
        self._began = (0, 0)  # (byte, line) where the child began
        self._parser = self._made()
        self.root = ""
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes read so far: of the whole file once iteration has ended."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[tuple[int, Element]]:
        """(0-based line, element) of each child; text of the root itself is left out."""
        while data := self._file.read(_CHUNK_BYTES):
            self._hash.update(data)
            self.size += len(data)
            if self.size > self._limit:
                raise BadXml(f"file larger than {self._limit // 2**20} MiB", self._line())
            yield from self._fed(data)
            waiting_from = self._began[0] if self._depth > 1 else self._parser.CurrentByteIndex
            if self.size - max(waiting_from, 0) > MAX_ITEM_BYTES:
                raise BadXml(f"an element of more than {MAX_ITEM_BYTES // 2**20} MiB", self._line())
        yield from self._fed(b"")

    def _made(self) -> XMLParserType:
        parser = ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        return parser

    def _fed(self, data: bytes) -> Iterator[tuple[int, Element]]:
        try:
            self._parser.Parse(data, not data)
        except ExpatError as error:
            raise BadXml(ErrorString(error.code), max(error.lineno - 1, 0)) from None
        except (
            ValueError,
            LookupError,
        ) as error:  # an encoding that is none, or has more bytes
            raise BadXml(f"{shown(str(error))}; save the file as UTF-8", 0) from None
        ready, self._ready = self._ready, []
        yield from ready

    def _line(self) -> int:
        return max(self._parser.CurrentLineNumber - 1, 0)

    def _doctype(self, *_: object) -> None:
        raise BadXml("a document type (<!DOCTYPE …>), which is refused; remove it", self._line())

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadXml("elements nested too deeply", self._line())
        if self._depth == 1:
            self.root = tag
            return
        if self._depth == 2:
            self._began = (self._parser.CurrentByteIndex, self._line())
            self._tree = TreeBuilder()
        if self._tree is not None:
            self._tree.start(tag, attributes)

    def _text(self, text: str) -> None:
        if self._tree is not None:
            self._tree.data(text)

    def _end(self, tag: str) -> None:
        if self._tree is not None:
            self._tree.end(tag)
            if self._depth == 2:
                self._ready.append((self._began[1], self._tree.close()))
                self._tree = None
        self._depth -= 1


def text_of(element: Element, path: str) -> str:
    """The text of the first element at `path` below `element`, without space around it; "" if none."""
    return (element.findtext(path) or "").strip()
