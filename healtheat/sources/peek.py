"""What a file is by its beginning: enough to tell formats apart, whatever its name."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from healtheat.core.files import open_regular
from healtheat.core.paths import is_file, is_folder
from healtheat.sources.files import first_files
from healtheat.sources.json_stream import BadJson, JsonList, JsonObject
from healtheat.sources.xml_stream import BadXml, XmlChildren

_MAX_BYTES = 2**30  # of a file whose beginning says nothing
_LOOK_AT = 20  # files of a folder
_LOOK_FOR = 1000  # files of a folder that may be unreadable, until a readable one is found

_COCO = frozenset({"images", "annotations", "categories"})


def root_of_xml(path: Path) -> str:
    """The root's tag of an XML file, "" if there is none to read."""
    try:
        with open_regular(path) as file:
            children = XmlChildren(file, _MAX_BYTES)
            next(iter(children), None)
            return children.root
    except BadXml:
        return children.root
    except OSError:
        return ""


def fault_of_xml(path: Path) -> str:
    """Why an XML file cannot be read, with its line; "" where its beginning can be."""
    try:
        with open_regular(path) as file:
            next(iter(XmlChildren(file, _MAX_BYTES)), None)
    except BadXml as error:
        return f"line {error.line + 1}: {error}"
    except OSError as error:
        return str(error.strerror)
    return ""


def kind_of_json(path: Path, empty: str = "") -> str:
    """ "coco", "labelme", "labelstudio", "labelstudio-min", "coco-results" or "" for other content.

    `empty` is what a list without items is.
    """
    try:
        with open_regular(path) as file:
            document = JsonObject(file, _MAX_BYTES)
            if document.begins == "[":
                file.seek(0)
                items = [item for _, item in islice(JsonList(file, _MAX_BYTES), 1)]
                return _of_items(items) if items else empty
            for key, index, _ in document:
                if key in _COCO and index is not None:
                    return "coco"
                if key in ("shapes", "imagePath"):
                    return "labelme"
    except (BadJson, OSError):
        pass
    return ""


def _of_items(items: list[object]) -> str:
    keys = set(items[0]) if isinstance(items[0], dict) else set()
    if {"image_id", "category_id", "bbox"} <= keys:
        return "coco-results"
    if "data" in keys and keys & {"annotations", "completions", "predictions"}:
        return "labelstudio"
    return "labelstudio-min" if keys & {"image", "annotation_id", "annotator"} > {"image"} else ""


def holds_xml(data: Path, root: str) -> bool:
    """Whether the XML file `data` has this root, or one of the first readable XML files of a folder has.

    A COCO set with XML files beside is none of them.
    """
    if not is_folder(data):
        return root_of_xml(data) == root
    files = [path for path in first_files(data) if path.suffix.lower() == ".xml" and is_file(path)]
    if not files or holds_json(data, "coco"):
        return False
    roots = (found for path in files[:_LOOK_FOR] if (found := root_of_xml(path)))
    return root in islice(roots, 5)


def holds_json(data: Path, kind: str) -> bool:
    """Whether the JSON file `data` is of `kind`, or the first JSON files of a folder that are any."""
    if not is_folder(data):
        return data.suffix.lower() == ".json" and kind_of_json(data) == kind
    files = (path for path in first_files(data) if path.suffix.lower() == ".json" and is_file(path))
    kinds = (known for path in islice(files, _LOOK_AT) if (known := kind_of_json(path)))
    return next(kinds, "") == kind
