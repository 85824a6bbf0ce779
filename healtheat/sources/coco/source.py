"""COCO data sets as a source: one JSON, one JSON an image, or AI Hub's folders with one JSON a pill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, is_folder, is_image, normal, relative
from healtheat.core.text import counted, shown
from healtheat.sources.base import Edits, LabelFile, LabelFormat, Record, Source, SourceOptions
from healtheat.sources.coco.codes import Codes
from healtheat.sources.coco.file import BadFile, CocoFile, load_coco
from healtheat.sources.coco.merge import Merge
from healtheat.sources.files import first_files, split_of, walk
from healtheat.sources.find_image import FoundImage, ImageFinder, NotFound, OddNames, loose_parts


class CocoSource:
    """COCO labels and their images.

    `data` is one JSON, or a folder with any number of them at any depth. In a folder, all annotations that
    name the same image are its boxes, whichever file they stand in, and images that no file names come out as
    "unlabelled". With one JSON the images are those it lists; they are looked for beside it and in the usual
    places. `images` says where the images are, if elsewhere. Category ids stay as they are.
    """

    kind = "coco"
    edits: Edits = "annotations"

    def __init__(self, data: Path, images: Path | None = None) -> None:
        """Raises InputError if `data` or `images` is not there, or one JSON is no COCO file: it is read here.

        The files of a folder are read by `read`.
        """
        self.data = data
        self.names: dict[int, str] = {}
        if images is not None and not is_folder(images):
            raise InputError(f"{images}: not a folder; give the folder of the images that {data} labels")
        if not is_file(data) and not is_folder(data):
            raise InputError(f"{data}: not found; give a COCO JSON file or a folder of them")
        self._path = normal(data)
        self._file = None if is_folder(data) else load_coco(self._path)
        home = self._path if self._file is None else self._path.parent
        self._images = None if images is None else normal(images)
        if self._file is not None:
            self.names.update(self._file.names)
            self._images = self._images or _base_of(self._path, self._file)
        # One root above images and labels gives short paths; they nearly always lie side by side.
        found = self._images or home
        self.root = next((f for f in (home, home.parent) if found.is_relative_to(f)), found)

    def read(self) -> Iterator[Record]:
        """Label files sorted by path, with their problems, then images sorted by path.

        `line` is the index in the `annotations` array. Where several files label one image, it goes on from
        the length of that array in the files before, in sorted order. Raises InputError if no image of the
        labels can be found.
        """
        if self._file is None:
            yield from self._read_folder()
        else:
            yield from self._read_file(self._file, self._images or self.root)

    def _read_file(self, coco: CocoFile, base: Path) -> Iterator[Record]:
        file = relative(self._path, self.root)
        yield LabelFile(file, coco.sha256, coco.size)
        merge, odd, codes = Merge(self.root), OddNames(file), Codes(file)
        codes.add(coco)
        yield from codes.problems()
        finder = ImageFinder((base,), lambda: _images_in(base))
        path_of: dict[str, str] = {}
        for image in coco.images:  # what is not found is named by where it should be
            path_of[image.file_name] = relative(base.joinpath(*loose_parts(image.file_name)), self.root)
        yield from self._claim_images(coco, file, finder, base, merge, odd, path_of)
        if not merge.claimed:
            raise InputError(
                f"{self.data}: none of its images is in {base}; check the folder and the file names"
            )
        merge.add(coco.boxes, file)
        for problem in coco.problems:
            yield replace(problem, file=file, image=path_of.get(problem.image, problem.image))
        yield from merge.images()

    def _read_folder(self) -> Iterator[Record]:
        bad: list[Problem] = []

        def on_bad(path: Path, reason: str) -> None:
            where = shown(relative(path, self.root), 1000)
            bad.append(Problem(ProblemCode.BAD_PATH, where, None, reason))

        files = list(walk(self._path, on_bad))
        labels = [path for path in files if path.suffix.lower() == ".json"]  # none among images elsewhere
        if self._images is not None and not self._images.is_relative_to(self._path):
            files += walk(self._images, on_bad)
        images = [path for path in files if is_image(path.name)]
        if not labels:
            raise InputError(f"{self.data}: no JSON file in it; give a COCO JSON file or a folder of them")
        if not images:
            raise InputError(
                f"{self.data}: no image in it; give the folder that holds both images and JSON files, "
                "or name the folder of the images"
            )
        yield from bad
        merge = Merge(self.root)
        homes = {path.parent for path in labels}
        finder = ImageFinder((self.root, self._images or self.root), lambda: images, homes)
        codes, lost = Codes(relative(labels[0], self.root)), []
        for path in labels:
            for record in self._read_one_of_many(path, finder, merge, codes):
                if isinstance(record, Problem) and not merge.claimed:
                    lost.append(record)
                yield record
        if not merge.claimed:
            raise InputError(f"{self.data}: {_why_none(lost, len(labels))}")
        yield from codes.problems()
        for path in images:
            if path not in merge.claimed:
                merge.claim_unlabelled(path, split_of(relative(path, self.root).split("/")[:-1]))
        yield from merge.images()

    def _read_one_of_many(
        self, path: Path, finder: ImageFinder, merge: Merge, codes: Codes
    ) -> Iterator[Record]:
        file = relative(path, self.root)
        try:
            coco = load_coco(path, file=file)
        except BadFile as error:
            yield Problem(ProblemCode.BAD_LABEL_FILE, file, error.line, error.reason)
            return
        yield LabelFile(file, coco.sha256, coco.size)
        odd = OddNames(file)
        codes.add(coco)
        path_of: dict[str, str] = {}
        for ident, name in coco.names.items():
            if self.names.setdefault(ident, name) != name:
                other = shown(self.names[ident])
                reason = f"category {ident} is called {shown(name)} here, {other} before"
                yield Problem(ProblemCode.CLASS_NAME_CONFLICT, file, None, reason)
        yield from self._claim_images(coco, file, finder, path.parent, merge, odd, path_of)
        merge.add(coco.boxes, file)
        for problem in coco.problems:
            yield replace(problem, image=path_of.get(problem.image, problem.image))

    def _claim_images(
        self,
        coco: CocoFile,
        file: str,
        finder: ImageFinder,
        beside: Path,
        merge: Merge,
        odd: OddNames,
        path_of: dict[str, str],
    ) -> Iterator[Problem]:
        """Find the images of `file`; `path_of` (name → path) gets those that are there."""
        for number, image in enumerate(coco.images):
            found = finder.find(image.file_name, beside, split_of_file(file))
            if isinstance(found, NotFound):
                reason = f"images: {found.reason}{_left_out(coco, number)}"
                missing = path_of.get(image.file_name, "/".join(loose_parts(image.file_name)))
                yield Problem(found.code, file, None, reason, missing)
                continue
            odd.add(image.file_name, found)
            path_of[image.file_name] = relative(found.path, self.root)
            if conflict := merge.claim(found.path, number, coco, split_of_file(file)):
                yield Problem(ProblemCode.SIZE_CONFLICT, file, None, conflict, path_of[image.file_name])
        yield from odd.problems()


def _why_none(problems: list[Problem], files: int) -> str:
    """Why no image is named by any of the JSON `files`."""
    unread = [p for p in problems if p.code == ProblemCode.BAD_LABEL_FILE]
    if unread:
        rest = "" if len(unread) == files else "; the others name no image that is there"
        return f"{len(unread)} of its {counted(files, 'JSON file')} cannot be read: {unread[0]}{rest}"
    first = f"; the first of {counted(len(problems), 'problem')}: {problems[0]}" if problems else ""
    return f"its JSON files name no image that is there{first or '; check the file names'}"


def _images_in(folder: Path) -> Iterator[Path]:
    return (path for path in walk(folder, lambda path, reason: None) if is_image(path.name))


def _left_out(coco: CocoFile, image: int) -> str:
    n = int(coco.entries[image])
    return f"; its {counted(n, 'box is', 'boxes are')} left out" if n else ""


def split_of_file(file: str) -> str:
    """The split a COCO file's path tells: `train/_annotations.coco.json`, `instances_val2017.json`, or ""."""
    *folders, name = file.split("/")
    return split_of(folders) or split_of(part for f in (name, *folders) for part in re.split(r"[_.\-]", f))


def _base_of(path: Path, coco: CocoFile) -> Path:
    """The folder that the file names of `coco` count from, told by the first images that are there."""
    home = path.parent
    ending = path.stem.rpartition("_")[2]  # instances_train2017.json belongs to train2017/
    places = [home, home / "images", home / path.stem, home / ending, home.parent / "images"]
    places += [
        home.parent / "images" / ending,
        home.parent / ending,
        home.parent / f"{ending}_images",
        home.parent,
    ]
    for image in coco.images[:100]:
        for place in places:
            if is_file(place.joinpath(*loose_parts(image.file_name))):
                return place
    finder = ImageFinder((home,), lambda: _images_in(home))
    split = split_of_file(path.name)
    if any(isinstance(finder.find(i.file_name, home, split), FoundImage) for i in coco.images[:100]):
        return home
    if not coco.images:
        raise InputError(f"{path}: it lists no image that can be used; check its list 'images'")
    first = shown(coco.images[0].file_name)
    raise InputError(
        f"{path}: images not found (the first is {first}; looked beside the file, in images/, in {ending}/); "
        "name the folder of the images"
    )


def _recognises(data: Path) -> bool:
    files = first_files(data) if is_folder(data) else [data]
    return any(file.suffix.lower() == ".json" for file in files)


def _open(data: Path, options: SourceOptions) -> Source:
    return CocoSource(data, options.images)


COCO = LabelFormat(
    kind=CocoSource.kind,
    given="a COCO .json or a folder of COCO JSON files",
    recognises=_recognises,
    open=_open,
    takes=frozenset({"images"}),
)
