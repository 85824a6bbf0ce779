"""LabelMe folders: one JSON an image, beside it or apart (https://github.com/wkentaro/labelme)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from healtheat.core.boxes import ProblemCode
from healtheat.core.files import open_regular
from healtheat.core.text import is_unicode, shown
from healtheat.sources.base import LabelFormat
from healtheat.sources.coco.fields import BadItem, number, side
from healtheat.sources.json_stream import BadJson, JsonObject
from healtheat.sources.named.sheet import Document, NotThisFormat, Sheet, SheetWriter, around
from healtheat.sources.named.source import NamedReader, NamedSource
from healtheat.sources.peek import holds_json

MAX_JSON_BYTES = 256 * 2**20
MAX_ITEM_CHARS = 64 * 2**20  # `imageData` is the image itself, as text
MAX_SHAPES = 100_000


def read_labelme(path: Path, file: str) -> Document:
    """What one LabelMe JSON says; `line` counts the list `shapes` from 0.

    A rectangle is two opposite corners in pixels, in any order. A polygon is read as the smallest upright box
    around it, as polygons are elsewhere here, and keeps its points; points, lines, circles and masks are
    problems. Raises NotThisFormat or OSError.
    """
    fields: dict[str, Any] = {}
    shapes: list[Any] = []
    try:
        with open_regular(path) as opened:
            document = JsonObject(opened, MAX_JSON_BYTES, MAX_ITEM_CHARS)
            for key, index, item in document:
                if key == "shapes" and index is not None:
                    shapes.append(item)
                    if len(shapes) > MAX_SHAPES:
                        raise NotThisFormat(f"more than {MAX_SHAPES} shapes")
                elif key in ("imagePath", "imageWidth", "imageHeight") and index is None:
                    fields[key] = item
    except BadJson as error:
        raise NotThisFormat(f"not a readable LabelMe JSON: {error}", error.line) from None
    if "shapes" not in document.keys or "imagePath" not in document.keys:
        missing = "shapes" if "shapes" not in document.keys else "imagePath"
        raise NotThisFormat(f"not a LabelMe JSON: '{missing}' is missing", 0)
    name = fields.get("imagePath")
    name = name if isinstance(name, str) and is_unicode(name) else ""
    sheet = Sheet(name, stem=path.stem, entries=len(shapes))
    writer = SheetWriter(file, sheet, "shapes")
    try:
        sheet.size_px = (side(fields, "imageWidth"), side(fields, "imageHeight"))
    except BadItem as error:
        if shapes:
            writer.bad_size(str(error))
        shapes = []
    for line, item in enumerate(shapes):
        try:
            writer.add(line, *_box(item))
        except BadItem as error:
            writer.problem(ProblemCode.BAD_LINE, line, str(error))
    return Document(file, [sheet], sha256=document.sha256, size=document.size)


def _box(item: Any) -> tuple[str, tuple[float, float, float, float], list[tuple[float, float]]]:
    """Class, edges and, of a polygon, the points of one shape. Raises BadItem."""
    if not isinstance(item, dict):
        raise BadItem("not an object {…}")
    label = item.get("label")
    if not isinstance(label, str) or not is_unicode(label):
        raise BadItem("the label is missing or not text")
    kind = item.get("shape_type", "polygon")  # files from before version 3.16 hold polygons alone
    if kind not in ("rectangle", "polygon"):
        raise BadItem(f"a {shown(str(kind))}, not a rectangle or polygon")
    points = item.get("points")
    least = 2 if kind == "rectangle" else 3
    if not isinstance(points, list) or len(points) < least or (kind == "rectangle" and len(points) > 4):
        raise BadItem(f"points are missing, or too few or many for a {kind}")
    found = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise BadItem("a point is not a list [x, y]")
        found.append((number(point[0], "x"), number(point[1], "y")))
    return label, around(found), found if kind == "polygon" else []


READER = NamedReader("labelme", "a folder of LabelMe .json files and their images", ".json", read_labelme)

LABELME = LabelFormat(
    kind=READER.kind,
    given=READER.given,
    recognises=lambda data: holds_json(data, "labelme"),
    open=lambda data, options: NamedSource(data, READER, options),
    takes=frozenset({"images", "names"}),
)
