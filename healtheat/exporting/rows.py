"""Findings as a table: CSV, JSON, JSON lines, Parquet, with the columns of `healtheat query`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from healtheat.core.table import write_csv, write_json, write_jsonl

if TYPE_CHECKING:
    import pyarrow as pa


def write_csv_file(rows: pa.Table, to: Path, *, spreadsheet: bool = False) -> None:
    """Write `rows` as CSV.

    With `spreadsheet` it begins with a byte-order mark, so that Excel reads Korean names, and no cell runs as
    a formula.
    """
    with to.open("w", encoding="utf-8-sig" if spreadsheet else "utf-8", newline="") as out:
        write_csv(rows, out, spreadsheet=spreadsheet)


def write_json_file(rows: pa.Table, to: Path) -> None:
    """Write `rows` as one JSON array."""
    with to.open("w", encoding="utf-8", newline="") as out:
        write_json(rows, out)


def write_jsonl_file(rows: pa.Table, to: Path) -> None:
    """Write `rows` as JSON lines."""
    with to.open("w", encoding="utf-8", newline="") as out:
        write_jsonl(rows, out)


def write_parquet_file(rows: pa.Table, to: Path) -> None:
    """Write `rows` as Parquet, with their types."""
    import pyarrow.parquet as pq

    pq.write_table(rows, to, compression="zstd")
