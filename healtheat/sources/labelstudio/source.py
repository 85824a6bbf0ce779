"""Label Studio's JSON export (https://labelstud.io/guide/task_format): a list of tasks with their results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from healtheat.core.boxes import ProblemCode
from healtheat.core.corners import FEWEST_POINTS
from healtheat.core.files import open_regular
from healtheat.core.text import counted, is_unicode, shown
from healtheat.sources.base import LabelFormat
from healtheat.sources.coco.fields import BadItem, number, side
from healtheat.sources.json_stream import BadJson, JsonList
from healtheat.sources.named.sheet import Document, NotThisFormat, Sheet, SheetWriter
from healtheat.sources.named.source import NamedReader, NamedSource
from healtheat.sources.peek import holds_json

MAX_JSON_BYTES = 2 * 2**30
RECTANGLES, POLYGONS = "rectanglelabels", "polygonlabels"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file
_EXPORT = "export it as 'JSON' from a project with <RectangleLabels> or <PolygonLabels>"


def read_labelstudio(path: Path, file: str) -> Document:
    """What one export says; `line` counts the results of a task's annotation from 0.

    Numbers are percent of the image. The image is what the first of the task's `data` names that a shape
    speaks of. A polygon is read as the smallest upright box around it and keeps its points. A rotated
    rectangle and any other result is a problem; results about the whole image are
    passed over. Of several annotations of a task the one marked as ground truth is taken; where that leaves
    more than one, it is a problem. Raises NotThisFormat or OSError.
    """
    document = Document(file)
    other: dict[str, int] = {}
    try:
        with open_regular(path) as opened:
            items = JsonList(opened, MAX_JSON_BYTES)
            for index, item in items:
                if not isinstance(item, dict) or not isinstance(item.get("data"), dict):
                    raise NotThisFormat(_what_else(item, index))
                document.sheets.append(_sheet(item, index, file, other))
    except BadJson as error:
        raise NotThisFormat(f"not a readable Label Studio export: {error}", error.line) from None
    document.sha256, document.size = items.sha256, items.size
    if other and not any(sheet.boxes for sheet in document.sheets):
        kinds = ", ".join(f"{shown(kind)} ({n})" for kind, n in sorted(other.items()))
        raise NotThisFormat(
            f"a Label Studio export of another task: {kinds}, no {RECTANGLES} and no {POLYGONS}; {_EXPORT}"
        )
    return document


def _what_else(item: Any, index: int) -> str:
    if isinstance(item, dict) and ("annotation_id" in item or "annotator" in item):
        return f"Label Studio's JSON-MIN, which lacks the size and id of results; {_EXPORT}"
    return f"not a Label Studio export: its item {index} is no task with 'data'; {_EXPORT}"


def _sheet(task: dict[str, Any], index: int, file: str, other: dict[str, int]) -> Sheet:
    results, unclear = _results(task)
    shapes = [r for r in results if isinstance(r, dict) and r.get("type") in (RECTANGLES, POLYGONS)]
    sheet = Sheet(_image(task["data"], shapes), entries=len(results))
    writer = SheetWriter(file, sheet, f"task {index}, result")
    if unclear:
        writer.problem(ProblemCode.LOST_BOXES, None, f"task {index}: {unclear}")
        return sheet
    for line, result in enumerate(results):
        try:
            if not isinstance(result, dict):
                raise BadItem("not an object {…}")
            kind = result.get("type")
            if kind not in (RECTANGLES, POLYGONS):
                other[str(kind)] = other.get(str(kind), 0) + 1
                raise BadItem(f"{shown(str(kind))}, not {RECTANGLES} or {POLYGONS}")
            size = (side(result, "original_width"), side(result, "original_height"))
            sheet.size_px = sheet.size_px or size
            if kind == POLYGONS:
                writer.add_polygon(line, *_polygon(result))
            else:
                writer.add_share(line, *_box(result))
        except BadItem as error:
            writer.problem(ProblemCode.BAD_LINE, line, str(error))
    return sheet


def _results(task: dict[str, Any]) -> tuple[list[Any], str]:
    """The results of the annotation that counts, about regions; and why none does, or ""."""
    given = task.get("annotations", task.get("completions"))
    every = [a for a in given if isinstance(a, dict)] if isinstance(given, list) else []
    done = [a for a in every if not a.get("was_cancelled") and isinstance(a.get("result"), list)]
    truth = [a for a in done if a.get("ground_truth") is True]
    chosen = truth if len(truth) == 1 else done
    if not chosen:
        return [], ""
    regions = [
        [
            r
            for r in a["result"]
            if not isinstance(r, dict)
            or (isinstance(r.get("value"), dict) and "x" in r["value"])
            or r.get("type")
            not in ("choices", "textarea", "rating", "number", "datetime", "taxonomy", "pairwise")
        ]
        for a in chosen
    ]
    if len(chosen) > 1:
        boxes = counted(sum(map(len, regions)), "box", "boxes")
        return regions[
            0
        ], f"{len(chosen)} annotations, none or several marked as ground truth; {boxes} left out"
    return regions[0], ""


def _image(data: dict[str, Any], shapes: list[dict[str, Any]]) -> str:
    """The name of the task's image: the path of its address, without what Label Studio put before it."""
    keys = [str(r.get("to_name")) for r in shapes[:1]]
    texts = [data[key] for key in (*keys, "image", "img", "photo", "ocr") if isinstance(data.get(key), str)]
    texts += [value for value in data.values() if isinstance(value, str)]
    own = data.get("path")  # of our own hand-off: as in the data set
    if isinstance(own, str) and texts and _path_of(texts[0]).endswith(own):
        return own
    return _path_of(texts[0]) if texts and is_unicode(texts[0]) else ""


def _path_of(address: str) -> str:
    """The path in an address, to be looked for by its end."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if parts.path.endswith("/local-files/") and (named := parse_qs(parts.query).get("d")):
        return named[0]
    if not parts.scheme or len(parts.scheme) == 1:  # none, or a drive of Windows
        path = unquote(parts.path) if address.startswith("/") else address
    else:
        path = unquote(parts.path)
    folder, slash, name = path.rpartition("/")
    if folder.rpartition("/")[0].endswith("upload"):
        name = _UPLOADED.sub("", name, count=1)
    return folder + slash + name


def _labelled(result: dict[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    """The class of a result and its value. Raises BadItem."""
    value = result.get("value")
    if not isinstance(value, dict):
        raise BadItem("value is missing")
    if number(value.get("rotation", 0), "rotation") % 360 or number(
        result.get("image_rotation", 0), "image_rotation"
    ):
        raise BadItem("a rotated rectangle or image, not an upright one")
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise BadItem(f"{kind} is not a list of one class")
    if not is_unicode(labels[0]):
        raise BadItem("the class is not valid Unicode")
    return labels[0], value


def _polygon(result: dict[str, Any]) -> tuple[str, list[tuple[float, float]]]:
    """Class and points, shares of the image. Raises BadItem."""
    label, value = _labelled(result, POLYGONS)
    points = value.get("points")
    if not isinstance(points, list) or len(points) < FEWEST_POINTS:
        raise BadItem("points are missing, or too few for a polygon")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadItem("a point is not a list [x, y]")
    return label, [(number(x, "x") / 100, number(y, "y") / 100) for x, y in points]


def _box(result: dict[str, Any]) -> tuple[str, tuple[float, float, float, float]]:
    label, value = _labelled(result, RECTANGLES)
    x, y, w, h = (number(value.get(key), key) / 100 for key in ("x", "y", "width", "height"))
    if w <= 0 or h <= 0:
        raise BadItem("the box has zero or negative area")
    place = (x + w / 2, y + h / 2, w, h)
    if not all(0 <= share <= 1 for share in place):
        raise BadItem("the box lies outside or is larger than its image; numbers are percent of it")
    return label, place


READER = NamedReader(
    "labelstudio", "a Label Studio export ('JSON') and its images", ".json", read_labelstudio
)

LABELSTUDIO = LabelFormat(
    kind=READER.kind,
    given=READER.given,
    recognises=lambda data: holds_json(data, "labelstudio") or holds_json(data, "labelstudio-min"),
    open=lambda data, options: NamedSource(data, READER, options),
    takes=frozenset({"images", "names"}),
)
