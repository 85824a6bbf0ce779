"""CVAT for images 1.1 (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/): one XML."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from healtheat.core.boxes import MAX_CLASS_ID, ProblemCode
from healtheat.core.files import open_regular
from healtheat.core.text import shown
from healtheat.sources.base import LabelFormat
from healtheat.sources.coco.fields import MAX_SIDE_PX, BadItem
from healtheat.sources.files import split_of
from healtheat.sources.named.sheet import Document, NotThisFormat, Sheet, SheetWriter, around
from healtheat.sources.named.source import NamedReader, NamedSource
from healtheat.sources.named.text import float_of
from healtheat.sources.peek import holds_xml
from healtheat.sources.xml_stream import BadXml, XmlChildren, text_of

MAX_XML_BYTES = 2 * 2**30
CLASS_ID = "class_id"  # the attribute in which our own hand-off keeps the ids of labels
_POINTS = frozenset({"polygon"})
_ID = re.compile(r"[0-9]{1,10}")


def read_cvat(path: Path, file: str) -> Document:
    """What one CVAT XML says; `line` counts the shapes of an image from 0, over the images of the file.

    Edges are pixels from 0 (`xtl`, `ytl`, `xbr`, `ybr`). A polygon is read as the smallest upright box around
    it and keeps its points; a rotated box and any other shape is a problem, a tag is none: it is about the
    whole image. Classes are the labels of `meta` in their order; where each has an attribute `class_id` with
    a default, as in our own hand-off, that is its id. Raises NotThisFormat or OSError.
    """
    document = Document(file)
    children = None
    try:
        with open_regular(path) as opened:
            children = XmlChildren(opened, MAX_XML_BYTES)
            for _, child in children:
                if children.root != "annotations":
                    break
                if child.tag == "meta":
                    document.classes = _classes(child)
                elif child.tag == "image":
                    document.sheets.append(_sheet(child, file))
                elif child.tag == "track":
                    raise NotThisFormat(
                        "CVAT for video (it has tracks), which names no image; export as 'CVAT for images'"
                    )
    except BadXml as error:
        raise NotThisFormat(f"not a readable CVAT XML: {error}", error.line) from None
    if children.root != "annotations":
        reason = f"not a CVAT XML: its root is <{shown(children.root)}>, not <annotations>"
        raise NotThisFormat(reason, 0)
    document.sha256, document.size = children.sha256, children.size
    return document


def _classes(meta: Element) -> dict[int, str] | None:
    names: dict[str, str] = {}
    for label in meta.iter("label"):
        ident = ""
        for attribute in label.iter("attribute"):
            if text_of(attribute, "name") == CLASS_ID:
                ident = text_of(attribute, "default_value")
        names.setdefault(label.findtext("name") or "", ident)
    names.pop("", None)
    ids = list(names.values())
    if (
        ids
        and all(_ID.fullmatch(i) and int(i) <= MAX_CLASS_ID for i in ids)
        and len({*map(int, ids)}) == len(ids)
    ):
        return {int(ident): name for name, ident in names.items()}
    return dict(enumerate(names)) or None


def _sheet(image: Element, file: str) -> Sheet:
    shapes = [shape for shape in image if shape.tag != "tag"]
    name = image.get("name", "")
    subset = split_of([image.get("subset", "")]) or split_of(PurePosixPath(name).parts[:-1])
    sheet = Sheet(name, split=subset, entries=len(shapes))
    writer = SheetWriter(file, sheet, "shape")
    try:
        sheet.size_px = (_side(image, "width"), _side(image, "height"))
    except BadItem as error:
        if shapes:
            writer.bad_size(str(error))
        return sheet
    for line, shape in enumerate(shapes):
        try:
            writer.add(line, shape.get("label", ""), *_place(shape))
        except BadItem as error:
            writer.problem(ProblemCode.BAD_LINE, line, str(error))
    return sheet


def _side(image: Element, name: str) -> int:
    value = float_of(image.get(name, ""), name)
    if value != int(value) or not 1 <= value <= MAX_SIDE_PX:
        raise BadItem(f"{name} is {value:g}, not a whole number of pixels from 1 to {MAX_SIDE_PX}")
    return int(value)


def _place(shape: Element) -> tuple[tuple[float, float, float, float], list[tuple[float, float]]]:
    """Edges and, of a polygon, the points of one shape. Raises BadItem."""
    if shape.tag == "box":
        if float_of(shape.get("rotation", "0"), "rotation") % 360:
            raise BadItem("a rotated box, not an upright one")
        left, top, right, bottom = (float_of(shape.get(n, ""), n) for n in ("xtl", "ytl", "xbr", "ybr"))
        return (left, top, right, bottom), []
    if shape.tag not in _POINTS:
        raise BadItem(f"a {shown(shape.tag)}, not a box or polygon")
    points = [pair.split(",") for pair in shape.get("points", "").split(";")]
    if len(points) < 3 or any(len(pair) != 2 for pair in points):
        raise BadItem("points are not 'x,y;x,y;x,y;…'")
    found = [(float_of(x, "x"), float_of(y, "y")) for x, y in points]
    return around(found), found


READER = NamedReader("cvat", "an annotations.xml of 'CVAT for images'", ".xml", read_cvat)

CVAT = LabelFormat(
    kind=READER.kind,
    given=READER.given,
    recognises=lambda data: holds_xml(data, "annotations"),
    open=lambda data, options: NamedSource(data, READER, options),
    takes=frozenset({"images", "names"}),
)
