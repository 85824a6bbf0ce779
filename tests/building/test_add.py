"""A batch joins an index: its crops alone are embedded, and it leaves again without a trace."""

from __future__ import annotations

import shutil
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from healtheat.building.append import AddReport, add
from healtheat.building.build import build
from healtheat.building.removal import remove
from healtheat.core.boxes import ProblemCode
from healtheat.core.errors import BadIndex, InputError
from healtheat.index import Index, NewVerdict
from healtheat.index.batches import batches_of
from healtheat.index.manifest import Manifest
from healtheat.signals.geometry import Geometry
from healtheat.sources.yolo.source import YoloSource
from tests.building.conftest import Build
from tests.index.killed_add import run_add, run_killed_add, run_killed_remove
from tests.index.small_set import FakeEncoder, tables, write_set
from tests.kill_points import kill_points

SIGNALS = (Geometry(),)


@pytest.fixture
def small(build_small: Build, index_path: Path) -> Path:
    """The index of the small set."""
    build_small(signals=SIGNALS)
    return index_path


@pytest.fixture
def june(tmp_path: Path) -> Path:
    """data.yaml of another set of the same classes, elsewhere."""
    return write_set(tmp_path / "june", images=5, seed=5)


def take(data: Path, index: Path, encoder: FakeEncoder | None = None, **more: object) -> AddReport:
    given = {"encoder": encoder or FakeEncoder(), "signals": SIGNALS, **more}
    return add(YoloSource(data), index, **given)  # type: ignore[arg-type]


def relabelled(text: str, class_id: int) -> str:
    """The label file with another class on its first line."""
    return f"{class_id} {text.split(' ', 1)[1]}"


def test_only_what_is_new_is_embedded(small: Path, june: Path) -> None:
    encoder = FakeEncoder()
    with Index.open(small) as index:
        old, vectors = index.boxes(), index.vectors(index.boxes().box_id)
        tiles = index.background()
    report = take(june, small, encoder)
    assert (report.name, report.images, report.boxes, report.known, report.refused) == ("june", 5, 15, 0, 0)
    assert encoder.crops_seen == report.embedded == 15 + 10 and report.reused == 0
    with Index.open(small) as index:
        assert index.verify() == []
        assert (index.vectors(old.box_id) == vectors).all()
        assert (index.background()[: len(tiles)] == tiles).all()
        boxes = index.boxes()
        assert boxes.box_id.tolist() == list(range(len(old) + 15))
        assert index.sql("SELECT DISTINCT batch_id FROM images WHERE image_id >= 12").to_pylist() == [
            {"batch_id": 1}
        ]
        (batch,) = batches_of(index)
        assert (batch.name, batch.kind, batch.images, batch.boxes) == ("june", "yolo", 5, 15)
        assert Path(batch.data) == june


def test_the_old_data_set_is_not_read_again(small: Path, data: Path, june: Path) -> None:
    data.parent.rename(data.parent.with_name("gone"))
    assert take(june, small).images == 5


def test_boxes_and_vectors_are_those_of_a_build(small: Path, june: Path, tmp_path: Path) -> None:
    take(june, small)
    build(YoloSource(june), tmp_path / "alone", encoder=FakeEncoder(), signals=SIGNALS)
    columns = "class_id, line, cx, cy, w, h, crop_key, boxes.dhash, sharpness"
    with Index.open(small) as both, Index.open(tmp_path / "alone") as alone:
        joined = both.sql(
            f"SELECT {columns} FROM boxes JOIN images USING (image_id) WHERE batch_id = 1 ORDER BY box_id"
        )
        assert joined.to_pylist() == alone.sql(f"SELECT {columns} FROM boxes ORDER BY box_id").to_pylist()
        ids = both.boxes().box_id[-15:]
        assert (both.vectors(ids) == alone.vectors(alone.boxes().box_id)).all()
        assert (both.background()[-10:] == alone.background()).all()
        for row in both.sql("SELECT image_id, path, label_path FROM images WHERE batch_id = 1").to_pylist():
            assert both.image_bytes(row["image_id"])
            assert Path(row["path"]).is_file() and Path(row["label_path"]).is_file()
        assert both.changed_label_files() == []


def test_taken_out_again_nothing_is_left(small: Path, june: Path) -> None:
    before = tables(small)
    take(june, small)
    assert tables(small) != before
    report = remove("june", small, signals=SIGNALS)
    assert (report.batch.name, report.batch.boxes, report.classes) == ("june", 15, ())
    assert tables(small) == before


def test_of_two_batches_the_first_leaves_as_if_it_had_never_come(
    small: Path, june: Path, tmp_path: Path
) -> None:
    july = write_set(tmp_path / "july", images=4, seed=6)
    other = tmp_path / "other"
    shutil.copytree(small, other)
    take(july, other)
    take(june, small)
    take(july, small)
    remove("june", small, signals=SIGNALS)
    assert tables(small) == tables(other)


def test_verdicts_stay_and_come_back(small: Path, june: Path) -> None:
    take(june, small)
    with Index.open(small) as index:
        for box_id in (3, 40):
            index.judging.append(NewVerdict(issue="mislabel", verdict="ok", who="a", box_id=box_id))
    remove("june", small, signals=SIGNALS)
    with Index.open(small) as index:
        assert [row["box_id"] for row in index.verdicts().to_pylist()] == [3, None]
    take(june, small)
    with Index.open(small) as index:
        assert [row["box_id"] for row in index.verdicts().to_pylist()] == [3, 40]


def test_the_same_once_more_changes_nothing(small: Path, june: Path) -> None:
    take(june, small)
    before = (small / "manifest.json").read_bytes()
    encoder = FakeEncoder()
    report = take(june, small, encoder)
    assert (report.written, report.images, report.known, encoder.crops_seen) == (False, 0, 5, 0)
    assert (small / "manifest.json").read_bytes() == before


def test_an_image_that_is_there_is_told_and_not_doubled(small: Path, data: Path, june: Path) -> None:
    """With the same boxes it is known, with others it is refused and a problem of the batch."""
    images = sorted((data.parent / "train" / "images").iterdir())[:2]
    for image in images:
        label = data.parent / "train" / "labels" / f"{image.stem}.txt"
        shutil.copy(image, june.parent / "train" / "images" / f"copy of {image.name}")
        text = label.read_text(encoding="utf-8")
        if image is images[1]:
            text = relabelled(text, 12)
        (june.parent / "train" / "labels" / f"copy of {image.stem}.txt").write_text(text, encoding="utf-8")
    report = take(june, small)
    assert (report.images, report.known, report.refused) == (5, 1, 1)
    (problem,) = report.problems
    assert problem.code == ProblemCode.HELD_IMAGE
    assert "holds this image with other labels, as train/images/" in problem.reason
    assert "3 labelled boxes are not added" in problem.reason
    with Index.open(small) as index:
        assert [p.code for p in index.problems()] == [ProblemCode.HELD_IMAGE]
    remove("june", small, signals=SIGNALS)
    with Index.open(small) as index:
        assert index.problems() == []


def test_another_image_under_a_path_that_is_there_is_refused(small: Path, data: Path) -> None:
    image = sorted((data.parent / "train" / "images").iterdir())[0]
    new = write_set(data.parent.with_name("new"), images=2, seed=9)
    shutil.copy(next((new.parent / "train" / "images").iterdir()), image)
    report = take(data, small, name="again")
    assert (report.images, report.refused, report.known) == (0, 1, 11)
    assert "another image under this path" in report.problems[0].reason


def test_class_names_must_agree_before_anything_is_embedded(small: Path, june: Path) -> None:
    june.write_text(june.read_text(encoding="utf-8").replace("'plain'", "'fancy'"), encoding="utf-8")
    encoder = FakeEncoder()
    before = tables(small)
    with pytest.raises(InputError, match="class 7 is 'plain' in the index and 'fancy'"):
        take(june, small, encoder)
    assert encoder.crops_seen == 0 and tables(small) == before


def test_a_name_of_another_class_is_no_new_class(small: Path, june: Path) -> None:
    """As where ids are given to sorted names: `plain` would be class 1 there, and is 7 here."""
    text = june.read_text(encoding="utf-8").replace("  7: 'plain'", "  1: 'plain'")
    june.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="'plain' is class 7 in the index and class 1 in what"):
        take(june, small)


def test_ids_alone_are_no_names(small: Path, june: Path) -> None:
    names = "names:\n  0: '0'\n  3: '3'\n  7: '7'\n"
    text = june.read_text(encoding="utf-8").partition("names:")[0]
    june.write_text(text + names, encoding="utf-8")
    assert take(june, small).new_classes == {}
    with Index.open(small) as index:
        assert index.names[7] == "plain"


def test_a_new_class_is_taken_and_told_and_goes_with_the_last_batch_that_has_it(
    small: Path, june: Path, tmp_path: Path
) -> None:
    before = tables(small)
    july = write_set(tmp_path / "july", images=3, seed=6)
    for data in (june, july):
        data.write_text(data.read_text(encoding="utf-8") + "  20: 'new'\n", encoding="utf-8")
        label = sorted((data.parent / "train" / "labels").iterdir())[0]
        label.write_text(relabelled(label.read_text(encoding="utf-8"), 20), encoding="utf-8")
    assert take(june, small).new_classes == {20: "new"}
    assert take(july, small).new_classes == {}
    assert remove("june", small, signals=SIGNALS).classes == ()
    with Index.open(small) as index:
        assert index.names[20] == "new"
        assert index.manifest.class_rows()[20] == 1
    assert remove("july", small, signals=SIGNALS).classes == (20,)
    assert not (small / "vectors" / "20.faiss").exists()
    assert tables(small) == before


def test_a_dry_run_counts_and_writes_nothing(small: Path, june: Path) -> None:
    before = {file: file.read_bytes() for file in small.rglob("*") if file.is_file()}
    encoder = FakeEncoder()
    report = take(june, small, encoder, dry_run=True)
    assert (report.written, report.images, report.boxes, report.embedded) == (False, 5, 15, 25)
    assert encoder.crops_seen == 0
    assert {file: file.read_bytes() for file in small.rglob("*") if file.is_file()} == before


def test_names_are_unique_and_easy_to_type(small: Path, june: Path, tmp_path: Path) -> None:
    take(june, small)
    july = write_set(tmp_path / "july", images=3, seed=6)
    with pytest.raises(InputError, match="has a batch 'june' already, from"):
        take(july, small, name="june")
    for name in ("", "a b", "../x", "-x", "x" * 101, "a\n"):
        with pytest.raises(InputError, match="give letters"):
            take(july, small, name=name)
    with pytest.raises(InputError, match="no batch 'may'; it has the batch june"):
        remove("may", small, signals=SIGNALS)


def test_a_grown_batch_needs_another_name(small: Path, june: Path, tmp_path: Path) -> None:
    take(june, small)
    more = write_set(tmp_path / "more", images=2, seed=8)
    for part in ("images", "labels"):
        for file in (more.parent / "train" / part).iterdir():
            shutil.copy(file, june.parent / "train" / part / f"more {file.name}")
    with pytest.raises(InputError, match="holds 1 image more now"):
        take(june, small)
    assert take(june, small, name="june-2").images == 1


def test_a_problem_is_not_told_twice(small: Path, june: Path) -> None:
    label = sorted((june.parent / "train" / "labels").iterdir())[0]
    label.write_text(label.read_text(encoding="utf-8") + "7 nan 0.5 0.1 0.1\n", encoding="utf-8")
    assert len(take(june, small).problems) == 1
    more = june.parent / "train" / "images" / "more.png"
    shutil.copy(next((write_set(june.parent.with_name("x"), seed=9).parent / "valid/images").iterdir()), more)
    (june.parent / "train" / "labels" / "more.txt").write_text("7 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    report = take(june, small, name="june-2")
    assert (report.images, report.known, len(report.problems)) == (1, 5, 1)
    with Index.open(small) as index:
        assert len(index.problems()) == 1 and index.verify() == []


def test_rows_of_a_stranger_are_refused(small: Path, june: Path) -> None:
    import duckdb

    take(june, small)
    connection = duckdb.connect(str(small / "catalog.duckdb"))
    connection.execute("UPDATE batches SET root = NULL")
    connection.close()
    with Index.open(small, verify=False) as index, pytest.raises(BadIndex, match="table batches"):
        batches_of(index)
    manifest = Manifest.read(small / "manifest.json")
    for key in ("x", "0", "-1", "9" * 30):
        odd = manifest.model_copy(update={"batch_files": {key: {}}})
        (small / "manifest.json").write_bytes(odd.to_bytes())
        with pytest.raises(BadIndex, match="expected numbers in `batch_files`"):
            Index.open(small, verify=False)


def test_a_batch_without_a_box_or_an_index_that_is_none(small: Path, june: Path, tmp_path: Path) -> None:
    with pytest.raises(BadIndex):
        take(june, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    for label in june.parent.rglob("*.txt"):
        label.unlink()
    with pytest.raises(InputError, match="no labelled box to add was found; check the paths"):
        take(june, small)


def test_a_build_does_not_lose_batches_silently(small: Path, june: Path, build_small: Build) -> None:
    before = tables(small)
    take(june, small)
    with pytest.raises(InputError, match="holds 1 batch that a build would leave out"):
        build_small(signals=SIGNALS)
    report = build_small(signals=SIGNALS, drop_batches=True)
    assert report.embedded == 0
    assert tables(small) == before


def test_a_killed_add_is_finished_by_the_same_command(
    processes: BaseContext, data: Path, june: Path, index_path: Path, tmp_path: Path
) -> None:
    build(YoloSource(data), index_path, encoder=FakeEncoder(), signals=SIGNALS)
    old = tables(index_path)
    counted = tmp_path / "steps.txt"

    def killed(at: int) -> Path:
        folder = tmp_path / f"killed at {at}"
        shutil.copytree(index_path, folder)
        process = processes.Process(target=run_killed_add, args=(str(june), str(folder), at, str(counted)))
        process.start()
        process.join(120)
        assert (process.exitcode == 0) == (at < 0)
        return folder

    new = tables(killed(-1))
    steps = int(counted.read_text(encoding="utf-8"))
    assert steps > 40
    left = {"old": 0, "new": 0}
    for at in kill_points(steps):
        folder = killed(at)
        found = tables(folder)  # opening finishes a move that was begun
        assert found in (old, new), f"killed at step {at} of {steps}"
        left["old" if found == old else "new"] += 1
        run_add(june, folder)
        assert tables(folder) == new, f"killed at step {at} of {steps}"
    assert left["old"] and left["new"]


def test_a_killed_remove_is_finished_by_the_same_command(
    processes: BaseContext, data: Path, june: Path, index_path: Path, tmp_path: Path
) -> None:
    build(YoloSource(data), index_path, encoder=FakeEncoder(), signals=SIGNALS)
    before = tables(index_path)
    take(june, index_path)
    added = tables(index_path)
    counted = tmp_path / "steps.txt"

    def killed(at: int) -> Path:
        folder = tmp_path / f"killed at {at}"
        shutil.copytree(index_path, folder)
        process = processes.Process(target=run_killed_remove, args=("june", str(folder), at, str(counted)))
        process.start()
        process.join(120)
        assert (process.exitcode == 0) == (at < 0)
        return folder

    assert tables(killed(-1)) == before
    steps = int(counted.read_text(encoding="utf-8"))
    for at in kill_points(steps):
        found = tables(killed(at))
        assert found in (before, added), f"killed at step {at} of {steps}"
