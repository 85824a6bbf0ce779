"""Which images the splits of a data set name, each how often: without reading labels or images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.paths import is_any_image, is_folder, is_image, relative
from healtheat.core.text import shown
from healtheat.sources.base import LabelFile
from healtheat.sources.files import split_of, walk
from healtheat.sources.outside import Bounds
from healtheat.sources.yolo.data_yaml import Split
from healtheat.sources.yolo.image_list import listed_images

NEEDED = ("train", "val")  # what training does not do without


@dataclass(frozen=True, slots=True)
class Member:
    """One image: where it lies, what it is called (relative to the root), and its split."""

    path: str
    image: str
    split: str


@dataclass(slots=True)
class Members:
    """The images of all splits.

    `images` has each once, in the split that names it first; `named` says what every split names, repeats
    included, without images of another split (leaks) unless the split has no other; nothing of a train or val
    that holds no image. `folders` are the folders
    that splits name, `lists` the files of lists.
    """

    records: list[LabelFile | Problem] = field(default_factory=list)
    images: list[Member] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    links: dict[Path, Path] = field(default_factory=dict)  # of `folders` those that links lead to → the link
    lists: set[str] = field(default_factory=set)
    walked: set[str] = field(default_factory=set)  # what could not be walked


class Roots:
    """Paths of a data set. Splits that are links count as what they lead to, as the trainer takes them."""

    def __init__(self, root: Path) -> None:
        self.root, self.real = root, Path(os.path.realpath(root))

    def relative(self, path: Path) -> str:
        """`path` relative to the root, POSIX; absolute where it lies elsewhere."""
        name = relative(path, self.real)
        return relative(path, self.root) if Path(name).is_absolute() else name


def gather(
    splits: tuple[Split, ...],
    roots: Roots,
    data: str,
    *,
    darknet: bool = False,
    bounds: Bounds | None = None,
) -> Members:
    """What the splits name, in their order, images sorted by path. `data` is what problems call data.yaml.

    `darknet`: lists are those of Darknet (see `listed_images`). Raises InputError for a list that cannot be
    read, or a
    place beyond `bounds`.
    """
    return _Gathering(roots, data, darknet, bounds).all(splits)


@dataclass(frozen=True, slots=True)
class _Named:
    """An image as a split names it: by a line of a list, or by itself in a folder."""

    path: Path
    split: str
    by: str
    line: int | None


class _Gathering:
    def __init__(self, roots: Roots, data: str, darknet: bool, bounds: Bounds | None) -> None:
        self._roots, self._data, self._darknet = roots, data, darknet
        self._bounds = bounds
        self._found = Members()
        self._first: dict[str, str] = {}  # path → split
        self._kept: dict[str, list[_Named]] = {}  # what places hold that one split names several times

    def all(self, splits: tuple[Split, ...]) -> Members:
        for name in dict.fromkeys(split.name for split in splits):
            shared: list[_Named] = []
            own: dict[str, int] = {}
            mine = [(split, os.path.realpath(split.path)) for split in splits if split.name == name]
            often, met = Counter(real for _, real in mine), Counter[str]()
            for split, real in mine:
                met[real] += 1
                self._take(
                    self._entries_once(split, real, often[real]), split, own, shared, tell=met[real] < 3
                )
            self._kept.clear()
            self._tell_shared(shared, own, splits)
            if name in NEEDED and not own and not shared:
                self._tell_empty(next(split for split in splits if split.name == name))
        return self._found

    def _entries_once(self, split: Split, real: str, often: int) -> Iterable[_Named]:
        """The entries of a split; those of a place that is named `often` are looked up once."""
        if often == 1:
            return self._entries(split)
        if real not in self._kept:
            self._kept[real] = list(self._entries(split))
        return self._kept[real]

    def _take(
        self,
        entries: Iterable[_Named],
        split: Split,
        own: dict[str, int],
        shared: list[_Named],
        *,
        tell: bool,
    ) -> None:
        repeated: list[_Named] = []
        total = 0
        for named in entries:
            total += 1
            path = str(named.path)
            first = self._first.setdefault(path, named.split)
            image = self._roots.relative(named.path)
            if first != named.split:
                shared.append(named)
                continue
            if path in own:
                repeated.append(named)
            else:
                self._found.images.append(Member(path, image, named.split))
            own[path] = own.get(path, 0) + 1
            self._found.named.setdefault(named.split, []).append(image)
        if repeated and tell:
            by, line = repeated[0].by, repeated[0].line
            if line is None:
                by, line = self._data, split.line
            reason = (
                f"{len(repeated)} of {total} images are given twice or more often, first "
                f"{shown(self._roots.relative(repeated[0].path), 200)}; each is read once, and lists to "
                "train on name it as often as this"
            )
            self._found.records.append(Problem(ProblemCode.REPEATED_IMAGE, by, line, reason))

    def _tell_empty(self, split: Split) -> None:
        name = split.name or ""
        self._found.named[name] = []
        place = shown(self._roots.relative(split.path), 200)
        reason = (
            f"split {name} ({place}) holds no image, and training needs train and val; put images there, or "
            "correct the path"
        )
        self._found.records.append(Problem(ProblemCode.EMPTY_SPLIT, self._data, split.line, reason))

    def _tell_shared(self, shared: list[_Named], own: dict[str, int], splits: tuple[Split, ...]) -> None:
        """Images of a split that an earlier split names: one problem where that is all of it."""
        if not shared:
            return
        name, others = shared[0].split, {self._first[str(named.path)] for named in shared}
        if own:
            for named in dict.fromkeys(shared):
                image = self._roots.relative(named.path)
                first = self._first[str(named.path)]
                reason = f"image is in split {first} too (a leak); kept there, not in {name}"
                reason = reason if named.by == image else f"{image}: {reason}"
                self._found.records.append(Problem(ProblemCode.LEAK, named.by, named.line, reason, image))
            return
        images = [self._roots.relative(named.path) for named in shared]
        self._found.named[name] = images
        line = next((split.line for split in splits if split.name == name), None)
        earlier = " and ".join(sorted(others))
        count = len(set(images))
        all_ = f"all {count} images of split {name} are" if count > 1 else f"the one image of split {name} is"
        reason = f"{all_} in {earlier} too; read once, in {earlier}; both splits stay as they are"
        self._found.records.append(Problem(ProblemCode.SAME_SPLIT, self._data, line, reason))

    def _entries(self, split: Split) -> Iterator[_Named]:
        real = Path(os.path.realpath(split.path))
        if not is_folder(real):
            yield from self._listed(split, real)
            return
        self._found.folders.append(real)
        if real != split.path:
            self._found.links.setdefault(real, split.path)
        for path in walked(real, self._roots, self._found.walked, self._bounds):
            if isinstance(path, Problem):
                self._found.records.append(path)
                continue
            image = self._roots.relative(path)
            if is_image(path.name):
                name = split.name
                if name is None:
                    name = split_of(path.relative_to(real).parts[:-1])
                yield _Named(path, name, image, None)
            elif is_any_image(path.name):
                reason = f"YOLO does not train on {path.suffix} files; convert it to PNG"
                self._found.records.append(Problem(ProblemCode.UNTRAINED_FORMAT, image, None, reason))

    def _listed(self, split: Split, real: Path) -> Iterator[_Named]:
        file = relative(split.path, self._roots.root)
        listed = listed_images(real, self._roots.real, file, darknet=self._darknet)
        if str(real) not in self._found.lists:  # train and val may name one list
            self._found.records.append(LabelFile(file, listed.content.sha256, listed.content.size))
            self._found.records += listed.problems
        self._found.lists.add(str(real))
        if self._bounds is not None:
            self._bounds.check(folder / "x" for folder in dict.fromkeys(p.parent for p, _ in listed.images))
        for path, line in listed.images:
            yield _Named(path, split.name or "", file, line)


def walked(
    folder: Path, roots: Roots, told: set[str], bounds: Bounds | None = None
) -> Iterator[Path | Problem]:
    """Files below `folder`, and what cannot be walked, unless it is among `told`, where it is then added."""
    bad: list[Problem] = []

    def on_bad(path: Path, reason: str) -> None:
        if str(path) not in told:
            told.add(str(path))
            bad.append(Problem(ProblemCode.BAD_PATH, shown(roots.relative(path), 1000), None, reason))

    for path in walk(folder, on_bad, bounds):
        yield from bad
        bad.clear()
        yield path
    yield from bad
