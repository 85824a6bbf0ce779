"""Catalogs of an enemy, with right hashes: only plain tables as we define them are read."""

import shutil
from pathlib import Path

import duckdb
import pytest

from healtheat.building.build import build
from healtheat.core.errors import BadIndex
from healtheat.index import Index
from healtheat.index.locate import verify_folder
from healtheat.sources import open_source
from tests.hostile.forged import forge
from tests.index.small_set import FakeEncoder, write_set


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forged")
    build(open_source(write_set(folder / "data", images=4)), folder / "index", encoder=FakeEncoder())
    return folder / "index"


@pytest.fixture
def built(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def write_ahead_log(catalog: Path, statement: str, folder: Path) -> Path:
    """A log of changes that DuckDB would apply to `catalog` when it opens it."""
    copy = folder / "copy.duckdb"
    shutil.copyfile(catalog, copy)
    connection = duckdb.connect(str(copy))
    connection.execute("SET checkpoint_threshold = '1TB'")
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute(statement)
    connection.close()
    return copy.with_name("copy.duckdb.wal")


def test_a_log_of_changes_beside_the_catalog_is_refused(built: Path, tmp_path: Path) -> None:
    log = write_ahead_log(built / "catalog.duckdb", "UPDATE findings SET flagged = true", tmp_path)
    assert log.stat().st_size
    shutil.copyfile(log, built / "catalog.duckdb.wal")
    for verify in (True, False):
        with pytest.raises(BadIndex, match=r"catalog\.duckdb\.wal: not part of the index; remove it"):
            Index.open(built, verify=verify)
    assert len(verify_folder(built).damage) == 1
    (built / "catalog.duckdb.wal").unlink()
    with Index.open(built) as index:
        assert index.verify() == []


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "catalog.duckdb.wal", "catalog.duckdb.tmp", "vectors/4.faiss", "vetting.safetensors"],
)
def test_what_the_manifest_does_not_list_is_refused(built: Path, name: str) -> None:
    (built / name).write_bytes(b"")
    with pytest.raises(BadIndex, match="not part of the index"):
        Index.open(built, verify=False)


def test_every_unlisted_file_is_told(built: Path) -> None:
    for name in ("a.txt", "b.txt", "vectors/99.faiss"):
        (built / name).write_bytes(b"x")
    assert [line.split(":")[0] for line in verify_folder(built).damage] == [
        str(built / name) for name in ("a.txt", "b.txt", "vectors/99.faiss")
    ]


def test_what_we_and_file_managers_put_there_is_no_harm(built: Path) -> None:
    for name in (".DS_Store", ".gitignore", ".lock", "verdicts.lock", "verdicts.torn"):
        (built / name).write_bytes(b"")
    (built / ".cache").mkdir(exist_ok=True)
    Index.open(built).close()


HUGE = "repeat('x', 200000000)"


_CLASSES = "DROP TABLE classes; CREATE"


@pytest.mark.parametrize(
    "statements",
    [
        (f"{_CLASSES} TABLE classes(class_id BIGINT, name VARCHAR AS ({HUGE}), batch_id BIGINT)",),
        (f"{_CLASSES} VIEW classes AS SELECT 0::BIGINT class_id, 'a' AS name, 0::BIGINT batch_id",),
        ("CREATE MACRO lower(x) AS error('ran')",),
        ("CREATE SEQUENCE s",),
        ("CREATE TYPE mood AS ENUM ('ok')",),
        ("CREATE SCHEMA other",),
        ("CREATE INDEX i ON classes(class_id)",),
        ("CREATE TABLE more(a BIGINT)",),
        ("ALTER TABLE classes ADD COLUMN more BIGINT",),
        ("ALTER TABLE classes ALTER name SET DEFAULT 'x'",),
        ("ALTER TABLE classes ALTER class_id TYPE INTEGER",),
        (f"{_CLASSES} TABLE classes(batch_id BIGINT, class_id BIGINT, name VARCHAR)",),
        ("DROP TABLE objects; CREATE TABLE objects(box_id BIGINT CHECK (box_id >= 0), object_id BIGINT)",),
        ("DROP TABLE objects; CREATE TABLE objects(box_id BIGINT PRIMARY KEY, object_id BIGINT)",),
        ("DROP TABLE objects",),
    ],
    ids=lambda statements: statements[0][:40],
)
def test_only_plain_tables_as_we_define_them_are_read(built: Path, statements: tuple[str, ...]) -> None:
    forge(built, *statements)
    with pytest.raises(BadIndex, match=r"catalog\.duckdb: (table|expected plain tables)") as found:
        Index.open(built)
    assert len(str(found.value)) < 3000


def test_a_catalog_that_is_a_link_is_refused(built: Path, tmp_path: Path) -> None:
    (built / "catalog.duckdb").rename(tmp_path / "elsewhere.duckdb")
    (built / "catalog.duckdb").symlink_to(tmp_path / "elsewhere.duckdb")
    for verify in (True, False):
        with pytest.raises(BadIndex, match=r"catalog\.duckdb"):
            Index.open(built, verify=verify)
