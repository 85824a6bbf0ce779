"""verdicts.jsonl: what people decided. Append-only; every line is chained to the one before it.

A verdict that names a place (`about`: what it is about, `box`: where a box should be) holds both in
`verdict`, which is an object then: a reader that knows no places refuses such a line, and takes it for no
other.

A decision about several boxes is a line for each of them, with the same `at`. Its lines
are on the disk before `append` returns, so a verdict that a page shows as saved is never lost. An append that
fails takes its lines out of the file again, and nothing that comes after the synced lines is reported as a
failure: what was said not to be saved does not count later. A last
line without its end (the process was killed while writing it) was never shown as saved: it is set
aside in `verdicts.torn`. Any other change is damage. `verdicts.head.json` holds the number of
lines and the last check, written after each append, so that lines cut off the end are missed too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from healtheat.core.append import append_synced
from healtheat.core.atomic import canonical_json, write_file
from healtheat.core.boxes import NO_CLASS
from healtheat.core.conditions import naming
from healtheat.core.errors import BadIndex, InputError
from healtheat.core.files import NotRegular, open_regular
from healtheat.core.verdicts import DECISIONS, PLACES, Place, is_place
from healtheat.index.lock import verdict_lock

LOG_NAME = "verdicts.jsonl"
HEAD_NAME = "verdicts.head.json"
TORN_NAME = "verdicts.torn"
MAX_WHO = 200  # characters of who decided

_START = "0" * 32
MAX_LOG_BYTES = 512 << 20  # two million verdicts
_MAX_LINE_BYTES = 64 << 10
_BLOCK_BYTES = 8 << 20
_BEFORE_CHECK, _AFTER_CHECK = b'{"check":"', b'",'


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """What a person decides about one box, or, with `box_id` -1, about a finding on an image.

    `verdict` is one of DECISIONS; `relabel_to` is the class id a box should have (for relabel, as advice, and
    for added: of the box that is missing). `about` is the place that a finding on an image is about, where it
    has one; `box` is where a box should be (added, moved). Raises InputError for a senseless one.
    """

    issue: str
    verdict: str
    who: str
    box_id: int = -1
    image_id: int | None = None  # with box_id -1: the image
    class_id: int = NO_CLASS  # with box_id -1: the class that the finding is about
    relabel_to: int | None = None
    about: Place | None = None
    box: Place | None = None

    def __post_init__(self) -> None:
        if self.verdict not in DECISIONS:
            raise InputError(f"verdict {self.verdict!r}: choose from {', '.join(DECISIONS)}")
        named = self.relabel_to is not None
        if (self.verdict in ("relabel", "added")) != named or (self.relabel_to or 0) < 0:
            raise InputError(
                "relabel and added need the class id that the box should have, and no other verdict has one"
            )
        if self.verdict == "relabel" and self.box_id < 0:
            raise InputError("relabel: this is about a whole image, no box could get another class")
        self._check_places()
        check_who(self.who)

    def _check_places(self) -> None:
        if (self.verdict in PLACES) != (self.box is not None):
            raise InputError("added and moved need the place of the box, and no other verdict has one")
        if self.verdict in PLACES and (self.verdict == "moved") != (self.box_id >= 0):
            raise InputError("a box that is there is moved, one that is missing is added")
        if self.about is not None and self.box_id >= 0:
            raise InputError("a verdict on a box is about no other place")
        if not all(place is None or is_place(place) for place in (self.about, self.box)):
            raise InputError("a place is centre x, centre y, width and height, and has an area")


@dataclass(frozen=True, slots=True)
class Target:
    """What a verdict is about, as the log says it: `box_key` decides, the rest says where it was seen."""

    box_key: str
    image: str
    line: int  # -1 for a whole image
    class_id: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the log. `undoes` is the `seq` of the verdict this line takes back, None for a decision."""

    seq: int
    at: str  # UTC, ISO 8601
    who: str
    box_key: str
    image: str
    line: int
    class_id: int
    issue: str
    verdict: str
    relabel_to: int | None = None
    undoes: int | None = None
    about: Place | None = None
    box: Place | None = None

    def __post_init__(self) -> None:
        if not all(place is None or is_place(place) for place in (self.about, self.box)):
            raise ValueError("no place")


_ENTRY = TypeAdapter(Verdict)


class VerdictLog:
    """The log of one index. Reads each line once; call `refresh` to see what other processes appended."""

    def __init__(self, index_path: Path) -> None:
        self._folder = index_path
        self._path = index_path / LOG_NAME
        self._verdicts: list[Verdict] = []
        self._checks = [_START]  # after 0, 1, 2 … lines
        self._offset = 0
        self._torn = b""
        self.refresh()

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Every line, oldest first, undos included."""
        return self._verdicts

    @property
    def torn(self) -> bytes:
        """The beginning of a line that was never finished; empty in the normal case."""
        return self._torn

    def refresh(self) -> bool:
        """Read what was appended since. True if there was something. Raises BadIndex for a damaged log."""
        for name in (LOG_NAME, HEAD_NAME, TORN_NAME):
            if (self._folder / name).is_symlink():
                raise BadIndex(f"{self._folder / name} is a link; expected a plain file; remove it")
        # The head is read first: the log may only be longer than it says.
        head = _read_head(self._folder / HEAD_NAME)
        before = len(self._verdicts)
        try:
            with open_regular(self._path) as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_LOG_BYTES:
                    raise BadIndex(f"{self._path}: larger than {MAX_LOG_BYTES >> 20} MiB; restore the file")
                if size < self._offset:
                    raise BadIndex(f"{self._path}: shorter than it was; restore the file")
                file.seek(self._offset)
                rest = b""
                while block := file.read(_BLOCK_BYTES):
                    rest = self._take(rest + block)
        except FileNotFoundError:
            rest = b""
            if self._offset:
                raise BadIndex(f"{self._path}: the file is gone; restore it") from None
        except NotRegular as error:
            raise BadIndex(f"{self._path}: {error.strerror}; restore the file from a copy") from None
        self._torn = self._finish(rest)
        if head is not None:
            self._check_head(*head)
        return len(self._verdicts) > before

    def append(self, new: NewVerdict, about: Target) -> Verdict:
        """Write one decision about one thing; as `append_all`."""
        return self.append_all([(new, about)])[0]

    def append_all(self, decided: Sequence[tuple[NewVerdict, Target]]) -> list[Verdict]:
        """Write one decision of one person, a line for each box or image that it is about, in one go.

        It is on the disk when this returns. Its lines have the same `at`, the line before them has another:
        that tells two decisions apart. Raises InputError for a line too long.
        """
        lines = [
            {
                **asdict(about),
                "issue": new.issue,
                "verdict": new.verdict,
                "relabel_to": new.relabel_to,
                "undoes": None,
                "about": new.about,
                "box": new.box,
            }
            for new, about in decided
        ]
        return self._write(lambda: lines, decided[0][0].who)

    def undo(self, seq: int, who: str) -> Verdict:
        """Take back the verdict numbered `seq`; as `undo_all`."""
        return self.undo_all([seq], who)[0]

    def undo_all(self, seqs: Sequence[int], who: str) -> list[Verdict]:
        """Take back the verdicts numbered `seqs`, by a new line each. Raises InputError if one is none."""
        check_who(who)
        return self._write(lambda: [self._undoing(seq) for seq in seqs], who)

    def _undoing(self, seq: int) -> dict[str, Any]:
        found = next((v for v in self._verdicts if v.seq == seq and v.undoes is None), None)
        if found is None or any(v.undoes == seq for v in self._verdicts):
            raise InputError(f"no verdict {seq} that could be undone")
        fields = {key: value for key, value in asdict(found).items() if key not in ("seq", "at", "who")}
        return {**fields, "undoes": seq}

    def _write(self, lines: Callable[[], list[dict[str, Any]]], who: str) -> list[Verdict]:
        with verdict_lock(self._folder):
            self.refresh()
            self._set_aside()
            first, at = len(self._verdicts) + 1, self._now()
            entries = [Verdict(seq=first + n, at=at, who=who, **line) for n, line in enumerate(lines())]
            data, check = b"", self._checks[-1]
            for entry in entries:
                line, check = _encode(entry, check)
                if len(line) > _MAX_LINE_BYTES:
                    raise InputError("the verdict is too long")
                data += line
            append_synced(self._path, data, self._offset)
            self._take(data)
            with contextlib.suppress(OSError):  # the lines count; a head that is behind them is allowed
                _write_head(self._folder / HEAD_NAME, len(self._verdicts), self._checks[-1])
        return entries

    def _now(self) -> str:
        """The time in milliseconds, another one than that of the last line."""
        now = datetime.now(UTC)
        text = now.isoformat(timespec="milliseconds")
        if self._verdicts and self._verdicts[-1].at == text:
            text = (now + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
        return text

    def _set_aside(self) -> None:
        """Move an unfinished last line out of the log, and end a finished one that lacks its line end."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if self._torn:
            torn = self._folder / TORN_NAME
            with naming(torn), torn.open("ab") as file:
                file.write(self._torn + b"\n")
                file.flush()
                os.fsync(file.fileno())
        if size != self._offset:
            with naming(self._path), self._path.open("rb+") as file:
                file.truncate(self._offset)
                os.fsync(file.fileno())
        self._torn = b""

    def _take(self, data: bytes) -> bytes:
        """Read the whole lines of `data`; what is behind the last line end comes back."""
        lines = data.split(b"\n")
        for line in lines[:-1]:
            self._read(line)
            self._offset += len(line) + 1
        if len(lines[-1]) > _MAX_LINE_BYTES:
            raise self._damage("the line is too long")
        return lines[-1]

    def _finish(self, rest: bytes) -> bytes:
        """A torn line is the beginning of a line; a whole one with an odd byte for its end is damage."""
        if _decode(rest[:-1], self._checks[-1]) is not None:
            raise self._damage("the line end was changed")
        return rest

    def _read(self, line: bytes) -> None:
        found = _decode(line, self._checks[-1])
        if found is None:
            raise self._damage("the line does not match its check")
        if (entry := found[0]) is None:
            where = f"{self._path}:{len(self._verdicts) + 1}"
            raise BadIndex(f"{where}: a verdict that this version does not know; open it with a newer one")
        if entry.seq != len(self._verdicts) + 1:
            raise self._damage("the line does not match its check")
        self._verdicts.append(entry)
        self._checks.append(found[1])

    def _check_head(self, count: int, check: str) -> None:
        if count > len(self._verdicts):
            raise BadIndex(
                f"{self._path}: expected {count} verdicts, found {len(self._verdicts)}; restore the file, "
                f"or delete {HEAD_NAME} to go on with those that are left"
            )
        if check != self._checks[count]:
            raise BadIndex(f"{self._path}:{count}: not the line that {HEAD_NAME} knows; restore the file")

    def _damage(self, what: str) -> BadIndex:
        return BadIndex(f"{self._path}:{len(self._verdicts) + 1}: {what}; restore the file from a copy")


def check_who(who: str) -> None:
    """Raises InputError for what is no name."""
    if not who or len(who) > MAX_WHO or not who.isprintable():
        raise InputError(f"who decided? give a name of at most {MAX_WHO} printable characters")


def _encode(entry: Verdict, previous: str) -> tuple[bytes, str]:
    """The line and its check."""
    fields = asdict(entry)
    about, box = fields.pop("about"), fields.pop("box")
    if about is not None or box is not None:
        fields["verdict"] = {"about": about, "box": box, "verdict": entry.verdict}
    body = canonical_json(fields)
    check = _chain(previous, body)
    return _BEFORE_CHECK + check.encode() + _AFTER_CHECK + body[1:] + b"\n", check


def _decode(line: bytes, previous: str) -> tuple[Verdict | None, str] | None:
    """The entry (None for one of a kind that is not known here) and its check; None for a line that is not,
    byte for byte, what was written.
    """
    start, end = len(_BEFORE_CHECK), len(_BEFORE_CHECK) + len(_START)
    check, body = line[start:end], b"{" + line[end + len(_AFTER_CHECK) :]
    if line != _BEFORE_CHECK + check + _AFTER_CHECK + body[1:] or check != _chain(previous, body).encode():
        return None
    try:
        return _parsed(body), check.decode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, check.decode()


def _parsed(body: bytes) -> Verdict:
    """Raises ValueError, TypeError, KeyError or AttributeError for what is no verdict."""
    if b'"verdict":{' not in body:
        return _ENTRY.validate_json(body, strict=True)
    fields = from_json(body)
    decided = fields.pop("verdict")
    if decided.keys() != {"about", "box", "verdict"} or fields.keys() & {"about", "box"}:
        raise ValueError("not a verdict with places")
    return _ENTRY.validate_json(json.dumps({**fields, **decided}), strict=True)


def _chain(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()[: len(_START)]


def _write_head(path: Path, count: int, check: str) -> None:
    write_file(path, _head(count, check))


def _head(count: int, check: str) -> bytes:
    body = {"count": count, "last": check}
    return canonical_json({**body, "check": _chain("head", canonical_json(body))}) + b"\n"


def _read_head(path: Path) -> tuple[int, str] | None:
    try:
        with open_regular(path) as file:
            data = file.read(1000)
    except FileNotFoundError:
        return None
    except NotRegular as error:
        raise BadIndex(f"{path}: {error.strerror}; delete it to trust {LOG_NAME} as it is") from None
    try:
        body = json.loads(data.decode("utf-8"))
        count, last = body["count"], body["last"]
        if isinstance(count, int) and count >= 0 and isinstance(last, str) and data == _head(count, last):
            return count, last
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise BadIndex(f"{path}: damaged; restore it, or delete it to trust {LOG_NAME} as it is")
