"""All of a real dataset through the default encoder: class ids are the files', and no file is touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from healtheat.index import Index

BOXES, IMAGES, CLASSES = 1383, 267, 17


def test_class_ids_equal_the_label_files_line_by_line(shared: Path, pushin_index: Path) -> None:
    root = shared / "data" / "pushin-pill"
    with Index.open(pushin_index) as index:
        assert index.verify() == []
        images, boxes = index.images(), index.boxes()
        rows = index.sql("SELECT image_id, label_path FROM images").to_pylist()
        assert index.problems() == []
    assert (len(boxes), len(images), len(np.unique(boxes.class_id))) == (BOXES, IMAGES, CLASSES)
    label_of = {row["image_id"]: row["label_path"] for row in rows}
    found = {
        (label_of[int(image_id)], int(line)): (int(class_id), *xywhn)
        for image_id, line, class_id, xywhn in zip(
            boxes.image_id, boxes.line, boxes.class_id, boxes.xywhn.tolist(), strict=True
        )
    }
    expected = {}
    for label in sorted((root / "labels").rglob("*.txt")):
        for number, line in enumerate(label.read_text(encoding="utf-8").splitlines()):
            class_id, *xywhn = line.split()
            key = (label.relative_to(root).as_posix(), number)
            expected[key] = (int(class_id), *map(float, xywhn))
    assert len(expected) == BOXES
    assert found == expected


def test_label_files_are_the_ones_the_manifest_saw(shared: Path, pushin_index: Path) -> None:
    root = shared / "data" / "pushin-pill"
    with Index.open(pushin_index) as index:
        assert index.changed_label_files() == []
        noted = index.manifest.label_files
    for label in (root / "labels").rglob("*.txt"):
        data = label.read_bytes()
        entry = noted[label.relative_to(root).as_posix()]
        assert (entry.sha256, entry.size) == (hashlib.sha256(data).hexdigest(), len(data))


def test_vectors_are_unit_rows_and_the_copies_of_an_image_are_near(pushin_index: Path) -> None:
    with Index.open(pushin_index) as index:
        boxes, images = index.boxes(), index.images()
        vectors = index.vectors(boxes.box_id)
        background = index.background()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert np.allclose(np.linalg.norm(background, axis=1), 1, atol=1e-4)
    assert len(background) > IMAGES
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    nearest = similarity.argmax(axis=1)
    source = images.group_key[boxes.image_id]
    assert len(set(source)) == 103  # 82 images in three copies each, 21 single ones
    same_source = source[nearest] == source
    agree = boxes.class_id[nearest] == boxes.class_id
    assert same_source.mean() > 0.5
    assert agree.mean() > 0.8
