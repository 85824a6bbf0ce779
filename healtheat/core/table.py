"""Tables as CSV, JSON and JSON lines. Values are exact: what is read back is what was there."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from healtheat.core.json_text import json_text

if TYPE_CHECKING:
    import pyarrow as pa

_HOLDS_JSON = {b"healtheat": b"json"}  # metadata of a text column
FORMULA_STARTS = (*"=+-@\t\r\n", *"＝＋－＠")  # what spreadsheets run instead of show


def holding_json(table: pa.Table, column: str) -> pa.Table:
    """The same table, with the text column `column` marked as JSON, so that JSON files hold its values."""
    at = table.schema.get_field_index(column)
    return table.set_column(at, table.schema.field(at).with_metadata(_HOLDS_JSON), table.column(at))


def write_csv(table: pa.Table, out: IO[str], *, spreadsheet: bool = False) -> None:
    """Rows as CSV: RFC 4180 quoting, line feeds, header first. Null is an empty cell, floats are exact.

    With `spreadsheet` a text cell that a spreadsheet would run as a formula starts with an apostrophe.
    `out` must be opened with `newline=""`.
    """
    lines = csv.writer(_LineFeed(out))
    lines.writerow(table.column_names)
    for row in _rows(table):
        lines.writerow([_cell(value, spreadsheet) for value in row.values()])


def write_jsonl(table: pa.Table, out: IO[str]) -> None:
    """One JSON object per line, null where there is no value; columns marked `holding_json` as their JSON."""
    nested = _nested(table)
    for row in _rows(table):
        out.write(_json(row, nested) + "\n")


def write_json(table: pa.Table, out: IO[str]) -> None:
    """One JSON array of objects, one per line, as `write_jsonl` writes them."""
    nested, start = _nested(table), "[\n"
    for row in _rows(table):
        out.write(start + _json(row, nested))
        start = ",\n"
    out.write("\n]\n" if start == ",\n" else "[]\n")


TEXT_FORMATS: Mapping[str, Callable[[pa.Table, IO[str]], None]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
}


def formula_cells(table: pa.Table) -> int:
    """How many text cells a spreadsheet would run as a formula."""
    return sum(
        isinstance(value, str) and value.startswith(FORMULA_STARTS)
        for row in _rows(table)
        for value in row.values()
    )


class _LineFeed:
    """Takes csv's rows, ended by CR LF so that it quotes both characters, and writes them with LF alone."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, row: str) -> None:
        self._out.write(row.removesuffix("\r\n") + "\n")


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _cell(value: Any, spreadsheet: bool) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if spreadsheet and isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value


def _nested(table: pa.Table) -> frozenset[str]:
    return frozenset(field.name for field in table.schema if (field.metadata or {}) == _HOLDS_JSON)


def _json(row: dict[str, Any], nested: Collection[str]) -> str:
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            row[name] = None
        elif name in nested and value is not None:
            row[name] = json.loads(value)
    return json_text(row)
