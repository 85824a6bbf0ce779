"""Small tools for text that strangers wrote: shown safely, counted, looked for by spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_SHOWN = 60
_LINE_ENDS = ("\x85", "\u2028", "\u2029")  # beside control characters, those that Python splits lines at


def one_line(text: str) -> str:
    """`text` on one line: what a terminal would obey, turn around or split at is escaped.

    >>> one_line("a\\x1b[2Jb\\u202ec\\n약 1")
    'a\\\\x1b[2Jb\\\\u202ec\\\\n약 1'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in text
    )


def on_page(value: object) -> object:
    """What a template prints for `value`: of a text what `one_line` gives, but for spaces that do not break.

    Markup of the template itself is untouched.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\u00a0".join(map(one_line, value.split("\u00a0")))


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` for a one-line message: control characters and unpaired surrogates escaped, cut to `limit`."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return one_line(short)


def shortened(text: str, limit: int) -> str:
    """`text` of at most `limit` characters: of a longer one its start and its end (which says what to do).

    >>> shortened("a" * 50 + "; fix it", 24)
    'aaaaaaaaaaaaaaa…; fix it'
    """
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 1]}…{text[-end:]}"


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
    if len(name.splitlines()) > 1 or name.endswith(_LINE_ENDS):
        return f"file name {shown(name)!r} holds a line end, which would split it in a list; rename the file"
    if not is_unicode(name):
        return f"file name {shown(name)} is not valid Unicode; rename the file"
    return None
