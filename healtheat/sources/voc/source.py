"""Pascal VOC folders: Annotations/*.xml with JPEGImages/, or XML files beside or apart from their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from healtheat.core.boxes import ProblemCode
from healtheat.core.files import open_regular
from healtheat.core.text import shown
from healtheat.sources.base import LabelFormat
from healtheat.sources.coco.fields import MAX_SIDE_PX, BadItem
from healtheat.sources.files import first_files, split_of
from healtheat.sources.named.sheet import Document, NotThisFormat, Sheet, SheetWriter
from healtheat.sources.named.source import NamedReader, NamedSource
from healtheat.sources.named.text import float_of
from healtheat.sources.peek import holds_xml
from healtheat.sources.xml_stream import BadXml, XmlChildren, text_of

MAX_XML_BYTES = 64 * 2**20
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: Path, file: str) -> Document:
    """What one VOC XML says; `line` counts the elements `object` from 0.

    `xmin … ymax` are edges in pixels from 0, as LabelImg, CVAT, Roboflow and most converters write them. The
    files of the VOC challenge itself (`source/database` begins with "The VOC") count pixels from 1 and
    include the last one (VOC development kit, section 8: Annotation; detectron2 reads them so too): there,
    1 is taken from `xmin` and `ymin`. Raises NotThisFormat or OSError.
    """
    fields: dict[str, Element] = {}
    objects: list[Element] = []
    with open_regular(path) as opened:
        children = XmlChildren(opened, MAX_XML_BYTES)
        try:
            for _, child in children:
                if child.tag == "object":
                    objects.append(child)
                else:
                    fields.setdefault(child.tag, child)
        except BadXml as error:
            raise NotThisFormat(f"not a readable VOC XML: {error}", error.line) from None
    if children.root != "annotation":
        raise NotThisFormat(
            f"not a Pascal VOC XML: its root is <{shown(children.root)}>, not <annotation>", 0
        )
    name = (fields["filename"].text or "").strip() if "filename" in fields else ""
    sheet = Sheet(name, stem=path.stem, entries=len(objects))
    writer = SheetWriter(file, sheet, "object")
    try:
        sheet.size_px = _size(fields.get("size"))
    except BadItem as error:
        if objects:
            writer.bad_size(str(error))
        objects = []
    first = 1 if "source" in fields and text_of(fields["source"], "database").startswith("The VOC") else 0
    for line, item in enumerate(objects):
        try:
            writer.add(line, item.findtext("name") or "", _corners(item, first))
        except BadItem as error:
            writer.problem(ProblemCode.BAD_LINE, line, str(error))
    return Document(file, [sheet], sha256=children.sha256, size=children.size)


def _size(size: Element | None) -> tuple[int, int]:
    if size is None:
        raise BadItem("the size of the image is missing (size/width, size/height)")
    width, height = (_number(size, name) for name in ("width", "height"))
    for name, value in (("width", width), ("height", height)):
        if value != int(value) or not 1 <= value <= MAX_SIDE_PX:
            raise BadItem(f"size/{name} is {value:g}, not a whole number of pixels from 1 to {MAX_SIDE_PX}")
    return int(width), int(height)


def _corners(item: Element, first: int) -> tuple[float, float, float, float]:
    box = item.find("bndbox")
    if box is None:
        other = next((tag for tag in ("robndbox", "polygon") if item.find(tag) is not None), None)
        raise BadItem(f"a {other}, not an upright box (bndbox)" if other else "bndbox is missing")
    left, top, right, bottom = (_number(box, name) for name in _CORNERS)
    return left - first, top - first, right, bottom


def _number(item: Element, name: str) -> float:
    return float_of(text_of(item, name), f"{item.tag}/{name}")


def _lists(folder: Path) -> Iterator[tuple[Path, str, Path]]:
    """The lists of splits in `ImageSets/Main`, each for the folder `Annotations` beside `ImageSets`."""
    homes = sorted(
        {path.parent for path in first_files(folder) if path.parts[-3:-1] == ("ImageSets", "Main")}
    )
    for home in homes:
        for path in sorted(home.glob("*.txt")):
            if split := split_of([path.stem]):
                yield path, split, home.parent.parent / "Annotations"


READER = NamedReader("voc", "a folder of Pascal VOC .xml files and their images", ".xml", read_voc, _lists)

VOC = LabelFormat(
    kind=READER.kind,
    given=READER.given,
    recognises=lambda data: holds_xml(data, "annotation"),
    open=lambda data, options: NamedSource(data, READER, options),
    takes=frozenset({"images", "names"}),
)
