"""Values of a forged catalog: what no build writes is BadIndex where it is first read, never a fault."""

import shutil
from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.core.errors import BadIndex
from healtheat.index import Index
from healtheat.index.cache import VectorPool
from healtheat.index.reuse import add_old_vectors, old_index
from healtheat.index.tables import TABLES
from healtheat.index.values import conditions, fault_names
from healtheat.sources import open_source
from tests.hostile.forged import forge
from tests.hostile.indexes import swapped, vectors
from tests.index.small_set import FakeEncoder, write_set


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    build(open_source(write_set(folder / "data", images=4)), folder / "index", encoder=FakeEncoder())
    return folder / "index"


@pytest.fixture
def built(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def test_every_column_has_a_condition() -> None:
    for table, columns in TABLES.items():
        assert list(conditions(table)) == list(columns)
        assert len(set(fault_names(table))) == len(fault_names(table))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("classes", "UPDATE classes SET name = repeat('x', 1000000)"),
        ("classes", "UPDATE classes SET name = NULL"),
        ("classes", "UPDATE classes SET class_id = 5000000000 WHERE class_id = 0"),
        ("classes", "INSERT INTO classes SELECT * FROM classes"),
        ("images", "UPDATE images SET path = NULL"),
        ("images", "UPDATE images SET status = 'other'"),
        ("images", "UPDATE images SET image_id = 0"),
        ("boxes", "UPDATE boxes SET cx = 'nan'"),
        ("boxes", "UPDATE boxes SET w = -1"),
        ("boxes", "UPDATE boxes SET class_id = -7"),
        ("boxes", "UPDATE boxes SET image_id = 1000"),
        ("boxes", "UPDATE boxes SET box_id = 0"),
        ("problems", "INSERT INTO problems VALUES (0, 'no code', 'f', 0, 'why', NULL, 0)"),
        ("scores", "UPDATE scores SET score = 7"),
        ("scores", "UPDATE scores SET issue = 'none'"),
        ("findings", "UPDATE findings SET kind = 'none'"),
        ("findings", "UPDATE findings SET box_id = 9999"),
        ("findings", "UPDATE findings SET suspicion = 'inf'"),
        ("findings", "UPDATE findings SET place_id = NULL"),
        ("runs", "UPDATE runs SET status = 'maybe'"),
        ("words", "INSERT INTO words VALUES ('q', 'a', 0, 0, 'nan')"),
    ],
)
def test_what_no_build_writes_is_told_when_it_is_read(built: Path, table: str, change: str) -> None:
    forge(built, change)
    with Index.open(built) as index:
        for _ in range(2):
            with pytest.raises(BadIndex, match=f"table {table}, .* no build writes; build the index again"):
                index.sql(f"SELECT count(*) FROM {table.upper()}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 3e38, 1.0])
def test_vectors_are_of_length_1(built: Path, value: float) -> None:
    vectors(value)(built)
    with Index.open(built) as index:
        for read in (lambda: index.vectors(index.boxes().box_id), lambda: index.shard(3)):
            with pytest.raises(BadIndex, match="expected vectors of length 1, found"):
                read()
    old, _ = old_index(built)
    assert old is not None
    pool = VectorPool(built / ".cache", fingerprint=old.manifest.fingerprint, dim=old.manifest.dim)
    add_old_vectors(pool, old, old.manifest.fingerprint)
    key = bytes.fromhex(old.catalog.sql("SELECT crop_key FROM boxes")["crop_key"][0].as_py())
    with pytest.raises(BadIndex, match="expected vectors of length 1"):
        pool.gather([key])
    old.close()


def test_ids_of_other_shards_and_classes_without_one(built: Path, made: Path) -> None:
    swapped(built)
    with Index.open(built) as index, pytest.raises(BadIndex, match=r"\.faiss: .*no vector"):
        index.vectors(index.boxes().box_id)
    copy = Path(shutil.copytree(made, built.parent / "copy"))
    forge(copy, "UPDATE boxes SET class_id = 12 WHERE class_id = 3")
    with Index.open(copy) as index, pytest.raises(BadIndex, match="boxes of class 12 have no shard"):
        index.vectors(index.boxes().box_id)


def test_crop_keys_are_hexadecimal(built: Path) -> None:
    forge(built, "UPDATE boxes SET crop_key = 'none'")
    old, _ = old_index(built)
    assert old is not None
    pool = VectorPool(built / ".cache", fingerprint=old.manifest.fingerprint, dim=old.manifest.dim)
    with pytest.raises(BadIndex, match="crop_key"):
        add_old_vectors(pool, old, old.manifest.fingerprint)
    old.close()
