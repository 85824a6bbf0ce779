"""Finding the image that a COCO file means, among all images of a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from healtheat.core.boxes import ProblemCode
from healtheat.core.paths import contained
from healtheat.core.text import shown


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why a file name leads to no image."""

    code: ProblemCode
    reason: str


class ImageFinder:
    """Looks a file name up: beside its JSON, then from the roots, then anywhere if it is the only one."""

    def __init__(self, roots: Sequence[Path], images: Sequence[Path]) -> None:
        self._roots = roots
        self._images = set(images)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for image in images:
            self._by_name[image.name].append(image)

    def find(self, file_name: str, home: Path) -> Path | NotFound:
        """The image's path, or the reason why there is none or more than one."""
        try:
            name = contained(file_name)
        except ValueError as error:
            return NotFound(ProblemCode.BAD_PATH, str(error))
        for folder in (home, *self._roots):
            for place in (folder / name, folder / "images" / name):
                if place in self._images:
                    return place
        ending = name.parts
        same = [p for p in self._by_name.get(name.name, []) if p.parts[-len(ending) :] == ending]
        if len(same) == 1:
            return same[0]
        if not same:
            return NotFound(ProblemCode.MISSING_IMAGE, f"image {shown(file_name)} not found")
        two = " and ".join(PurePosixPath(p).as_posix() for p in same[:2])
        reason = f"{len(same)} images are called {shown(file_name)}: {shown(two, 300)}; which is not clear"
        return NotFound(ProblemCode.AMBIGUOUS_IMAGE, reason)
