"""Label Studio tasks (https://labelstud.io/guide/task_format): JSON, and the set-up that fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from healtheat.core.atomic import replacing_file
from healtheat.exporting.handoff import HandBox, HandOff, HandPhoto, files_of

LOCAL_FILES = "/data/local-files/?d="  # what Label Studio serves from its document root
FROM_NAME, TO_NAME = "label", "image"


def write_labelstudio(given: HandOff, to: Path) -> list[Path]:
    """Write `to` (tasks) and `NAME.config.xml` (labelling set-up); returns both.

    `annotations` hold every box with the label it has. `predictions` hold the boxes something was found
    about, with the class a person or a finding points to, and the score. Each result's `meta` has class id,
    line and what was found. Numbers are percent of the photo, as the format wants it.
    """
    _, config = files_of("labelstudio", to)
    with replacing_file(to) as staged, staged.open("w", encoding="utf-8", newline="\n") as file:
        start = "[\n"
        for photo in given.photos:
            file.write(start + json.dumps(_task(photo, given), ensure_ascii=False, allow_nan=False))
            start = ",\n"
        file.write("\n]\n" if given.photos else "[]\n")
    labels = "\n".join(f"    <Label value={quoteattr(text)}/>" for text in given.labels.values())
    with replacing_file(config) as staged:
        staged.write_text(
            f'<View>\n  <Image name="{TO_NAME}" value="$image" zoom="true"/>\n'
            f'  <RectangleLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{labels}\n'
            "  </RectangleLabels>\n</View>\n",
            encoding="utf-8",
            newline="\n",
        )
    return [to, config]


def _task(photo: HandPhoto, given: HandOff) -> dict[str, Any]:
    boxes = [_result(box, photo, given.labels[box.class_id]) for box in photo.boxes]
    found = [box for box in photo.boxes if box.finding is not None]
    predictions = [{**_result(box, photo, _pointed(box, given)), "score": _score(box)} for box in found]
    task: dict[str, Any] = {
        "id": photo.image_id + 1,
        "data": {
            "image": LOCAL_FILES + quote(photo.path),
            "path": photo.path,
            "split": photo.split,
            "label_file": photo.label_file,
            "notes": [f"{note['issue']}: {note['reason']}" for note in photo.notes],
        },
        "annotations": [{"result": boxes, "was_cancelled": False, "ground_truth": False}],
        "predictions": [],
    }
    if predictions:
        best = max(p["score"] for p in predictions)
        task["predictions"] = [{"model_version": "healtheat", "score": best, "result": predictions}]
    return task


def _result(box: HandBox, photo: HandPhoto, label: str) -> dict[str, Any]:
    cx, cy, w, h = box.xywhn
    return {
        "id": f"box{box.box_id}",
        "type": "rectanglelabels",
        "from_name": FROM_NAME,
        "to_name": TO_NAME,
        "original_width": photo.width_px,
        "original_height": photo.height_px,
        "image_rotation": 0,
        "value": {
            "x": (cx - w / 2) * 100,
            "y": (cy - h / 2) * 100,
            "width": w * 100,
            "height": h * 100,
            "rotation": 0,
            "rectanglelabels": [label],
        },
        "meta": {**{k: v for k, v in box.attributes().items() if v is not None}, "text": _words(box)},
    }


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
            return given.labels[found[name]]
    return given.labels[box.class_id]
