"""Labels that lie where the trainer does not look: it takes their images for unlabelled, without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.paths import in_other_form, is_file, yolo_label_path
from healtheat.core.text import shown


class Misplaced:
    """Looks for label files of images that have none where YOLO looks; tells each pair of folders once."""

    def __init__(self, relative: Callable[[Path], str], links: Mapping[Path, Path] | None = None) -> None:
        """`relative` is how paths are told, `links` folders of images → the links that splits name."""
        self._relative, self._links = relative, links or {}
        self._listed: dict[Path, list[str]] = {}
        self._found: dict[tuple[Path, Path, Path], Path] = {}  # images, labels, where YOLO looks
        self.files: set[str] = set()  # misplaced label files
        self._count: dict[tuple[Path, Path, Path], int] = {}

    def look(self, image: Path, expected: Path) -> None:
        """Look for the label file of `image`, which is not at `expected`."""
        for place in self._places(image, expected):
            if place != expected and is_file(place):
                key = (image.parent, place.parent, expected.parent)
                self.files.add(str(place))
                self._found.setdefault(key, place)
                self._count[key] = self._count.get(key, 0) + 1
                return

    def problems(self) -> Iterator[Problem]:
        """One for each folder of images and of misplaced labels."""
        for key, first in self._found.items():
            images, _, expected = map(self._relative, key)
            count = self._count[key]
            files = "1 label file lies" if count == 1 else f"{count} label files lie"
            reason = (
                f"{files} here {self._where(key, first, expected)}, so the images in "
                f"{shown(images or '.', 300)} count as unlabelled; first {shown(first.name, 200)}"
            )
            yield Problem(ProblemCode.MISPLACED_LABELS, self._relative(key[1]) or ".", None, reason)

    def _where(self, key: tuple[Path, Path, Path], first: Path, expected: str) -> str:
        if key[1] != key[2]:
            link = next((link for real, link in self._links.items() if key[0].is_relative_to(real)), None)
            follows = f" ({shown(self._relative(link), 300)} is a link, which it follows)" if link else ""
            return f"where YOLO does not look; it looks in {shown(expected or '.', 300)}{follows}"
        if first.suffix != ".txt":
            return f"under names that YOLO does not look for; it looks for {shown(first.stem, 200)}.txt"
        return "under names that only look like those of their images (NFC against NFD)"

    def _places(self, image: Path, expected: Path) -> Iterator[Path]:
        name = expected.name
        yield from (expected.with_suffix(suffix) for suffix in (".TXT", ".Txt"))
        for real, link in self._links.items():
            if image.is_relative_to(real):
                yield yolo_label_path(link / image.relative_to(real))
        yield image.with_name(name)
        parts = image.parts
        for at in range(len(parts) - 2, 0, -1):
            if parts[at].lower() == "images":
                for labels in self._labels(Path(*parts[:at])):
                    yield Path(*parts[:at], labels, *parts[at + 1 : -1], name)
        home = image.parent
        for labels in self._labels(home):
            yield home / labels / name
        for labels in self._labels(home.parent):
            yield home.parent / labels / home.name / name
            yield home.parent / labels / name
        if not name.isascii() and (other := in_other_form(expected)) is not None:
            yield other

    def _labels(self, folder: Path) -> list[str]:
        """Folders in `folder` that are called labels, in whatever case."""
        if folder not in self._listed:
            try:
                names = os.listdir(folder)  # noqa: PTH208
            except OSError:
                names = []
            self._listed[folder] = sorted(name for name in names if name.lower() == "labels")
        return self._listed[folder]
