"""COCO detections (https://cocodataset.org/#format-data): ids exact, findings as extra keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from healtheat.exporting.handoff import HandBox, HandImage, HandOff, points_px, xyxy_px


def write_coco(given: HandOff, to: Path) -> None:
    """Write `to`. `category_id` is the class id as in the label file, sparse or 0; `attributes` hold more.

    `id` of an annotation is its box id plus one, since pycocotools takes 0 for "no match". `file_name` is the
    path of the image in the data set. Corners of oriented boxes and polygons are the `segmentation`. Class
    names may be given twice: categories are told apart by their id. Boxes that a person added have line -1.
    """
    categories = [
        {"id": class_id, "name": name or str(class_id), "supercategory": ""}
        for class_id, name in given.names.items()
    ]
    with to.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"info": {"description": "healtheat"}, "licenses": [],\n"categories": ')
        file.write(json.dumps(categories, ensure_ascii=False))
        file.write(',\n"images": [')
        _items(file, (_image(image) for image in given.images))
        file.write('],\n"annotations": [')
        _items(file, (_annotation(box, image) for image in given.images for box in image.every_box))
        file.write("]}\n")


def _items(file: Any, items: Any) -> None:
    start = "\n"
    for item in items:
        file.write(start + json.dumps(item, ensure_ascii=False, allow_nan=False))
        start = ",\n"


def _image(image: HandImage) -> dict[str, Any]:
    notes = [
        {key: note[key] for key in ("issue", "class_id", "score", "status", "reason")} for note in image.notes
    ]
    return {
        "id": image.image_id,
        "file_name": image.path,
        "width": image.width_px,
        "height": image.height_px,
        "attributes": {"split": image.split, "label_file": image.label_file, "notes": notes},
    }


def _annotation(box: HandBox, image: HandImage) -> dict[str, Any]:
    left, top, right, bottom = xyxy_px(box, image)
    points = points_px(box, image)
    found: dict[str, Any] = {
        "id": box.box_id + 1,
        "image_id": image.image_id,
        "category_id": box.class_id,
        "bbox": [left, top, right - left, bottom - top],
        "area": _area(points) if points else (right - left) * (bottom - top),
        "iscrowd": 0,
        "segmentation": [[value for point in points for value in point]] if points else [],
        "attributes": {**box.attributes(), "box_id": box.box_id, "xywhn": list(box.xywhn)},
    }
    if box.confidence is not None:
        found["score"] = box.confidence
    return found


def _area(points: list[tuple[float, float]]) -> float:
    """Square pixels inside a polygon, by the shoelace formula."""
    turned = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in turned)) / 2
