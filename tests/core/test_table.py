"""Tables read back exactly what was written, whatever the values are."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.core.atomic import replacing_file
from healtheat.core.errors import InputError
from healtheat.core.table import (
    FORMULA_STARTS,
    TABLE_FORMATS,
    formula_cells,
    write_csv,
    write_json,
    write_jsonl,
    write_table,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["=1+1", "-x", "@a", "+82", "a,b", 'say "so"', "가나다", "two\nlines", "lone\rreturn", "", " "]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "image": texts,
            "line": st.none() | st.integers(-(2**63), 2**63 - 1),
            "score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "flagged": st.booleans(),
            "evidence": st.sampled_from(["{}", '{"near": [1, 2.5], "이름": "=1"}']),
        }
    ),
    max_size=5,
)
SCHEMA = pa.schema(
    {
        "image": pa.string(),
        "line": pa.int64(),
        "score": pa.float64(),
        "flagged": pa.bool_(),
        "evidence": pa.string(),
    }
)


def table_of(values: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(values, schema=SCHEMA)


@given(rows)
@settings(deadline=None)
def test_csv_reads_back_exactly(values: list[dict[str, Any]]) -> None:
    out = io.StringIO(newline="")
    write_csv(table_of(values), out)
    found = list(csv.DictReader(io.StringIO(out.getvalue(), newline=""), strict=True))
    assert len(found) == len(values)
    for row, value in zip(found, values, strict=True):
        assert row["image"] == value["image"]
        assert row["line"] == ("" if value["line"] is None else str(value["line"]))
        assert (None if row["score"] == "" else float(row["score"])) == value["score"]
        assert row["flagged"] == ("true" if value["flagged"] else "false")


@given(rows)
@settings(deadline=None)
def test_json_reads_back_exactly(values: list[dict[str, Any]]) -> None:
    expected = [{**value, "evidence": json.loads(value["evidence"])} for value in values]
    for write, read in (
        (write_json, json.loads),
        (write_jsonl, lambda text: [json.loads(line) for line in text.split("\n") if line]),
    ):
        out = io.StringIO(newline="")
        write(table_of(values), out)
        assert read(out.getvalue()) == expected


def test_numbers_that_json_lacks_become_null() -> None:
    table = table_of([{"image": "a", "score": math.nan}, {"image": "b", "score": math.inf}])
    out = io.StringIO()
    write_jsonl(table, out)
    assert [json.loads(line)["score"] for line in out.getvalue().splitlines()] == [None, None]


def test_lines_end_with_a_line_feed_alone() -> None:
    out = io.StringIO(newline="")
    write_csv(table_of([{"image": "a\rb", "line": 0, "score": 0.1, "flagged": True, "evidence": "{}"}]), out)
    assert out.getvalue() == 'image,line,score,flagged,evidence\n"a\rb",0,0.1,true,{}\n'


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_spreadsheet_guards_text_but_not_numbers(start: str) -> None:
    table = table_of([{"image": f"{start}cmd", "line": -1, "score": -0.5, "flagged": True, "evidence": "{}"}])
    assert formula_cells(table) == 1
    plain, guarded = io.StringIO(newline=""), io.StringIO(newline="")
    write_csv(table, plain)
    write_csv(table, guarded, spreadsheet=True)
    read = [list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1] for out in (plain, guarded)]
    assert read[0][:3] == [f"{start}cmd", "-1", "-0.5"]
    assert read[1][:3] == [f"'{start}cmd", "-1", "-0.5"]


@pytest.mark.parametrize("format", TABLE_FORMATS)
def test_files_are_whole_and_are_not_replaced_unasked(format: str, tmp_path: Path) -> None:
    values = [{"image": "images/타이레놀.jpg", "line": 3, "score": 1 / 3, "flagged": True, "evidence": "{}"}]
    to = tmp_path / "new folder" / f"list.{format}"
    write_table(table_of(values), to, format)
    before = to.read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        write_table(table_of([]), to, format)
    assert to.read_bytes() == before
    assert [file.name for file in to.parent.iterdir()] == [to.name]
    if format == "parquet":
        assert pq.read_table(to).to_pylist() == values
    else:
        assert "images/타이레놀.jpg" in before.decode("utf-8")
    write_table(table_of([]), to, format, overwrite=True)
    assert to.read_bytes() != before


def test_excel_needs_a_byte_order_mark(tmp_path: Path) -> None:
    write_table(table_of([]), tmp_path / "a.csv", "csv", spreadsheet=True)
    write_table(table_of([]), tmp_path / "b.csv", "csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfimage,")
    assert (tmp_path / "b.csv").read_bytes().startswith(b"image,")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    to = tmp_path / "list.csv"
    to.write_text("old", encoding="utf-8")

    def fail() -> None:
        with replacing_file(to) as staged:
            staged.write_text("half", encoding="utf-8")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert to.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [to]


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose from csv, json, jsonl, parquet"):
        write_table(table_of([]), tmp_path / "a.xlsx", "xlsx")
