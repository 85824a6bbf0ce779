"""What the last scoring of an index ran with."""

from __future__ import annotations

import json
from typing import Any

from healtheat.core.errors import BadIndex
from healtheat.index.store import Index


def last_settings(index: Index, signal: str) -> dict[str, Any]:
    """The settings with which `signal` (its name) ran at the last scoring of `index`; {} where it did not.

    Raises BadIndex where they are no JSON object.
    """
    found = index.sql("SELECT settings FROM runs WHERE signal = ? ORDER BY run_id DESC LIMIT 1", [signal])
    try:
        settings = json.loads(found["settings"][0].as_py() or "{}") if len(found) else {}
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise BadIndex(f"{index.path}: settings of the signal {signal} are no JSON object; build it again")
    return settings


def text_setting(index: Index, signal: str, name: str) -> str:
    """One of them, "" where it is not there. Raises BadIndex where it is no text."""
    value = last_settings(index, signal).get(name)
    if value is not None and not isinstance(value, str):
        raise BadIndex(f"{index.path}: setting {name} of the signal {signal} is no text; build it again")
    return value or ""
