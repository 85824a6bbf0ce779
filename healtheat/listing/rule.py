"""A rule reads what is on an image from its name: image path → the codes of what it shows, with repeats."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from healtheat.core.errors import InputError
from healtheat.core.files import Missing, Unreadable, read_small
from healtheat.core.pattern import Pattern

MAX_PATH_CHARS = 1024  # file names come from strangers; no rule looks at more than this
MAX_CSV_BYTES = 64 << 20
MAX_PER_IMAGE = 1000  # things of one code on one image; more is a broken count, not an image
_SEPARATORS = re.compile(r"[\W_]+")


class Rule(Protocol):
    """What every rule answers."""

    @property
    def name(self) -> str:
        """The rule in a word, for messages."""

    @property
    def image_suffix(self) -> str:
        """Suffix of the images where the rule knows it (".png"), else ""."""

    @property
    def category_offset(self) -> int | None:
        """class id = number of the code + this, where the data's format says so, else None."""

    @property
    def codes_are_class_ids(self) -> bool:
        """Whether a code is a class id already."""

    def canonical(self, code: str) -> str:
        """The one spelling under which codes are compared."""

    def codes(self, path: str) -> Counter[str] | None:
        """What the name lists, code → how often; None where the name does not follow the rule."""


def _plain(code: str) -> str:
    # macOS hands out decomposed file names; composed and decomposed Hangul are the same word
    return unicodedata.normalize("NFC", code.strip())


@dataclass(frozen=True, slots=True)
class PatternRule:
    """A regular expression, searched in the image's path without its suffix (folders included).

    Either a group named `codes` holds the whole list, split at everything that is neither letter nor digit,
    or each match of the expression is one thing, its code in the group `code` and, if there is one, how
    often in the group `count`. A code listed twice counts twice.

    >>> rule = PatternRule.of(r"(?P<count>[0-9]+)x(?P<code>[a-z]+)")
    >>> sorted(rule.codes("train/2xadvil_1xmidol.jpg").items())
    [('advil', 2), ('midol', 1)]
    """

    name: str
    pattern: Pattern
    image_suffix: str = ""
    category_offset: int | None = None
    digits: int = 0  # codes are numbers of this many digits; spreadsheets strip their leading zeros
    codes_are_class_ids: bool = False

    @classmethod
    def of(cls, expression: str) -> PatternRule:
        """The rule of a user's regular expression; InputError where it is none or names no group."""
        pattern = Pattern(expression, "rule")
        if not {"codes", "code"} & set(pattern.named):
            raise InputError(
                f"rule {expression!r}: needs a group (?P<codes>…) around the whole list, "
                "or (?P<code>…) around each code"
            )
        return cls(expression, pattern)

    def canonical(self, code: str) -> str:
        """NFC; numbers padded to their full length where the rule knows it."""
        code = _plain(code)
        return code.zfill(self.digits) if code.isascii() and code.isdigit() else code

    def codes(self, path: str) -> Counter[str] | None:
        """See `Rule.codes`. A path longer than MAX_PATH_CHARS follows no rule."""
        if len(path) > MAX_PATH_CHARS:
            return None
        text = _plain(str(PurePosixPath(path).with_suffix("")) if PurePosixPath(path).suffix else path)
        if "codes" in self.pattern.named:
            match = self.pattern.search(text)
            if match is None or match["codes"] is None:
                return None
            return Counter(self.canonical(c) for c in _SEPARATORS.split(match["codes"]) if c)
        found: Counter[str] = Counter()
        for match in self.pattern.every(text):
            count = _count(match.groupdict().get("count") or "1")
            if count is None or not match["code"]:
                return None
            found[self.canonical(match["code"])] += count
        return found or None


def _count(text: str) -> int | None:
    """A count of things on one image, None where it cannot be one."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        return None
    return int(text) if int(text) <= MAX_PER_IMAGE else None


AIHUB = PatternRule(
    name="aihub",
    # K-<drug codes of six digits>_<seven numbers of camera setup>
    pattern=Pattern(r"(?:^|/)K-(?P<codes>[0-9]{6}(?:-[0-9]{6})*)(?:_[0-9]{1,4}){7}(?![0-9])"),
    image_suffix=".png",
    category_offset=-1,
    digits=6,
)


@dataclass(frozen=True, slots=True)
class TableRule:
    """A CSV that lists what is on each image: `image,code` or `image,class_id`, and `count` if wanted.

    One row per thing on the image; rows add up. A row with an empty code says that the image is empty.
    `image` is the path as in the dataset, or without its suffix, or the bare file name where only one
    listed image has it.
    """

    name: str
    table: Mapping[str, Counter[str]]
    codes_are_class_ids: bool
    image_suffix: str = ""
    category_offset: int | None = None
    _by_stem: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> TableRule:
        """The rule of a CSV file; InputError names the line that cannot be used."""
        table: dict[str, Counter[str]] = {}
        rows = read_csv(path)
        header = next(rows)[1]
        column = "code" if "code" in header else "class_id"
        if "image" not in header or column not in header:
            raise InputError(
                f"{path}:1: needs the columns image and code (or class_id), found {_show(header)}"
            )
        for line, row in rows:
            listed = table.setdefault(_plain(row["image"]), Counter())
            count = _count(row.get("count") or "1")
            if count is None:
                raise InputError(f"{path}:{line}: count is not a whole number up to {MAX_PER_IMAGE}")
            if column == "class_id" and row[column].strip() and _class_id(row[column]) is None:
                raise InputError(f"{path}:{line}: class_id {row[column]!r} is not a whole number")
            if row[column].strip():
                listed[_plain(row[column])] += count
        by_stem: dict[str, str | None] = {}
        for image in table:
            for key in {_stem(image), PurePosixPath(image).stem, PurePosixPath(image).name} - {image}:
                by_stem[key] = None if key in by_stem else image  # None: two images share that name
        return cls(path.name, table, column == "class_id", _by_stem=by_stem)

    def canonical(self, code: str) -> str:
        """NFC, spaces around it dropped."""
        return _plain(code)

    def codes(self, path: str) -> Counter[str] | None:
        """See `Rule.codes`."""
        path = _plain(path)
        for key in (path, _stem(path), PurePosixPath(path).name, PurePosixPath(path).stem):
            image = key if key in self.table else self._by_stem.get(key)
            if image is not None:
                return Counter(self.table[image])
        return None


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix("")) if PurePosixPath(path).suffix else path


def _show(header: Iterable[str]) -> str:
    return ", ".join(header) or "none"


def _class_id(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def read_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """First (1, header as a dict of itself), then (line from 1, row) of a UTF-8 CSV, BOM allowed.

    InputError where the file is missing, not UTF-8, empty, or a row has too few or too many fields.
    """
    try:
        text = read_small(path, MAX_CSV_BYTES).data.decode("utf-8-sig")
    except Missing:
        raise InputError(f"{path}: no such file") from None
    except Unreadable as error:
        raise InputError(f"{path}: {error}; a CSV file was expected") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; save it as “CSV UTF-8”") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if not any(header):
            raise InputError(f"{path}:1: no header line")
        yield 1, {column: column for column in header}
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise InputError(
                    f"{path}:{reader.line_num}: {len(fields)} fields, {len(header)} were expected"
                )
            yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: {error}") from None


def open_rule(rule: str) -> Rule:
    """The rule called `rule`: `aihub`, the path of a CSV file, or else a regular expression."""
    if rule == AIHUB.name:
        return AIHUB
    if rule.lower().endswith(".csv"):
        return TableRule.read(Path(rule))
    return PatternRule.of(rule)
