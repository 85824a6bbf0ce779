"""The one way to write JSON that people see or other programs read."""

from __future__ import annotations

import json
from typing import Any


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON; letters stay as they are, and what a terminal would obey or split is escaped.

    JSON's own escapes lose nothing: readers get the same text. Raises ValueError for NaN and infinity.

    >>> print(json_text({"name": "약\\x9b\\u202e"}))
    {"name": "약\\u009b\\u202e"}
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return "\n".join(map(_escaped, text.split("\n")))  # within a text, a line feed is escaped already


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
