"""Findings as CSV, JSON, JSON lines or Parquet. Values are exact: what is read back is what was there."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from healtheat.core.atomic import replacing_file
from healtheat.core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets run instead of show


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
    """One JSON object a line; `evidence` as an object, null where there is no value."""
    for row in _rows(table):
        out.write(_json(row) + "\n")


def write_json(table: pa.Table, out: IO[str]) -> None:
    """One JSON array of objects, one a line."""
    start = "[\n"
    for row in _rows(table):
        out.write(start + _json(row))
        start = ",\n"
    out.write("\n]\n" if start == ",\n" else "[]\n")


TEXT_FORMATS: Mapping[str, Callable[[pa.Table, IO[str]], None]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
}
TABLE_FORMATS = (*TEXT_FORMATS, "parquet")


def write_table(
    table: pa.Table, to: Path, format: str, *, spreadsheet: bool = False, overwrite: bool = False
) -> None:
    """Write `table` to the file `to`, whole or not at all.

    `spreadsheet` (CSV only) adds a byte-order mark, so that Excel reads Korean names, and guards formulas.
    Raises InputError if the file is there already and `overwrite` is false, or the format is unknown.
    """
    if format not in TABLE_FORMATS:
        raise InputError(f"no table format {format!r}; choose from {', '.join(TABLE_FORMATS)}")
    if to.is_dir() or (to.exists() and not overwrite):
        fix = "give a file" if to.is_dir() else "choose another name or add --overwrite"
        raise InputError(f"{to}: exists already; {fix}")
    with replacing_file(to) as staged:
        if format == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, staged, compression="zstd")
            return
        encoding = "utf-8-sig" if spreadsheet and format == "csv" else "utf-8"
        with staged.open("w", encoding=encoding, newline="") as out:
            if format == "csv":
                write_csv(table, out, spreadsheet=spreadsheet)
            else:
                TEXT_FORMATS[format](table, out)


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


def _json(row: dict[str, Any]) -> str:
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            row[name] = None
        elif name == "evidence" and isinstance(value, str):
            row[name] = json.loads(value)
    return json.dumps(row, ensure_ascii=False, allow_nan=False)
