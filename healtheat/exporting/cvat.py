"""CVAT for images 1.1 (https://docs.cvat.ai/docs/other/xml_format/): one XML, and the labels of its task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from healtheat.exporting.handoff import (
    ATTRIBUTES,
    HandBox,
    HandImage,
    HandOff,
    bounds_its_box,
    points_px,
    xml_text,
    xyxy_px,
)


def write_cvat(given: HandOff, to: Path, labels: Path) -> None:
    """Write `to` (XML) and `labels` (JSON), which CVAT's raw label editor takes.

    Names of images are their paths in the data set. A box keeps its label, and is a polygon where corners say
    all of it; everything found stands in its attributes. A label's id is the default of its attribute
    `class_id`. Findings about no box become tags of the class they are about.
    """
    given = given.for_xml()
    with to.open("w", encoding="utf-8", newline="\n") as file:
        out = _Xml(XMLGenerator(file, "utf-8", short_empty_elements=True))
        out.document(given)
    text = json.dumps(_raw_labels(given), ensure_ascii=False, indent=1)
    labels.write_text(text + "\n", encoding="utf-8", newline="\n")


class _Xml:
    def __init__(self, out: XMLGenerator) -> None:
        self._out = out

    def document(self, given: HandOff) -> None:
        self._out.startDocument()
        self._open("annotations")
        self._leaf("version", "1.1")
        self._open("meta")
        self._open("task")
        for name, value in (("name", "healtheat"), ("size", len(given.images)), ("mode", "annotation")):
            self._leaf(name, value)
        self._open("labels")
        for ident, text in given.labels.items():
            self._open("label")
            self._leaf("name", text)
            self._leaf("type", "any")
            self._open("attributes")
            for attribute in ATTRIBUTES:
                self._open("attribute")
                for name, value in (
                    ("name", attribute),
                    ("mutable", "False"),
                    ("input_type", "text"),
                    ("default_value", ident if attribute == "class_id" else ""),
                    ("values", ""),
                ):
                    self._leaf(name, value)
                self._close("attribute")
            self._close("attributes")
            self._close("label")
        for name in ("labels", "task", "meta"):
            self._close(name)
        for number, image in enumerate(given.images):
            self._image(number, image, given)
        self._close("annotations")
        self._out.endDocument()

    def _image(self, number: int, image: HandImage, given: HandOff) -> None:
        size = {"width": image.width_px, "height": image.height_px}
        self._open("image", id=number, name=image.path, **size)
        for box in image.every_box:
            shape, place = _shape(box, image)
            label = given.label(box.class_id)
            of_file = "file" if image.labelled else "auto"
            self._open(
                shape,
                label=label,
                source=of_file if box.line >= 0 else "manual",
                occluded=0,
                **place,
                z_order=0,
            )
            self._attributes(box.attributes())
            self._close(shape)
        for note in image.notes:
            if note["class_id"] in given.labels:
                self._open("tag", label=given.label(note["class_id"]), source="file")
                self._attributes({name: note.get(name) for name in ATTRIBUTES})
                self._close("tag")
        self._close("image")

    def _attributes(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if value is not None:
                self._leaf("attribute", value, name=name)

    def _open(self, element: str, /, **attributes: Any) -> None:
        given = {key: _text(value) for key, value in attributes.items()}
        self._out.startElement(element, AttributesImpl(given))

    def _close(self, name: str) -> None:
        self._out.endElement(name)
        self._out.ignorableWhitespace("\n")

    def _leaf(self, element: str, value: Any, /, **attributes: Any) -> None:
        self._open(element, **attributes)
        self._out.characters(_text(value))
        self._close(element)


def _shape(box: HandBox, image: HandImage) -> tuple[str, dict[str, str]]:
    """The element of a box, and where it says that the box lies."""
    points = points_px(box, image) if bounds_its_box(box) else []
    if points:
        return "polygon", {"points": ";".join(f"{x!r},{y!r}" for x, y in points)}
    edges = zip(("xtl", "ytl", "xbr", "ybr"), xyxy_px(box, image), strict=True)
    return "box", {name: repr(value) for name, value in edges}


def _text(value: Any) -> str:
    return xml_text(repr(value) if isinstance(value, float) else str(value))


def _raw_labels(given: HandOff) -> list[dict[str, Any]]:
    def attributes(ident: int) -> list[dict[str, Any]]:
        plain: dict[str, Any] = {"mutable": False, "input_type": "text", "default_value": "", "values": [""]}
        own = {**plain, "default_value": str(ident)}  # a box that is drawn anew gets the id of its label
        return [{"name": name, **(own if name == "class_id" else plain)} for name in ATTRIBUTES]

    return [
        {"name": _text(text), "type": "any", "attributes": attributes(ident)}
        for ident, text in given.labels.items()
    ]
