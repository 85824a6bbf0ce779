"""What pydantic (and Typer, which asks it) finds wrong with a value, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

_KINDS: Mapping[str, str] = {
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of usual size",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
}
_LIMITS: Mapping[str, str] = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
_MAX_FOUND = 60


def what_is_wrong(error: ValidationError) -> tuple[str, str]:
    """Where (a path of fields with points, "" for a single value) and what the first fault of `error` is."""
    first = error.errors(include_url=False)[0]
    return ".".join(map(str, first["loc"])), _words(first)


def _words(fault: Mapping[str, Any]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]).rstrip(".")
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known"
    limit = next(
        (f"{words} {context[key]:g}" for key, words in _LIMITS.items() if _is_number(context, key)), ""
    )
    expected = _KINDS.get(kind) or limit or fault["msg"].removeprefix("Input should be ")
    return f"expected {expected}, found {_shown(fault['input'])}"


def _is_number(context: Mapping[str, Any], key: str) -> bool:
    return isinstance(context.get(key), int | float)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_FOUND else text[: _MAX_FOUND - 1] + "…"
