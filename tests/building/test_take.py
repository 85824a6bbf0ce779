"""What joins an index: a data set, or an index with its vectors, of a vetted one the accepted boxes alone."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from healtheat.building.append import AddReport, add
from healtheat.building.build import build
from healtheat.building.from_index import IndexSource
from healtheat.building.removal import remove
from healtheat.building.take import take
from healtheat.core.errors import EncoderError, InputError
from healtheat.findings.score import rescore
from healtheat.index import Index
from healtheat.index.catalog import CatalogWriter
from healtheat.index.manifest import CATALOG_NAME, Manifest
from healtheat.index.staging import file_entry
from healtheat.index.tables import TABLES
from healtheat.signals.geometry import Geometry
from healtheat.sources.base import LabelledImage
from healtheat.sources.yolo.source import YoloSource
from tests.index.older_set import draw_set
from tests.index.small_set import FakeEncoder, tables, write_set

SIGNALS = (Geometry(),)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """An index."""
    build(
        YoloSource(write_set(tmp_path / "data")), tmp_path / "small", encoder=FakeEncoder(), signals=SIGNALS
    )
    return tmp_path / "small"


def june_index(tmp_path: Path, encoder: FakeEncoder | None = None) -> Path:
    """An index of another set: 5 images with 3 boxes each."""
    june = write_set(tmp_path / "june", images=5, seed=5)
    build(YoloSource(june), tmp_path / "vetted", encoder=encoder or FakeEncoder(), signals=SIGNALS)
    return tmp_path / "vetted"


@pytest.fixture
def june(tmp_path: Path) -> Path:
    return june_index(tmp_path)


@pytest.fixture
def vetted(tmp_path: Path) -> Path:
    """The same with decisions: all boxes of image 0 are held, of image 1 the first is, the rest accepted."""
    folder = june_index(tmp_path)
    with CatalogWriter(folder / CATALOG_NAME) as catalog:
        for box_id in range(15):
            row = dict.fromkeys(TABLES["decisions"])
            catalog.add(
                "decisions", **{**row, "box_id": box_id, "decision": "hold" if box_id < 4 else "accept"}
            )
        catalog.finish()
    manifest = Manifest.read(folder / "manifest.json")
    files = {**manifest.files, CATALOG_NAME: file_entry(folder / CATALOG_NAME)}
    (folder / "manifest.json").write_bytes(manifest.model_copy(update={"files": files}).to_bytes())
    return folder


def add_index(new: Path, to: Path, encoder: FakeEncoder | None = None, **more: bool) -> AddReport:
    """An add whose signals take no time."""
    with Index.open(new) as opened:
        source = IndexSource(opened, **more)
        return add(source, to, name="june", encoder=encoder or FakeEncoder(), signals=SIGNALS)


def test_the_vectors_of_an_index_are_taken_over(small: Path, june: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(small, other)
    encoder = FakeEncoder()
    report = add_index(june, small, encoder)
    assert (report.images, report.boxes, report.embedded, report.reused) == (5, 15, 0, 25)
    assert encoder.crops_seen == 0
    add(YoloSource(tmp_path / "june" / "data.yaml"), other, encoder=FakeEncoder(), signals=SIGNALS)
    assert tables(small) == tables(other)  # as if its data set had been added


def test_vectors_of_another_encoder_are_not(small: Path, tmp_path: Path) -> None:
    june = june_index(tmp_path, FakeEncoder(dim=8))
    encoder = FakeEncoder()
    assert add_index(june, small, encoder).embedded == encoder.crops_seen == 25


def test_no_encoder_is_loaded_where_none_is_needed(small: Path, june: Path, tmp_path: Path) -> None:
    report = take(june, small)  # nobody knows the encoder `fake`
    assert (report.name, report.images, report.embedded) == ("vetted", 5, 0)
    july = write_set(tmp_path / "july", images=2, seed=9)
    with pytest.raises(EncoderError, match="fake"):
        take(july, small)


def test_accepted_only_takes_accepted_boxes_on_images_that_have_one(vetted: Path, small: Path) -> None:
    encoder = FakeEncoder()
    report = add_index(vetted, small, encoder, accepted_only=True)
    assert (report.images, report.boxes, report.left_out, report.held) == (4, 11, 4, 0)
    assert encoder.crops_seen == 0  # its background is cut around the held boxes, too
    with Index.open(small) as index:
        assert index.verify() == []
        assert index.sql("SELECT left_out FROM batches").to_pylist() == [{"left_out": 4}]
        rows = index.sql("SELECT line FROM boxes WHERE image_id = 12 ORDER BY line").to_pylist()
        assert [row["line"] for row in rows] == [1, 2]  # the lines of the label file, as they were
    remove("june", small, signals=SIGNALS)


def test_held_boxes_are_no_background(vetted: Path) -> None:
    with Index.open(vetted) as opened:
        images = [
            record
            for record in IndexSource(opened, accepted_only=True).read()
            if isinstance(record, LabelledImage)
        ]
        held = opened.boxes().xywhn[3]
    assert images[0].more_xywhn is not None
    np.testing.assert_array_equal(images[0].more_xywhn, [held])
    assert [len(image.boxes) for image in images] == [2, 3, 3, 3]


def test_held_boxes_that_come_along_are_counted(vetted: Path, small: Path) -> None:
    report = add_index(vetted, small)
    assert (report.boxes, report.left_out, report.held) == (15, 0, 4)


def test_accepted_only_needs_decisions(small: Path, june: Path, tmp_path: Path) -> None:
    for new in (june, tmp_path / "june" / "data.yaml"):
        with pytest.raises(InputError, match="nobody judged its boxes"):
            take(new, small, accepted_only=True)


def test_nothing_accepted_is_told(june: Path) -> None:
    with Index.open(june) as opened:
        held = pa.table({"n": [15]}), pa.table({"box_id": pa.array([], pa.int64())})
        answers = iter(held)
        sql = opened.sql
        opened.sql = lambda query, *more: next(answers) if "decisions" in query else sql(query, *more)  # type: ignore[method-assign]
        with pytest.raises(InputError, match="none of its boxes was accepted"):
            IndexSource(opened, accepted_only=True)


def test_an_image_that_changed_since_it_was_judged_stays_out(small: Path, june: Path, tmp_path: Path) -> None:
    images = sorted((tmp_path / "june" / "train" / "images").iterdir())
    shutil.copy(images[0], images[1])
    report = add_index(june, small)
    assert (report.images, report.refused) == (4, 1)
    assert "changed since it was judged" in report.problems[0].reason
    label = next((tmp_path / "june" / "train" / "labels").iterdir())
    label.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="changed since it was read"):
        add_index(june, small)


def test_what_cannot_be_added(small: Path, june: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be added to itself"):
        take(small, small)
    with pytest.raises(InputError, match="is an index, which says that itself"):
        take(june, small, task="detect")
    add_index(june, small)
    build(
        YoloSource(write_set(tmp_path / "third", seed=8)),
        tmp_path / "index 3",
        encoder=FakeEncoder(),
        signals=SIGNALS,
    )
    with pytest.raises(InputError, match="holds the batch june itself"):
        take(small, tmp_path / "index 3")


def test_an_index_of_version_3_takes_a_batch_in(tmp_path: Path) -> None:
    with zipfile.ZipFile(Path(__file__).resolve().parents[1] / "index/data/version3.zip") as packed:
        packed.extractall(tmp_path / "old")
    data = draw_set(tmp_path / "set")
    new = write_set(tmp_path / "new", images=4, seed=5)
    manifest = Manifest.read(tmp_path / "old" / "manifest.json")
    source = manifest.source.model_copy(update={"root": data.parent.as_posix(), "data": data.as_posix()})
    (tmp_path / "old" / "manifest.json").write_bytes(
        manifest.model_copy(update={"source": source}).to_bytes()
    )
    with Index.open(tmp_path / "old") as index:
        spec = json.loads(json.dumps(index.manifest.encoder))
    encoder = FakeEncoder()
    assert encoder.spec.model_dump(mode="json") == spec
    report = add(YoloSource(new), tmp_path / "old", encoder=encoder, signals=SIGNALS)
    assert (report.images, encoder.crops_seen) == (4, 20)
    remove("new", tmp_path / "old", signals=SIGNALS)
    after = tables(tmp_path / "old")
    rescore(tmp_path / "old", signals=SIGNALS)
    assert tables(tmp_path / "old") == after
