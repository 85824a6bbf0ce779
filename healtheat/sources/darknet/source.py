"""Darknet sets (CVAT's YOLO 1.1) as a source: YOLO's label lines, found by way of obj.data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.paths import is_file, is_folder
from healtheat.sources.base import LabelFile, LabelFormat, Record, Source, SourceOptions
from healtheat.sources.darknet.obj_data import MAX_BYTES, load_obj_data
from healtheat.sources.outside import Bounds
from healtheat.sources.yolo.source import YoloSource


class DarknetSource(YoloSource):
    """A Darknet set: classes and images are those of obj.data's files, the rest is as in a YOLO set.

    The label file of an image lies beside it, or in `labels` where it lies in `images`.
    """

    kind = "darknet"

    def __init__(self, data: Path, task: str | None = None, names: Path | None = None) -> None:
        """Raises InputError; reads no label file and no image."""
        described = load_obj_data(data, names)
        super().__init__(described.path.parent, task)
        self.data = data
        self.names = dict(described.names)
        self.ids_from = f"the order of {described.names_file.name}"
        self._splits = described.splits
        self._yaml = (described.path, described.content)
        self._names_file = described.names_file
        self._bounds = Bounds(data)
        given = () if names is not None else (self._names_file,)
        self._bounds.check((*given, *(split.path for split in self._splits)))

    def read(self) -> Iterator[Record]:
        """As `YoloSource.read`, with the file of names first. Raises InputError."""
        try:
            content = read_small(self._names_file, MAX_BYTES)
        except Unreadable as error:
            raise InputError(f"{self._names_file}: {error}; give the class names, one a line") from None
        yield LabelFile(self._roots.relative(self._names_file), content.sha256, content.size)
        yield from super().read()


def _obj_data(folder: Path) -> list[Path]:
    """obj.data, and other `.data` files of a folder that speak of names and a list of images."""
    found = []
    for path in sorted(folder.glob("*.data")):
        try:
            text = read_small(path, MAX_BYTES).data if is_file(path) else b""
        except Unreadable:
            text = b""
        if path.name == "obj.data" or (b"names" in text and b"=" in text):
            found.append(path)
    return found


def _recognises(data: Path) -> bool:
    return bool(_obj_data(data)) if is_folder(data) else data.suffix.lower() == ".data"


def _open(data: Path, options: SourceOptions) -> Source:
    if not is_folder(data):
        return DarknetSource(data, options.task, options.names)
    found = _obj_data(data)
    named = [path for path in found if path.name == "obj.data"] or found
    if len(named) != 1:
        what = "has several .data files" if named else "has no obj.data"
        raise InputError(f"{data}: {what}; give {DARKNET.given}")
    return DarknetSource(named[0], options.task, options.names)


DARKNET = LabelFormat(
    kind=DarknetSource.kind,
    given="the obj.data of a Darknet set (CVAT's YOLO 1.1)",
    recognises=_recognises,
    open=_open,
    takes=frozenset({"names", "task"}),
)
