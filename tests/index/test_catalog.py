"""The catalog is read-only, closed to other files, and nothing but the tables it should have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from healtheat.core.errors import BadIndex, InputError
from healtheat.index import catalog as catalogs
from healtheat.index.catalog import Catalog, CatalogWriter, _written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalog with two classes, in a folder with a quote in its name."""
    folder = tmp_path / "it's 색인"
    folder.mkdir()
    with CatalogWriter(folder / "catalog.duckdb") as writer:
        writer.add("classes", class_id=7, name="타이레놀정500mg", batch_id=0)
        writer.add(
            "classes", class_id=3, name="<script>alert(1)</script>'; DROP TABLE classes; --", batch_id=0
        )
        writer.finish()
    return folder / "catalog.duckdb"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    """It, opened."""
    opened = Catalog(path)
    yield opened
    opened.close()


def test_rows_come_back_as_they_were_written(catalog: Catalog) -> None:
    rows = catalog.sql("SELECT name FROM classes WHERE class_id = ?", [7]).to_pylist()
    assert rows == [{"name": "타이레놀정500mg"}]
    assert catalog.sql("SELECT count(*) AS n FROM classes").to_pylist() == [{"n": 2}]


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO classes VALUES (1, 'x')",
        "DELETE FROM classes",
        "DROP VIEW classes",
        "DETACH catalog",
        "ATTACH 'other.duckdb'",
        "COPY classes TO 'out.csv'",
        "SELECT * FROM read_csv('catalog.duckdb')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM 'file.parquet'",
        "SELECT * FROM glob('*')",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "SELECT * FROM query",
        "SELECT * FROM parameters",
        "EXPORT DATABASE 'x'",
        "",
        "not sql",
    ],
)
def test_nothing_but_one_select_over_the_tables_runs(catalog: Catalog, query: str) -> None:
    with pytest.raises(InputError) as error:
        catalog.sql(query)
    assert "\n" not in str(error.value)
    assert catalog.sql("SELECT count(*) AS n FROM classes").to_pylist() == [{"n": 2}]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT * FROM classes",
        "DROP TABLE classes; CREATE VIEW classes AS SELECT 1::BIGINT AS class_id, 'x' AS name",
        "CREATE TABLE more (a INT)",
        "ALTER TABLE classes ADD COLUMN more INT",
        "ALTER TABLE boxes ALTER class_id TYPE VARCHAR",
        "DROP TABLE boxes",
        "CREATE MACRO lower(x) AS x || 'y'",
        "CREATE SCHEMA more",
        "CREATE SCHEMA more; CREATE TABLE more.classes (a INT)",
    ],
)
def test_a_catalog_with_anything_else_in_it_is_refused(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)
    with pytest.raises(BadIndex, match=r"catalog\.duckdb"):
        Catalog(path)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"SQLite format 3\0" + b"\0" * 5000, b"\0" * 8 + b"DUCK"])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "catalog.duckdb"
    path.write_bytes(data)
    with pytest.raises(BadIndex, match=r"catalog\.duckdb"):
        Catalog(path)


def test_two_catalogs_of_one_path_are_told_apart_after_a_replacement(path: Path) -> None:
    before = Catalog(path)
    new = path.with_name("new.duckdb")
    with CatalogWriter(new) as writer:
        writer.add("classes", class_id=1, name="new", batch_id=0)
        writer.finish()
    before_rows = before.sql("SELECT count(*) AS n FROM classes")["n"][0].as_py()
    before.close()  # Windows replaces no open file
    new.replace(path)
    after = Catalog(path)
    assert (before_rows, after.sql("SELECT count(*) AS n FROM classes")["n"][0].as_py()) == (2, 1)
    after.close()


def test_tables_are_filled_by_column_name(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    rows = pa.table({"name": ["b"], "class_id": [4], "batch_id": [0], "more": [1.0]})
    with CatalogWriter(path) as writer:
        writer.add_table("classes", rows)
        with pytest.raises(ValueError, match="missing \\['name'\\]"):
            writer.add_table("classes", rows.drop_columns("name"))
        writer.finish()
    catalog = Catalog(path)
    assert catalog.sql("SELECT * FROM classes").to_pylist() == [{"class_id": 4, "name": "b", "batch_id": 0}]
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.duckdb"]
    catalog.close()


def test_a_row_with_a_wrong_or_missing_column_is_refused(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "catalog.duckdb") as writer:
        with pytest.raises(ValueError, match=r"classes: expected columns .*: \['name'\]"):
            writer.add("classes", class_id=1, batch_id=0)
        with pytest.raises(ValueError, match=r"classes: expected columns .*: \['title'\]"):
            writer.add("classes", class_id=1, name="a", batch_id=0, title="b")
        writer.add("classes", name="b", batch_id=0, class_id=2)  # the order of names does not matter
        assert writer.sql("SELECT * FROM classes") == [(2, "b", 0)]


def test_the_largest_numbers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    with CatalogWriter(path) as writer:
        texts = dict.fromkeys(("path", "file", "split", "label_path", "sha256", "group_key"), "")
        numbers = dict.fromkeys(("width_px", "height_px", "batch_id"), 0)
        writer.add("images", **texts, **numbers, image_id=2**62, status="labelled", dhash=2**64 - 1)
        writer.finish()
    catalog = Catalog(path)
    assert catalog.sql("SELECT image_id, dhash FROM images").to_pylist() == [
        {"image_id": 2**62, "dhash": 2**64 - 1}
    ]
    catalog.close()


def test_a_text_that_no_reader_takes_is_not_written(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "catalog.duckdb") as writer:
        writer.add("classes", class_id=0, name="x" * 4096, batch_id=0)
        writer.finish()
        writer.add("classes", class_id=1, name="가" * 2000, batch_id=0)
        with pytest.raises(InputError, match="classes, name: a text of 6,000 bytes"):
            writer.finish()


@pytest.mark.parametrize(
    "error",
    [
        duckdb.TransactionException("Failed to commit: Could not write file: No space left on device"),
        duckdb.FatalException("Failed to create checkpoint because of error: x: No space left on device"),
        duckdb.IOException('Could not write file "x": No space left on device'),
        duckdb.InternalException("x\nNo space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_full_disk_is_told_whatever_duckdb_calls_it(tmp_path: Path, error: duckdb.Error) -> None:
    path = tmp_path / "catalog.duckdb"
    with pytest.raises(InputError) as told, _written(path):
        raise error
    assert str(told.value) == (
        f"{path}: No space left on device; free some space, then run the same command again"
    )


def test_other_failures_of_the_machine_are_told_without_the_words_of_duckdb(tmp_path: Path) -> None:
    for error in (duckdb.OutOfMemoryException("bytes"), duckdb.FatalException("FATAL Error: x")):
        with (
            pytest.raises(InputError, match=r"c\.duckdb: .*then run the same") as told,
            _written(tmp_path / "c.duckdb"),
        ):
            raise error
        assert "Error" not in str(told.value)
    with pytest.raises(duckdb.TransactionException), _written(tmp_path):  # a fault of ours
        raise duckdb.TransactionException("conflict")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a process")
@pytest.mark.parametrize("most", [1000, 13_000, 600_000])
def test_a_disk_that_is_full_at_any_time(tmp_path: Path, most: int) -> None:
    """In a process of its own, in which no file grows beyond `most` bytes."""
    told = subprocess.run(
        [sys.executable, "-c", _FILLS, str(tmp_path / "c.duckdb"), str(most)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.startswith(f"InputError {tmp_path / 'c.duckdb'}: File too large; ") and "DuckDB" not in told


_FILLS = """
import pathlib, resource, sys
from healtheat.index.catalog import CatalogWriter
most = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    with CatalogWriter(pathlib.Path(sys.argv[1])) as writer:
        for number in range(40_000):
            writer.add("classes", class_id=number, name=f"name {number * 7919}", batch_id=0)
        writer.finish()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_catalog_with_which_duckdb_comes_to_no_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts the free blocks of a spoiled list without end, and interrupting it changes nothing."""
    end = threading.Event()

    class Endless:
        def execute(self, statement: str) -> None:
            end.wait()

    monkeypatch.setattr(catalogs, "ATTACH_S", 0.05)
    try:
        with pytest.raises(BadIndex, match="does not come to an end reading it; build the index"):
            catalogs._attach(Endless(), tmp_path / "catalog.duckdb")  # type: ignore[arg-type]
    finally:
        end.set()
