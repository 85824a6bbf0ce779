"""Label Studio tasks (https://labelstud.io/guide/task_format): JSON, and the set-up that fits it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from healtheat.exporting.handoff import HandBox, HandImage, HandOff, bounds_its_box, points_px

LOCAL_FILES = "/data/local-files/?d="  # what Label Studio serves from its document root
FROM_NAME, POLYGON_NAME, TO_NAME = "label", "polygon", "image"


def write_labelstudio(given: HandOff, to: Path, config: Path) -> None:
    """Write `to` (tasks) and `config` (the labelling set-up, XML).

    `annotations` hold every box with the label it has, as a polygon where corners say all of it.
    `predictions` hold the boxes something was found about, with the class a person or a finding points to,
    the place that a person wants, and the score; and the boxes that a person added. Each result's `meta` has
    class id, line and what was found. Numbers are percent of the image, as the format wants it.
    Labels are written alike in both files, so without what XML forbids.
    """
    given = given.for_xml()
    with to.open("w", encoding="utf-8", newline="\n") as file:
        start = "[\n"
        for image in given.images:
            file.write(start + json.dumps(_task(image, given), ensure_ascii=False, allow_nan=False))
            start = ",\n"
        file.write("\n]\n" if given.images else "[]\n")
    polygons = any(_is_polygon(box, image) for image in given.images for box in image.boxes)
    controls = [("RectangleLabels", FROM_NAME), ("PolygonLabels", POLYGON_NAME)][: 1 + polygons]
    inside = "".join(_control(tag, name, given) for tag, name in controls)
    head = f'<View>\n  <Image name="{TO_NAME}" value="$image" zoom="true"/>\n'
    config.write_text(f"{head}{inside}</View>\n", encoding="utf-8", newline="\n")


def _control(tag: str, name: str, given: HandOff) -> str:
    labels = "".join(f"    <Label value={quoteattr(text)}/>\n" for text in given.labels.values())
    return f'  <{tag} name="{name}" toName="{TO_NAME}">\n{labels}  </{tag}>\n'


def _task(image: HandImage, given: HandOff) -> dict[str, Any]:
    boxes = [_result(box, image, given.label(box.class_id)) for box in image.boxes]
    found = [box for box in image.boxes if box.finding is not None or not image.labelled]
    advised = [*(replace(box, xywhn=box.move_to or box.xywhn) for box in found), *image.added]
    predictions = [{**_result(box, image, _pointed(box, given)), "score": _score(box)} for box in advised]
    task: dict[str, Any] = {
        "id": image.image_id + 1,
        "data": {
            "image": LOCAL_FILES + quote(image.path),
            "path": image.path,
            "split": image.split,
            "label_file": image.label_file,
            "notes": [f"{note['issue']}: {note['reason']}" for note in image.notes],
        },
        "annotations": [],
        "predictions": [],
    }
    if image.labelled:
        task["annotations"] = [{"result": boxes, "was_cancelled": False, "ground_truth": False}]
    if predictions:
        best = max(p["score"] for p in predictions)
        task["predictions"] = [{"model_version": "healtheat", "score": best, "result": predictions}]
    return task


def _is_polygon(box: HandBox, image: HandImage) -> bool:
    return bounds_its_box(box) and bool(points_px(box, image))


def _result(box: HandBox, image: HandImage, label: str) -> dict[str, Any]:
    is_polygon = _is_polygon(box, image)
    return {
        "id": f"box{box.box_id}",
        "type": "polygonlabels" if is_polygon else "rectanglelabels",
        "from_name": POLYGON_NAME if is_polygon else FROM_NAME,
        "to_name": TO_NAME,
        "original_width": image.width_px,
        "original_height": image.height_px,
        "image_rotation": 0,
        "value": _polygon(box, label) if is_polygon else _rectangle(box, label),
        "meta": {**{k: v for k, v in box.attributes().items() if v is not None}, "text": _words(box)},
    }


def _polygon(box: HandBox, label: str) -> dict[str, Any]:
    points = [[x * 100, y * 100] for x, y in box.corners.tolist()]
    return {"points": points, "closed": True, "polygonlabels": [label]}


def _rectangle(box: HandBox, label: str) -> dict[str, Any]:
    cx, cy, w, h = box.xywhn
    place = {"x": (cx - w / 2) * 100, "y": (cy - h / 2) * 100, "width": w * 100, "height": h * 100}
    return {**place, "rotation": 0, "rectanglelabels": [label]}


def _words(box: HandBox) -> list[str]:
    """What Label Studio shows beside the box."""
    found = box.finding
    return [f"{found['issue']}: {found['reason']}"] if found else []


def _score(box: HandBox) -> float:
    return float((box.finding or {}).get("score") or 0.0)


def _pointed(box: HandBox, given: HandOff) -> str:
    """The label advised for a box; its own where nobody advises another."""
    found = box.finding or {}
    for name in ("relabel_to", "suggestion"):
        if found.get(name) in given.labels:
            return given.label(found[name])
    return given.label(box.class_id)
