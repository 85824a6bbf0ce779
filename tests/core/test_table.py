"""Tables read back exactly what was written, whatever the values are."""

import csv
import io
import json
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.core.table import (
    FORMULA_STARTS,
    formula_cells,
    holding_json,
    write_csv,
    write_json,
    write_jsonl,
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
    return holding_json(pa.Table.from_pylist(values, schema=SCHEMA), "evidence")


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


def test_only_a_marked_column_is_read_as_json() -> None:
    table = pa.table({"evidence": ['{"a": 1}', None], "more": ['{"b": 2}', "not JSON"]})
    plain, marked = io.StringIO(), io.StringIO()
    write_jsonl(table, plain)
    write_jsonl(holding_json(table, "evidence"), marked)
    assert [json.loads(line)["evidence"] for line in plain.getvalue().splitlines()] == ['{"a": 1}', None]
    read = [json.loads(line) for line in marked.getvalue().splitlines()]
    assert [row["evidence"] for row in read] == [{"a": 1}, None]
    assert [row["more"] for row in read] == ['{"b": 2}', "not JSON"]
