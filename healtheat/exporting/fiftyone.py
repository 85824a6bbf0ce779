"""FiftyOne's image detection format: `labels.json` beside `data.json`, which says where the images are.

`fiftyone.types.FiftyOneImageDetectionDataset` reads it; of FiftyOne's formats it is the one that carries
attributes for each box, points to images where they are, and needs no database to be written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from healtheat.exporting.handoff import HandBox, HandOff

_NAMES = {"score": "finding_score"}  # FiftyOne's COCO export fails at an attribute called `score`


def write_fiftyone(given: HandOff, labels: Path, data: Path) -> None:
    """Write `labels` and `data`, the two files of such a folder.

    Samples are named by a running number, so equal file names in two folders stay apart. Labels are texts
    with the class id in `attributes`, beside line and what was found; `confidence` is the label's, if any.
    """
    key = {image.image_id: f"{image.image_id:08d}" for image in given.images}
    content = {
        "classes": None,
        "labels": {
            key[image.image_id]: [_detection(box, given.label(box.class_id)) for box in image.every_box]
            for image in given.images
        },
    }
    places = {key[image.image_id]: image.file.absolute().as_posix() for image in given.images}
    for path, value in ((data, places), (labels, content)):
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _detection(box: HandBox, label: str) -> dict[str, Any]:
    cx, cy, w, h = box.xywhn
    attributes = {
        _NAMES.get(name, name): value for name, value in box.attributes().items() if value is not None
    }
    found: dict[str, Any] = {
        "label": label,
        "bounding_box": [cx - w / 2, cy - h / 2, w, h],
        "attributes": {**attributes, "box_id": box.box_id},
    }
    if box.confidence is not None:
        found["confidence"] = box.confidence
    return found
