"""Finding the photo that a COCO file means, among all photos of a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from healtheat.core.text import shown
from healtheat.sources.files import contained


class ImageFinder:
    """Looks a file name up: beside its JSON, then from the roots, then anywhere if it is the only one."""

    def __init__(self, roots: Sequence[Path], photos: Sequence[Path]) -> None:
        self._roots = roots
        self._photos = set(photos)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for photo in photos:
            self._by_name[photo.name].append(photo)

    def find(self, file_name: str, home: Path) -> Path | str:
        """The photo's path, or the reason why there is none or more than one."""
        try:
            name = contained(file_name)
        except ValueError as error:
            return str(error)
        for folder in (home, *self._roots):
            for place in (folder / name, folder / "images" / name):
                if place in self._photos:
                    return place
        ending = name.parts
        same = [p for p in self._by_name.get(name.name, []) if p.parts[-len(ending) :] == ending]
        if len(same) == 1:
            return same[0]
        if not same:
            return f"photo {shown(file_name)} not found"
        two = " and ".join(PurePosixPath(p).as_posix() for p in same[:2])
        return f"{len(same)} photos are called {shown(file_name)}: {shown(two, 300)}; which is not clear"
