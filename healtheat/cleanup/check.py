"""Is a line still the box that was judged? Compared with the index before anything is taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from healtheat.core.errors import InputError
from healtheat.sources.base import LabelledImage
from healtheat.sources.coco.file import CocoFile, load_coco
from healtheat.sources.coco.source import CocoSource
from healtheat.sources.yolo.labels import BOM
from healtheat.sources.yolo.line import BadLine, parse_line

Box = tuple[int, tuple[float, ...]]  # class id, xywhn


def check_yolo(data: bytes, boxes: Mapping[int, Box | None], name: str) -> None:
    """Raises InputError unless every line holds its box; None stands for a line that is no box."""
    lines = data.splitlines()
    for number, box in boxes.items():
        if number >= len(lines):
            raise InputError(f"{name}: has no line {number + 1}; build the index again")
        if box is not None and not same_box(lines[number], box):
            raise InputError(f"{name}:{number + 1}: not the box that was judged; build the index again")


def same_box(line: bytes, box: Box) -> bool:
    """Whether a label line holds this very box: as a whole, or in its first five fields (pose, tracks)."""
    fields = line.removeprefix(BOM).split()
    return any(parsed_box(part) == box for part in (b" ".join(fields), b" ".join(fields[:5])))


def parsed_box(line: bytes) -> Box | None:
    """Class id and place of a label line; None for one that is no box."""
    try:
        row = parse_line(line.decode("utf-8"))
    except (BadLine, UnicodeDecodeError):
        return None
    return row.class_id, row.xywhn


def locate_coco(
    data: Path, root: Path, boxes: Mapping[tuple[str, int], tuple[str, Box]]
) -> dict[tuple[str, int], tuple[str, int]]:
    """(image, line) → (JSON file, index in its `annotations`) of boxes, each checked against the file.

    See `find_coco`. Raises InputError if a box is not there any more, or stands there twice.
    """
    located: dict[tuple[str, int], tuple[str, int]] = {}
    for (image, line), (file, at) in find_coco(data, root, boxes).items():
        if len(at) != 1:
            what = "is not there any more" if not at else "stands there several times"
            class_id = boxes[image, line][1][0]
            raise InputError(
                f"{file}: the box of {image} with class id {class_id} {what}; build the index again"
            )
        located[image, line] = (file, at[0])
    return located


def find_coco(
    data: Path, root: Path, boxes: Mapping[tuple[str, int], tuple[str, Box]]
) -> dict[tuple[str, int], tuple[str, list[int]]]:
    """(image, line) → (JSON file, indices in its `annotations` at which the box stands) of boxes.

    `boxes` gives the first JSON file of the image and what the index knows. Where several files label one
    image (one JSON per pill), lines count over all of them, so the data set is read again to find the file.
    """
    files = _files_of_boxes(data, {image for image, _ in boxes}) if data.is_dir() else {}
    read: dict[str, CocoFile] = {}
    found: dict[tuple[str, int], tuple[str, list[int]]] = {}
    for (image, line), (label_path, (class_id, xywhn)) in boxes.items():
        file = files.get((image, line), label_path)
        if file not in read:
            read = {file: load_coco(root / file)}  # sorted by image: one file at a time is enough
        known = read[file].boxes
        same = (known.class_id == class_id) & (known.xywhn == np.array(xywhn)).all(axis=1)
        if file == label_path:
            same &= known.line == line
        found[image, line] = (file, known.line[same].tolist())
    return found


def _files_of_boxes(data: Path, images: set[str]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for record in CocoSource(data).read():
        if isinstance(record, LabelledImage) and record.path in images and record.box_label_path:
            lines: Sequence[int] = record.boxes.line.tolist()
            found.update(
                ((record.path, n), file) for n, file in zip(lines, record.box_label_path, strict=True)
            )
    return found
