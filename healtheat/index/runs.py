"""What the last scoring of an index ran with."""

from __future__ import annotations

import json
from typing import Any

from healtheat.index.store import Index


def last_settings(index: Index, signal: str) -> dict[str, Any]:
    """The settings with which `signal` (its name) ran at the last scoring of `index`; {} where it did not."""
    found = index.sql("SELECT settings FROM runs WHERE signal = ? ORDER BY run_id DESC LIMIT 1", [signal])
    settings: dict[str, Any] = json.loads(found["settings"][0].as_py()) if len(found) else {}
    return settings
