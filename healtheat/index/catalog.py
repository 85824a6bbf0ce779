"""catalog.duckdb: the tables, written once while staging and only read afterwards."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from healtheat.core.conditions import AGAIN, NOT_THERE, condition_in, told
from healtheat.core.errors import BadIndex, InputError
from healtheat.core.files import open_regular
from healtheat.core.text import shown
from healtheat.index.tables import ARROW, TABLES, tables_of_version_3, view_of
from healtheat.index.values import fault_names, fault_query, long_texts

ATTACH_S = 60  # longer than any whole catalog takes
MEMORY_LIMIT = "2GB"  # per connection; a query that needs more is refused, not the machine

_NOTHING_BUT_READING: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": MEMORY_LIMIT,
    "temp_directory": "",  # else DuckDB spills into the working folder
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_NAME = re.compile(r"\w+")
_MAGIC = b"DUCK"  # behind the first block's checksum
# Names of whatever a catalog holds besides tables.
_OTHER_THINGS = """
SELECT view_name FROM duckdb_views() WHERE database_name = 'catalog' AND NOT internal
UNION ALL SELECT function_name FROM duckdb_functions() WHERE database_name = 'catalog' AND NOT internal
UNION ALL SELECT type_name FROM duckdb_types() WHERE database_name = 'catalog' AND NOT internal
UNION ALL SELECT sequence_name FROM duckdb_sequences() WHERE database_name = 'catalog'
UNION ALL SELECT index_name FROM duckdb_indexes() WHERE database_name = 'catalog'
UNION ALL SELECT schema_name FROM duckdb_schemas()
WHERE database_name = 'catalog' AND schema_name <> 'main' AND NOT internal
"""
_ROWS_A_WRITE = 20_000


class CatalogWriter:
    """Fills a new catalog table by table, in batches. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        with _written(path):
            self._connection = duckdb.connect(str(path))
            self._connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            for table, columns in TABLES.items():
                inside = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({inside})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # A connection that failed may fail once more as it is closed.
        with _written(self._path) if kind is None else contextlib.suppress(duckdb.Error):
            self._connection.close()

    def add(self, table: str, /, **row: Any) -> None:
        """One row by column name. Raises ValueError unless exactly the table's columns are given."""
        if row.keys() != TABLES[table].keys():
            odd = sorted(row.keys() ^ TABLES[table].keys())
            raise ValueError(f"{table}: expected columns {list(TABLES[table])}, missing or unknown: {odd}")
        rows = self._rows[table]
        rows.append(row)
        if len(rows) >= _ROWS_A_WRITE:
            self._write(table)

    def add_table(self, table: str, rows: pa.Table) -> None:
        """Many rows; columns are taken by name and must all be there."""
        missing = set(TABLES[table]) - set(rows.column_names)
        if missing:
            raise ValueError(f"{table}: expected columns {list(TABLES[table])}, missing {sorted(missing)}")
        self._write(table)
        self._insert(table, rows)

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SELECT over what was added so far."""
        for table in TABLES:
            self._write(table)
        with _written(self._path):  # rows may have to go to the disk meanwhile
            return self._connection.execute(query, list(parameters)).fetchall()

    def finish(self) -> None:
        """Everything into the one file, nothing left in a write-ahead log."""
        for table in TABLES:
            self._write(table)
        with _written(self._path):
            self._connection.execute("CHECKPOINT")

    def _write(self, table: str) -> None:
        rows, self._rows[table] = self._rows[table], []
        if rows:
            columns = {
                name: pa.array([row[name] for row in rows], ARROW[kind])
                for name, kind in TABLES[table].items()
            }
            self._insert(table, pa.table(columns))

    def _insert(self, table: str, rows: pa.Table) -> None:
        """Raises InputError for a text that no reader would take (see values.py)."""
        for column, most in long_texts(table).items():
            longest = pc.max(pc.binary_length(rows[column])).as_py() or 0
            if longest > most:
                raise InputError(
                    f"{table}, {column}: a text of {longest:,} bytes, and an index takes {most:,}; shorten it"
                )
        columns = ", ".join(TABLES[table])
        with _written(self._path):
            self._connection.register("incoming", rows)
            self._connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM incoming")
            self._connection.unregister("incoming")


class Catalog:
    """A catalog opened for reading: no writing, no other file, no network, no change of configuration."""

    def __init__(
        self, path: Path, tables: Mapping[str, Mapping[str, str]] | None = None, *, version: int | None = None
    ) -> None:
        """`tables` are all that it must hold, TABLES if not given; of others than TABLES it may hold more.

        A catalog of format `version` 3 is shown with the tables and columns of today.
        """
        # An in-memory database with the file attached, not a connection to the file: DuckDB would hand out
        # one and the same database for a path again, even after a build has replaced the file.
        _check_header(path)
        _check_alone(path)
        self._path = path
        self._unchecked = set(TABLES if tables is None else ())  # what older indexes hold is only copied
        self._connection = duckdb.connect(":memory:", config=_NOTHING_BUT_READING)
        try:
            _attach(self._connection, path)
            older = tables_of_version_3() if version == 3 else None
            self._check_schema(path, tables or older or TABLES, exactly=tables is None)
            for table in tables or TABLES:
                whole = f"SELECT * FROM catalog.main.{table}"
                self._connection.execute(
                    f"CREATE VIEW {table} AS {whole if older is None else view_of(table, older)}"
                )
        except duckdb.Error as error:
            self._connection.close()
            text = str(error).splitlines()[0][:200]
            raise BadIndex(
                f"{path}: DuckDB {duckdb.__version__} cannot read it: {text}; build the index again"
            ) from None
        except _Endless:
            raise
        except BadIndex:
            self._connection.close()
            raise
        # Replacements would let a query name variables of ours as if they were tables.
        for setting in ("enable_external_access", "python_enable_replacements"):
            self._connection.execute(f"SET {setting} = false")
        self._connection.execute("SET lock_configuration = true")

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of one SELECT, from any thread. Raises InputError for anything else.

        Raises BadIndex where a table that the query names holds what no build writes (see values.py).
        """
        cursor = self._connection.cursor()
        try:
            for table in set(_NAME.findall(query.lower())) & self._unchecked:
                self._check_values(cursor, table)
            statements = cursor.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise InputError("only one SELECT statement at a time; the catalog is read-only")
            return cursor.sql(query, params=list(parameters)).to_arrow_table()
        except duckdb.Error as error:
            raise InputError(f"SQL: {str(error).splitlines()[0]}") from None
        finally:
            cursor.close()

    def _check_values(self, cursor: duckdb.DuckDBPyConnection, table: str) -> None:
        (counts,) = cursor.execute(fault_query(table)).fetchall()
        for name, count in zip(fault_names(table), counts, strict=True):
            if count:
                raise BadIndex(
                    f"{self._path}: table {table}, {name}: {count:,} values that no build writes; "
                    "build the index again"
                )
        self._unchecked.discard(table)

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """An empty table in memory, beside those of the file: the verdicts, which grow while it does not."""
        self._in_memory(f"CREATE TABLE memory.main.{name} AS SELECT * FROM incoming", schema.empty_table())

    def append(self, name: str, rows: pa.Table) -> None:
        """Rows for a table of `create_table`."""
        self._in_memory(f"INSERT INTO memory.main.{name} SELECT * FROM incoming", rows)

    def mark(self, name: str, column: str, key: str, values: Sequence[int]) -> None:
        """Set a flag of a table of `create_table` in the rows whose `key` is among `values`."""
        rows = pa.table({"value": pa.array(values, pa.int64())})
        where = f"{key} IN (SELECT value FROM incoming)"
        self._in_memory(f"UPDATE memory.main.{name} SET {column} = true WHERE {where}", rows)

    def _in_memory(self, statement: str, rows: pa.Table) -> None:
        cursor = self._connection.cursor()
        try:
            cursor.register("incoming", rows)
            cursor.execute(statement)
            cursor.unregister("incoming")
        finally:
            cursor.close()

    def create_view(self, name: str, query: str) -> None:
        """A view over the tables above."""
        self._connection.execute(f"CREATE OR REPLACE VIEW memory.main.{name} AS {query}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _check_schema(self, path: Path, expected: Mapping[str, Mapping[str, str]], *, exactly: bool) -> None:
        """Raises BadIndex unless the tables are defined as `_definition` says, and nothing else is.

        Views, macros, generated columns and defaults of a stranger would run inside our queries.
        """
        odd = self._connection.execute(_OTHER_THINGS).fetchall()
        if odd:
            raise BadIndex(
                f"{path}: expected plain tables only, found {shown(str(odd[0][0]))}; build the index again"
            )
        rows = self._connection.execute(
            "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'catalog'"
        ).fetchall()
        found = {str(name): str(sql) for name, sql in rows}
        wanted = {name: self._definition(name, columns) for name, columns in expected.items()}
        for table in sorted(found.keys() | wanted.keys() if exactly else wanted.keys()):
            if found.get(table) != wanted.get(table):
                raise BadIndex(
                    f"{path}: table {shown(table)}: expected {_definition_shown(wanted.get(table))}, "
                    f"found {_definition_shown(found.get(table))}; build the index again"
                )

    def _definition(self, table: str, columns: Mapping[str, str]) -> str:
        """How DuckDB writes down a plain table of these columns."""
        inside = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self._connection.execute(f"CREATE TABLE memory.main.{table} ({inside})")
        rows = self._connection.execute(
            "SELECT sql FROM duckdb_tables() WHERE database_name = 'memory' AND table_name = ?", [table]
        ).fetchall()
        self._connection.execute(f"DROP TABLE memory.main.{table}")
        return str(rows[0][0])


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    """What DuckDB says of the disk and the memory, as an InputError; all else is a fault of ours.

    The kind of its error does not tell: a full disk fails a write, a transaction, or all that comes later.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise InputError(f"{path}: not enough memory to write it; close other programs, {AGAIN}") from None
    except duckdb.Error as error:
        if (condition := condition_in(str(error), path)) is not None:
            raise InputError(told(condition)) from None
        if isinstance(error, duckdb.IOException | duckdb.FatalException):
            raise InputError(f"{path}: DuckDB cannot write it; look at the disk, {AGAIN}") from None
        raise


def _definition_shown(sql: str | None) -> str:
    return "no such table" if sql is None else shown(sql, 1000)


def _check_alone(path: Path) -> None:
    """DuckDB would take a log of changes beside the file for part of it."""
    if path.is_symlink():
        raise BadIndex(f"{path} is a link; expected a plain file; build the index again")
    for file in sorted(path.parent.iterdir()):
        if file.name.startswith(f"{path.name}."):
            raise BadIndex(f"{file}: not part of the index; remove it")


def _check_header(path: Path) -> None:
    try:
        with open_regular(path) as file:
            head = file.read(12)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        raise BadIndex(f"{path}: {error.strerror or error}; build the index again") from None
    if head[8:12] != _MAGIC:
        raise BadIndex(f"{path}: expected a DuckDB file, found another; build the index again")


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach the file as `catalog`. Raises BadIndex where DuckDB does not come to an end with it.

    A spoiled list of free blocks keeps DuckDB counting for years, and nothing interrupts it; so a thread of
    its own attaches, and is left behind. What is attached is only looked at: a whole file takes milliseconds.
    """
    raised: list[Exception] = []

    def run() -> None:
        try:
            connection.execute(f"ATTACH {_quoted(path)} AS catalog (READ_ONLY)")
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True, name="attach the catalog")
    thread.start()
    thread.join(ATTACH_S)
    if thread.is_alive():
        raise _Endless(f"{path}: DuckDB does not come to an end reading it; build the index again")
    if raised:
        raise raised[0]


class _Endless(BadIndex):
    """The connection is still at work and must not be closed, which would wait for it."""


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
