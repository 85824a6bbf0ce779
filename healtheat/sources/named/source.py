"""Label files that name classes, and their images, as a source. A format gives the reader of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import is_folder, is_image, normal, relative
from healtheat.core.text import counted, shown
from healtheat.sources.base import Edits, LabelFile, LabelledImage, Record, SourceOptions
from healtheat.sources.files import split_of, walk
from healtheat.sources.find_image import FoundImage, ImageFinder, NotFound, OddNames, loose_parts
from healtheat.sources.named.ids import ClassIds, choose_ids, read_names
from healtheat.sources.named.sheet import Document, NotThisFormat, Sheet

_STEM = "is not there; the image that is called like its label file is taken"


@dataclass(frozen=True, slots=True)
class NamedReader:
    """How a format reads one of its files. `read` raises NotThisFormat or OSError."""

    kind: str
    given: str  # as in LabelFormat
    suffix: str
    read: Callable[[Path, str], Document]  # a file and the name that problems carry
    splits: Callable[[Path], Iterator[tuple[Path, str, Path]]] | None = None
    # of a folder: (list, its split, the folder of label files it speaks of)


class NamedSource:
    """Label files of one format, in a folder at any depth or a single one, and their images.

    All files are read before the first image is given, for only then all classes are known. Class ids are
    chosen by `choose_ids`; names are exactly as written. In a folder, images that no file names come out as
    "unlabelled". With `labels_only` no image needs to be there.
    """

    edits: Edits = "none"

    def __init__(self, data: Path, reader: NamedReader, options: SourceOptions) -> None:
        """Raises InputError if something is not there; label files are read by `read`."""
        self.data, self.kind = data, reader.kind
        self.names: dict[int, str] = {}
        self.ids_from = ""
        self._reader = reader
        self._options = options
        if options.images is not None and not is_folder(options.images):
            raise InputError(
                f"{options.images}: not a folder; give the folder of the images that {data} labels"
            )
        if options.names is not None:
            read_names(options.names)  # an error now, not after everything was read
        path = normal(data)
        self._is_folder = is_folder(data)
        home = path if self._is_folder else path.parent
        self._path = path
        self._images = home if options.images is None else normal(options.images)
        self.root = next((f for f in (home, home.parent) if self._images.is_relative_to(f)), self._images)

    def read(self) -> Iterator[Record]:
        """Label files sorted by path with their problems, then images sorted by path. Raises InputError."""
        bad: list[Problem] = []
        files = self._files(bad)
        documents = list(self._documents(files.labels, bad))
        yield from bad
        ids = self._choose(documents)
        self.names.update(ids.names)
        self.ids_from = ids.told_by
        given = _Given(self, files, ids.lookup())
        yield from self._splits(given)
        for document in documents:
            yield LabelFile(document.file, document.sha256, document.size)
            yield from document.problems
            yield from given.take(document)
        if not given.claimed:
            raise InputError(self._nothing(files))
        yield from given.images()

    def _files(self, bad: list[Problem]) -> _Files:
        def on_bad(path: Path, reason: str) -> None:
            where = shown(relative(path, self.root), 1000)
            bad.append(Problem(ProblemCode.BAD_PATH, where, None, reason))

        if not self._is_folder:
            return _Files([self._path], None)
        found = list(walk(self._path, on_bad))
        if not self._images.is_relative_to(self._path):
            found += walk(self._images, on_bad)
        labels = [path for path in found if path.suffix.lower() == self._reader.suffix]
        images = [path for path in found if is_image(path.name)]
        if not labels:
            raise InputError(f"{self.data}: no {self._reader.suffix} file in it; give {self._reader.given}")
        if not images and not self._options.labels_only:
            raise InputError(
                f"{self.data}: {counted(len(labels), 'label file')} ({self._reader.kind}) but no image; give "
                "the folder that holds both, or name the folder of the images"
            )
        return _Files(labels, images)

    def _documents(self, paths: list[Path], bad: list[Problem]) -> Iterator[Document]:
        read, first = 0, ""
        for path in paths:
            file = relative(path, self.root)
            reason, line = "", None
            try:
                document = self._reader.read(path, file)
            except NotThisFormat as error:
                reason, line = str(error), error.line
            except OSError as error:
                reason = f"cannot be read ({error.strerror})"
            if not reason:
                read += 1
                yield document
                continue
            first = first or f"{path}{'' if line is None else f':{line + 1}'}: {reason}"
            bad.append(Problem(ProblemCode.BAD_LABEL_FILE, file, line, reason))
        if not read:
            raise InputError(first)

    def _choose(self, documents: list[Document]) -> ClassIds:
        declared: dict[int, str] = {}
        by = ""
        for document in documents:
            by = by or (document.file if document.classes else "")
            known = set(declared.values())
            for ident, name in (document.classes or {}).items():
                if name not in known:
                    declared[ident if ident not in declared else max(declared) + 1] = name
        labels = (box.label for document in documents for sheet in document.sheets for box in sheet.boxes)
        return choose_ids(labels, self._options.names, declared, by)

    def _splits(self, given: _Given) -> Iterator[Record]:
        if self._reader.splits is None or not self._is_folder:
            return
        for path, split, folder in self._reader.splits(self._path):
            yield from given.take_list(path, split, folder)

    def _nothing(self, files: _Files) -> str:
        return (
            f"{self.data}: {counted(len(files.labels), 'label file names', 'label files name')} no image "
            f"that is in {self._images}; give the folder that holds both, or name the folder of the images"
        )


@dataclass(frozen=True, slots=True)
class _Files:
    labels: list[Path]
    images: list[Path] | None  # None: only looked for when a name is not found at its place


class _Given:
    """The images of all documents, each with the first sheet that speaks of it."""

    def __init__(self, source: NamedSource, files: _Files, ids: Mapping[str, tuple[int, ...]]) -> None:
        self._root = source.root
        self._only = source._options.labels_only
        self._ids = ids
        self._files = files
        images = source._images

        def listed() -> Iterator[Path]:
            every = files.images if files.images is not None else walk(images, lambda path, reason: None)
            return (path for path in every if is_image(path.name))

        self._finder = ImageFinder((source.root, images), listed)
        self._by_stem: dict[str, list[Path]] | None = None
        self._split_of: dict[tuple[Path, str], str] = {}  # folder of label files, stem → split
        self.claimed: dict[Path, tuple[str, Sheet]] = {}

    def take_list(self, path: Path, split: str, folder: Path) -> Iterator[Record]:
        """The stems that a list of a split names (`stem`, or `stem 1`), for the label files in `folder`."""
        from healtheat.core.files import Unreadable, read_small

        file = relative(path, self._root)
        try:
            content = read_small(path, 64 * 2**20)
        except Unreadable as error:
            yield Problem(ProblemCode.BAD_LABEL_FILE, file, None, f"list of a split {error}")
            return
        yield LabelFile(file, content.sha256, content.size)
        for number, line in enumerate(content.data.decode("utf-8-sig", "replace").splitlines()):
            stem = line.strip()
            if stem[-2:] in (" 1", " 0") or stem[-3:] == " -1":
                stem = stem.rpartition(" ")[0].strip()
            if stem and self._split_of.setdefault((folder, stem), split) != split:
                reason = (
                    f"{shown(stem)} is in {split} and in {self._split_of[folder, stem]}; the first is kept"
                )
                yield Problem(ProblemCode.LEAK, file, number, reason)

    def take(self, document: Document) -> Iterator[Problem]:
        """Claim the images of `document`; gives its problems."""
        home = (self._root / document.file).parent
        odd = OddNames(document.file)
        for sheet in document.sheets:
            split = self._split(document.file, home, sheet)
            found = self._find(sheet, home, split)
            lost = f"; its {counted(sheet.entries, 'box is', 'boxes are')} left out" if sheet.entries else ""
            if isinstance(found, NotFound):
                name = "/".join(loose_parts(sheet.image))
                yield Problem(found.code, document.file, None, found.reason + lost, name)
                continue
            odd.add(sheet.image, found)
            image = relative(found.path, self._root)
            if found.path in self.claimed:
                other = self.claimed[found.path][0]
                reason = f"image {shown(image)} is labelled in {other} already{lost}"
                yield Problem(ProblemCode.REPEATED_IMAGE, document.file, None, reason, image)
                continue
            self.claimed[found.path] = (document.file, replace(sheet, split=split))
            yield from (replace(problem, image=image) for problem in sheet.problems)
            yield from self._unknown(document.file, sheet, image)
        yield from odd.problems()

    def _split(self, file: str, home: Path, sheet: Sheet) -> str:
        listed = self._split_of.get((home, sheet.stem), "") if sheet.stem else ""
        return sheet.split or listed or split_of(PurePosixPath(file).parts[:-1])

    def _find(self, sheet: Sheet, home: Path, split: str) -> FoundImage | NotFound:
        if self._only:
            parts = loose_parts(sheet.image)
            place = self._root.joinpath(*parts)
            return FoundImage(place) if parts else NotFound(ProblemCode.BAD_PATH, "the image has no name")
        named = self._finder.find(sheet.image, home, split)
        if not sheet.stem or (isinstance(named, FoundImage) and named.path.stem == sheet.stem):
            return named
        twin = self._of_stem(sheet.stem, home, split)
        if twin is None or (isinstance(named, FoundImage) and named.path == twin):
            return named
        if isinstance(named, NotFound):
            return FoundImage(twin, (_STEM,) if sheet.image else ())
        reason = (
            f"names the image {shown(sheet.image)}, but {twin.name} is called like it; which is not clear"
        )
        return NotFound(ProblemCode.AMBIGUOUS_IMAGE, reason)

    def _of_stem(self, stem: str, home: Path, split: str) -> Path | None:
        """The image called `stem`: in the folder of the label file, else the only one anywhere."""
        if self._by_stem is None:
            self._by_stem = {}
            every = self._files.images if self._files.images is not None else []
            for image in every:
                self._by_stem.setdefault(image.stem, []).append(image)
        same = [p for p in self._by_stem.get(stem, []) if self._finder.may_be(p, home, split)]
        near = [image for image in same if image.parent == home] or [
            image for image in same if image.parent.parent == home.parent
        ]
        chosen = near or same
        return chosen[0] if len(chosen) == 1 else None

    def _unknown(self, file: str, sheet: Sheet, image: str) -> Iterator[Problem]:
        for box in sheet.boxes:
            ids = self._ids.get(box.label, ())
            if len(ids) != 1:
                of = (
                    f"is that of the ids {', '.join(map(str, ids))}"
                    if ids
                    else "is absent from the class names"
                )
                reason = f"entry {box.line}: class {shown(box.label)!r} {of}"
                yield Problem(ProblemCode.UNKNOWN_CLASS, file, box.line, reason, image)

    def images(self) -> Iterator[LabelledImage]:
        """Every image, sorted by path."""
        every = chain(self.claimed, self._files.images or ())
        for path in sorted(set(every), key=Path.as_posix):
            file, sheet = self.claimed.get(path, ("", None))
            image = relative(path, self._root)
            folders = PurePosixPath(image).parts[:-1]
            if sheet is None:
                yield LabelledImage(image, path, split_of(folders), "unlabelled", "", Boxes.of([], [], []))
                continue
            boxes = [box for box in sheet.boxes if len(self._ids.get(box.label, ())) == 1]
            yield LabelledImage(
                path=image,
                file=path,
                split=sheet.split or split_of(folders),
                status="labelled" if sheet.entries else "empty",
                label_path=file,
                boxes=Boxes.of(
                    [box.line for box in boxes],
                    [self._ids[box.label][0] for box in boxes],
                    [box.xywhn for box in boxes],
                    [box.confidence for box in boxes],
                    [box.corners for box in boxes],
                ),
                size_px=sheet.size_px,
            )
