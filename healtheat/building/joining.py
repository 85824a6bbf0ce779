"""How a source joins an index: where its ids start, how its paths read there, and what stays out."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from healtheat.building.images import ReadImage
from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.text import counted
from healtheat.index import Index
from healtheat.index.batches import path_in
from healtheat.index.manifest import Counts

Labels = tuple[tuple[int, str], ...]  # sorted (class id, crop key in hex): the boxes of one image


def _as_it_is(path: str) -> str:
    return path


@dataclass(frozen=True, slots=True)
class Joining:
    """`counts` are the rows that are there, and so the first ids of new ones. `names` are the class names
    there. `named` gives a path of the source its name in the index, absolute outside of `root` (None: the
    source's own).
    """

    batch_id: int = 0
    counts: Counts | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    named: Callable[[str], str] = _as_it_is
    root: Path | None = None
    held: Held | None = None

    def new_names(self, names: Mapping[int, str]) -> dict[int, str]:
        """Those of `names` whose class the index has no name for.

        The id in digits is no name: a folder without a data.yaml knows no other. Raises InputError where a
        class has another name there, or a name another class.
        """
        there = {i: _plain(name) for i, name in self.names.items() if name != str(i)}
        ids = {name: class_id for class_id, name in there.items()}
        for class_id, name in sorted(names.items()):
            plain = _plain(name)
            if name == str(class_id) or there.get(class_id) == plain:
                continue
            if class_id in there:
                raise _disagreement(f"class {class_id} is {self.names[class_id]!r} in the index and {name!r}")
            if plain in ids:
                raise _disagreement(f"{name!r} is class {ids[plain]} in the index and class {class_id}")
        return {class_id: name for class_id, name in names.items() if class_id not in self.names}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _disagreement(what: str) -> InputError:
    return InputError(
        f"{what} in what is to be added; ids and names must agree (where labels know classes by name, ",
        Argument("names", "FILE"),
        " gives their ids)",
    )


class Held:
    """What an index holds, to tell images it has already. Counts what it was asked about.

    `known` images are there with the same boxes; `refused` ones with other labels, or under their path is
    another image. `expected` is path → SHA-256 for images that must be as they were judged.
    """

    def __init__(self, index: Index, expected: Mapping[str, str] | None = None) -> None:
        rows = index.sql("SELECT image_id, path, sha256 FROM images ORDER BY image_id").to_pydict()
        self._path = dict(zip(rows["image_id"], rows["path"], strict=True))
        self._sha256 = dict(zip(rows["path"], rows["sha256"], strict=True))
        self._images: defaultdict[str, list[int]] = defaultdict(list)
        for image_id, sha256 in zip(rows["image_id"], rows["sha256"], strict=True):
            if sha256:
                self._images[sha256].append(image_id)
        told = index.sql("SELECT code, file, line, reason FROM problems").to_pylist()
        self._problems = {tuple(row.values()) for row in told}
        self._index = index
        self._expected = expected or {}
        self.known = 0
        self.refused = 0

    def knows(self, problem: Problem) -> bool:
        """Whether the index has this very problem: its image was known, and is not told twice."""
        return (problem.code.value, problem.file, problem.line, problem.reason) in self._problems

    def why_not(self, read: ReadImage, path: str) -> Problem | str | None:
        """None for an image to take in under `path`, "" for a known one, else what keeps it out."""
        wanted = self._expected.get(read.record.path)
        if wanted is not None and read.sha256 and read.sha256 != wanted:
            return self._refuse(read, path, "the image changed since it was judged")
        if read.sha256 in self._images:
            return self._again(read, path)
        there = self._sha256.get(path)
        if there is None:
            return None
        if there == read.sha256:  # neither of them could be read
            self.known += 1
            return ""
        return self._refuse(read, path, "the index holds another image under this path")

    def _again(self, read: ReadImage, path: str) -> Problem | str:
        """The very image is there: with these boxes, or with others."""
        ids = self._images[read.sha256]
        classes = read.record.boxes.class_id.tolist()
        own = tuple(sorted(zip(classes, (key.hex() for key in read.keys), strict=True))) if read.keys else ()
        if read.record.status == "unlabelled" or any(self._labels(image_id) == own for image_id in ids):
            self.known += 1
            return ""
        boxes = counted(len(self._labels(ids[0])), "box", "boxes")
        return self._refuse(
            read, path, f"the index holds this image with other labels, as {self._path[ids[0]]} with {boxes}"
        )

    def _labels(self, image_id: int) -> Labels:
        query = "SELECT class_id, crop_key FROM boxes WHERE image_id = ?"
        rows = self._index.sql(query, [image_id]).to_pydict()
        return tuple(sorted(zip(rows["class_id"], rows["crop_key"], strict=True)))

    def _refuse(self, read: ReadImage, path: str, why: str) -> Problem:
        self.refused += 1
        lost = len(read.record.boxes)
        are = counted(lost, "labelled box is", "labelled boxes are")
        reason = f"{why}; it is left out (its {are} not added)" if lost else f"{why}; it is left out"
        return Problem(ProblemCode.HELD_IMAGE, path, None, reason)


def joining(
    index: Index, batch_id: int, root: Path, expected: Mapping[str, str] | None = None
) -> tuple[Joining, Held]:
    """How a batch whose paths are relative to `root` joins `index`; for `expected` see `Held`."""
    index_root, root = Path(index.manifest.source.root), root.absolute()
    held = Held(index, expected)
    into = Joining(
        batch_id=batch_id,
        counts=index.manifest.counts,
        names=index.names,
        named=lambda path: path_in(index_root, root, path),
        root=index_root,
        held=held,
    )
    return into, held
