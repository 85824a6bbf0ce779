"""Telling sources apart by what the user gave."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, is_folder, is_image
from healtheat.sources.base import Source
from healtheat.sources.coco.source import CocoSource
from healtheat.sources.detector.source import DetectorSettings, DetectorSource
from healtheat.sources.files import walk
from healtheat.sources.yolo.source import YoloSource

KINDS = ("auto", "yolo", "coco", "detector")
_MENTION = "give a data.yaml, a COCO .json, a folder of COCO JSON files, or a folder with images/ and labels/"
_LOOK_AT = 20_000  # files; enough to see what a folder holds


def open_source(
    data: Path | str,
    *,
    kind: str = "auto",
    images: Path | str | None = None,
    weights: Path | str | None = None,
    detector: DetectorSettings | None = None,
    scratch: Path | None = None,
) -> Source:
    """The source that `data` is: a YOLO data.yaml or folder, a COCO JSON or folder, or photos to detect on.

    `kind` forces one of "yolo", "coco" and "detector". `images` is the folder of the photos of COCO files
    that do not lie beside them. `weights` are those of a YOLO detector, whose boxes become the labels of the
    folder `data` (**a `.pt` file runs code when it is loaded**, see DetectorSource); `detector` says how it
    is run and `scratch` where it may write. Raises InputError with the mend if it is none of these.
    """
    data = Path(data)
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if weights is not None and kind not in ("auto", "detector"):
        raise InputError(f"{weights}: weights are only for the kind detector, not {kind}")
    if kind == "detector" and weights is None:
        raise InputError(f"{data}: the kind detector needs weights; give a .pt or .onnx file")
    if not is_file(data) and not is_folder(data):
        raise InputError(f"{data}: not found{_did_you_mean(data)}; {_MENTION}")
    if weights is not None:
        if images is not None:
            raise InputError(f"{data}: the photos of a detector are the folder itself; leave the other out")
        return DetectorSource(data, Path(weights), detector, scratch=scratch)
    if kind == "auto":
        kind = _kind_of(data)
    if kind == "coco":
        return CocoSource(data, None if images is None else Path(images))
    if images is not None:
        raise InputError(
            f"{data}: a folder of photos can only be named for COCO files; data.yaml names its own"
        )
    return YoloSource(_yaml_in(data) if is_folder(data) else data)


def _kind_of(data: Path) -> str:
    if is_file(data):
        suffix = data.suffix.lower()
        if suffix in (".yaml", ".yml"):
            return "yolo"
        if suffix == ".json":
            return "coco"
        raise InputError(f"{data}: a {suffix or 'nameless'} file is no data set; {_MENTION}")
    if not is_folder(data):
        raise InputError(f"{data}: neither a file nor a folder; {_MENTION}")
    if _yamls(data) or _is_yolo_folder(data):
        return "yolo"
    suffixes = {path.suffix.lower() for path in islice(_files(data), _LOOK_AT)}
    if ".json" in suffixes:
        return "coco"
    raise InputError(f"{data}: {_what_is_missing(suffixes)}; {_MENTION}")


def _what_is_missing(suffixes: set[str]) -> str:
    has_images = any(is_image("x" + suffix) for suffix in suffixes)
    if has_images:
        return "photos without labels; label them with a detector by giving its weights"
    if ".txt" in suffixes:
        return "label files without photos; 'healtheat contents' reads label files alone"
    return "neither photos nor labels in this folder"


def _yamls(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".yaml", ".yml") and is_file(p))


def _is_yolo_folder(folder: Path) -> bool:
    return is_folder(folder / "images") and is_folder(folder / "labels")


def _yaml_in(folder: Path) -> Path:
    """The data.yaml of a folder: the file of that name, or its only YAML; else the folder itself."""
    found = _yamls(folder)
    named = [path for path in found if path.stem.lower() == "data"]
    if len(named) == 1 or len(found) == 1:
        return (named or found)[0]
    if found:
        listed = ", ".join(path.name for path in found[:5])
        raise InputError(f"{folder}: has several YAML files ({listed}); give the one to read")
    if not _is_yolo_folder(folder):
        raise InputError(f"{folder}: has no data.yaml and no folders images/ and labels/; {_MENTION}")
    return folder


def _files(folder: Path) -> Iterator[Path]:
    return walk(folder, lambda path, reason: None)


def _did_you_mean(data: Path) -> str:
    """The entry of the folder that is spelled most alike."""
    if not is_folder(data.parent):
        return ""
    try:
        close = difflib.get_close_matches(data.name, [p.name for p in islice(data.parent.iterdir(), 1000)], 1)
    except OSError:
        return ""
    return f"; did you mean {data.parent / close[0]}?" if close else ""
