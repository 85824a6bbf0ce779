"""COCO detections (https://cocodataset.org/#format-data): ids exact, findings as extra keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from healtheat.core.atomic import replacing_file
from healtheat.exporting.handoff import HandBox, HandOff, HandPhoto, xyxy_px


def write_coco(given: HandOff, to: Path) -> list[Path]:
    """Write `to`. `category_id` is the class id as in the label file, sparse or 0; `attributes` hold more.

    `id` of an annotation is its box id plus one, since pycocotools takes 0 for "no match". `file_name` is the
    photo's path in the data set. Class names may be given twice: categories are told by their id.
    """
    categories = [
        {"id": class_id, "name": name or str(class_id), "supercategory": ""}
        for class_id, name in given.names.items()
    ]
    with replacing_file(to) as staged, staged.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"info": {"description": "healtheat"}, "licenses": [],\n"categories": ')
        file.write(json.dumps(categories, ensure_ascii=False))
        file.write(',\n"images": [')
        _items(file, (_image(photo) for photo in given.photos))
        file.write('],\n"annotations": [')
        _items(file, (_annotation(box, photo) for photo in given.photos for box in photo.boxes))
        file.write("]}\n")
    return [to]


def _items(file: Any, items: Any) -> None:
    start = "\n"
    for item in items:
        file.write(start + json.dumps(item, ensure_ascii=False, allow_nan=False))
        start = ",\n"


def _image(photo: HandPhoto) -> dict[str, Any]:
    notes = [
        {key: note[key] for key in ("issue", "class_id", "score", "status", "reason")} for note in photo.notes
    ]
    return {
        "id": photo.image_id,
        "file_name": photo.path,
        "width": photo.width_px,
        "height": photo.height_px,
        "attributes": {"split": photo.split, "label_file": photo.label_file, "notes": notes},
    }


def _annotation(box: HandBox, photo: HandPhoto) -> dict[str, Any]:
    left, top, right, bottom = xyxy_px(box, photo)
    found: dict[str, Any] = {
        "id": box.box_id + 1,
        "image_id": photo.image_id,
        "category_id": box.class_id,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "iscrowd": 0,
        "segmentation": [],
        "attributes": {**box.attributes(), "box_id": box.box_id, "xywhn": list(box.xywhn)},
    }
    if box.confidence is not None:
        found["score"] = box.confidence
    return found
