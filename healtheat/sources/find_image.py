"""Finding the image that a label file means, among all images of a folder."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.paths import contained, is_file, normal, relative
from healtheat.core.text import bad_name, counted, shown
from healtheat.sources.files import split_of

# How a name differs from the path of the image that it can only mean.
FORM = (
    "looks like the image's name and is another: one is composed (NFC), the other decomposed (NFD); "
    "write both alike"
)
ELSEWHERE = "is a path of another machine; only its end is there"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """Where the image lies, and what is wrong with the name that led to it."""

    path: Path
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why a file name leads to no image."""

    code: ProblemCode
    reason: str


def loose_parts(name: str) -> tuple[str, ...]:
    """The names in a path of any system, without drive, root, `.` and `..`.

    >>> loose_parts(r"..\\..\\media\\4\\m0.jpg"), loose_parts("C:/x/a.png")
    (('media', '4', 'm0.jpg'), ('x', 'a.png'))
    """
    parts = name.replace("\\", "/").split("/")
    return tuple(part for part in parts if part.strip() not in ("", ".", "..") and not part.endswith(":"))


class ImageFinder:
    """Looks a name up: beside its label file, then from the roots, then anywhere if it is the only one.

    `listed` gives all images there are; it is asked when a name is not at its place. An image of another
    split than the label file, or one that lies beside a label file of its own (`homes`), is never meant by
    a mere name. A backslash is a `/`, and `..` may lead to an image below a root. Any other path that cannot
    be used as it is (another machine's) is looked for by its end.
    """

    def __init__(
        self, roots: Sequence[Path], listed: Callable[[], Iterable[Path]], homes: Collection[Path] = ()
    ) -> None:
        self._roots = roots
        self._listed = listed
        self._homes = frozenset(homes)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        by_name: dict[str, list[Path]] = defaultdict(list)
        for image in self._listed():
            by_name[_composed(image.name)].append(image)
        return by_name

    def find(self, file_name: str, home: Path, split: str = "") -> FoundImage | NotFound:
        """The image that a label file in `home`, of `split` ("" if unknown), means; or why there is none."""
        if reason := bad_name(file_name) or (not file_name.strip() and "file name is empty"):
            return NotFound(ProblemCode.BAD_PATH, reason)
        written = file_name.replace("\\", "/")
        if (there := self._up_and_down(written, home)) is not None:
            return FoundImage(there)
        try:
            name = contained(written)
        except ValueError as error:
            found = self._by_end(file_name, loose_parts(file_name), home, split)
            if isinstance(found, NotFound) and found.code == ProblemCode.MISSING_IMAGE:
                return NotFound(found.code, f"{error}; {found.reason}")
            return found
        for folder in dict.fromkeys((home, *self._roots)):
            for place in (folder / name, folder / "images" / name):
                if is_file(place):
                    return FoundImage(place)
        found = self._anywhere(file_name, name.parts, home, split)
        if written != file_name and isinstance(found, NotFound) and found.code == ProblemCode.MISSING_IMAGE:
            return self._by_end(file_name, loose_parts(file_name), home, split)
        return found

    def _up_and_down(self, written: str, home: Path) -> Path | None:
        """The image that a path with `..` leads to from `home`, if it lies below a root."""
        if ".." not in written.split("/") or written.startswith("/") or PureWindowsPath(written).drive:
            return None
        place = normal(home / written)
        inside = any(place.is_relative_to(root) for root in self._roots)
        return place if inside and is_file(place) else None

    def _by_end(
        self, file_name: str, parts: tuple[str, ...], home: Path, split: str
    ) -> FoundImage | NotFound:
        for start in range(len(parts)):
            found = self._anywhere(file_name, parts[start:], home, split)
            if isinstance(found, FoundImage):
                return FoundImage(found.path, (ELSEWHERE, *found.mistakes))
            if found.code != ProblemCode.MISSING_IMAGE:
                return found
        return NotFound(ProblemCode.MISSING_IMAGE, f"image {shown(file_name)} not found")

    def _anywhere(
        self, file_name: str, parts: tuple[str, ...], home: Path, split: str
    ) -> FoundImage | NotFound:
        ending = tuple(map(_composed, parts))
        named = self._by_name.get(ending[-1], []) if ending else []
        same = [p for p in named if tuple(map(_composed, p.parts[-len(ending) :])) == ending]
        exact = [p for p in same if p.parts[-len(parts) :] == parts]
        of_split = [p for p in exact or same if self.may_be(p, home, split)]
        if len(of_split) == 1:
            return FoundImage(of_split[0], () if exact else (FORM,))
        if not same:
            return NotFound(ProblemCode.MISSING_IMAGE, f"image {shown(file_name)} not found")
        if not of_split:
            other = shown(relative(same[0], self._roots[0]) if self._roots else same[0].as_posix(), 300)
            reason = f"image {shown(file_name)} not found; {other} is that of another split or label file"
            return NotFound(ProblemCode.MISSING_IMAGE, reason)
        two = " and ".join(PurePosixPath(p).as_posix() for p in of_split[:2])
        reason = (
            f"{len(of_split)} images are called {shown(file_name)}: {shown(two, 300)}; which is not clear"
        )
        return NotFound(ProblemCode.AMBIGUOUS_IMAGE, reason)

    def may_be(self, image: Path, home: Path, split: str) -> bool:
        """Whether a label file in `home`, of `split`, can mean `image` by a mere name."""
        folder = image.parent
        if folder != home and folder in self._homes:
            return False
        own = split_of(relative(folder, self._roots[0]).split("/")) if self._roots else ""
        return not (split and own and own != split)


@dataclass(slots=True)
class OddNames:
    """Names of one label file that are not those of their images: one problem for each kind of mistake."""

    file: str
    _names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, found: FoundImage) -> None:
        """Note what was wrong with `name`, if anything."""
        for mistake in found.mistakes:
            self._names.setdefault(mistake, []).append(name)

    def problems(self) -> list[Problem]:
        """One for each kind of mistake, with the first name."""
        out = []
        for mistake, names in self._names.items():
            more = f" ({counted(len(names), 'name')} like it)" if len(names) > 1 else ""
            reason = f"{shown(names[0], 200)}: {mistake}{more}"
            out.append(Problem(ProblemCode.UNFOUND_PATH, self.file, None, reason))
        return out


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
