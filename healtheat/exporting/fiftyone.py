"""FiftyOne's image detection format: `labels.json` beside `data.json`, which says where the photos are.

`fiftyone.types.FiftyOneImageDetectionDataset` reads it; of FiftyOne's formats it is the one that carries
attributes for each box, points to photos where they are, and needs no database to be written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from healtheat.core.atomic import replacing_file
from healtheat.core.errors import InputError
from healtheat.exporting.handoff import HandBox, HandOff, files_of


def write_fiftyone(given: HandOff, to: Path, *, overwrite: bool = False) -> list[Path]:
    """Write `labels.json` and `data.json` into the folder `to`; returns both.

    Samples are told by a running number, so equal file names in two folders stay apart. Labels are texts with
    the class id in `attributes`, beside line and what was found; `confidence` is that of the label, if any.
    """
    labels, data = files_of("fiftyone", to)
    if to.is_file() or (not overwrite and (labels.exists() or data.exists())):
        raise InputError(f"{to}: exists already; choose another name or add --overwrite")
    to.mkdir(parents=True, exist_ok=True)
    key = {photo.image_id: f"{photo.image_id:08d}" for photo in given.photos}
    content = {
        "classes": None,
        "labels": {
            key[photo.image_id]: [_detection(box, given.labels[box.class_id]) for box in photo.boxes]
            for photo in given.photos
        },
    }
    places = {key[photo.image_id]: photo.file.absolute().as_posix() for photo in given.photos}
    for path, value in ((data, places), (labels, content)):
        with replacing_file(path) as staged:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
            staged.write_text(text + "\n", encoding="utf-8", newline="\n")
    return [labels, data]


def _detection(box: HandBox, label: str) -> dict[str, Any]:
    cx, cy, w, h = box.xywhn
    attributes = {name: value for name, value in box.attributes().items() if value is not None}
    found: dict[str, Any] = {
        "label": label,
        "bounding_box": [cx - w / 2, cy - h / 2, w, h],
        "attributes": {**attributes, "box_id": box.box_id},
    }
    if box.confidence is not None:
        found["confidence"] = box.confidence
    return found
