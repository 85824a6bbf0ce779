"""Small tools for text that strangers wrote: shown safely, split like an editor does, read with a limit."""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAX_SHOWN = 60


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` for a one-line message: control characters and unpaired surrogates escaped, cut to `limit`."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)


def counted(n: int, one: str, many: str | None = None, *, spec: str = "") -> str:
    """`n` with its noun, and its verb where that is given with it; `many` is the regular plural if left out.

    `spec` is a format for the number, such as ">7" or ",".

    >>> counted(1, "place"), counted(2, "box"), counted(2, "box is", "boxes are")
    ('1 place', '2 boxes', '2 boxes are')
    """
    regular = one + ("es" if one.endswith(("s", "x")) else "s")
    return f"{n:{spec}} {one if n == 1 else many or regular}"


def whole_number(text: str | None) -> int:
    """The whole number that `text` spells in digits, -1 where it is none or has more than 18 of them.

    >>> whole_number("12"), whole_number("-1"), whole_number("９"), whole_number("9" * 5000)
    (12, -1, -1, -1)
    """
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else -1


def did_you_mean(text: str, known: Iterable[str], most: int = 3) -> str:
    """`; did you mean 'one', 'other'?` with the names of `known` that are spelled most alike; "" if none is.

    >>> did_you_mean("trian", ["train", "val"])
    "; did you mean 'train'?"
    """
    close = difflib.get_close_matches(text, list(known), most)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON and YAML escapes can spell unpaired surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def bad_name(name: str) -> str | None:
    """Why a file name cannot be written into lists and tables, or None if it can."""
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        return f"file name {shown(name)!r} holds a control character; rename the file"
    if not is_unicode(name):
        return f"file name {shown(name)} is not valid Unicode; rename the file"
    return None


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a small file, and what the manifest keeps of them."""

    data: bytes
    sha256: str
    size: int


class Unreadable(Exception):
    """A file cannot be read; the message is the reason, without the file's name."""


class Missing(Unreadable):
    """There is no such file."""


def read_small(path: Path, limit_bytes: int) -> Content:
    """The content of the regular file `path`, read once.

    Raises Missing, or Unreadable if it is no regular file (a pipe would wait for ever) or larger than
    `limit_bytes`; the size is checked while reading, so a growing file cannot get past it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("not a regular file")
        with path.open("rb") as file:
            # Python takes memory for all that is asked for, so ask for no more than the file has.
            size = min(os.fstat(file.fileno()).st_size, limit_bytes)
            data = file.read(size + 1)
    except FileNotFoundError:
        raise Missing("not found") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(data) > limit_bytes:
        raise Unreadable(f"larger than {limit_bytes // 2**20} MiB")
    if len(data) != size:
        raise Unreadable("changed while it was read")
    return Content(data, hashlib.sha256(data).hexdigest(), len(data))
