"""A detector's predictions beside the labels: found by the image's name, read as strictly as labels are.

A file that could belong to two images, or an image that two files could belong to, is never joined: the
image is judged as if it had none, and the reason says so.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from healtheat.core.boxes import Boxes, Images
from healtheat.core.errors import Argument, InputError
from healtheat.core.paths import relative
from healtheat.core.text import shown
from healtheat.sources.files import walk
from healtheat.sources.yolo.labels import read_labels

MAX_FILES = 5_000_000
MAX_PREDICTIONS = 3000  # per image; detectors stop at 300
MAKE_THEM = "`yolo predict save_txt=True save_conf=True` writes one .txt file per image"
_NO_NEWS = {"images", "labels"}  # folders that YOLO exchanges for each other

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """`file[i]` is the prediction file of image i, or None and `why[i]` says why there is none.

    `files` is how many there are, and `left` how many of them belong to no image.
    """

    file: tuple[Path | None, ...]
    why: tuple[str, ...]
    files: int
    left: int

    @property
    def images(self) -> int:
        """How many images have a prediction file."""
        return sum(file is not None for file in self.file)


@dataclass(frozen=True, slots=True)
class FilePredictions:
    """What one file says: `boxes` with confidences, and why it is not the whole truth ("" if it is)."""

    boxes: Boxes
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a detector says of p images: `of[i]` of image i, or None and `why[i]` says why nothing."""

    of: tuple[FilePredictions | None, ...]
    why: tuple[str, ...]


class PredictionFolder:
    """Predictions as YOLO text files (`class x y w h confidence`) below `folder`.

    The files are listed here, once; InputError if there are none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # listed again at the next scoring, from anywhere
        self._files = prediction_files(self.folder)

    def join(self, images: Sequence[str]) -> Joined:
        """Which file belongs to which of `images` (paths in the data set). InputError where none does."""
        return join(self.folder, self._files, images)

    def read(self, images: Images, names: Collection[int]) -> Predictions:
        """The predictions on `images`, but for those that are unreadable or not labelled.

        `names` are the known class ids, none known if empty. InputError if no file belongs to an image, or
        no line of any file can be used.
        """
        joined = self.join([str(path) for path in images.path])
        found: list[FilePredictions | None] = []
        why = list(joined.why)
        for place, (file, status) in enumerate(zip(joined.file, images.status, strict=True)):
            judged = status not in ("unreadable", "unlabelled")
            if file is not None and not judged:
                why[place] = f"the image is {status}"
            found.append(self._said(file, names or None) if file is not None and judged else None)
        flaws = [said.flaw for said in found if said is not None and said.flaw]
        if flaws and not any(said is not None and len(said.boxes) for said in found):
            raise InputError(
                Argument("predictions"), f" {self.folder}: no line of any file can be used; {flaws[0]}"
            )
        return Predictions(tuple(found), tuple(why))

    def _said(self, file: Path, names: Collection[int] | None) -> FilePredictions:
        return read(file, self.folder, names)


def prediction_files(folder: Path) -> list[Path]:
    """All .txt files below `folder`, sorted. InputError if it is no folder, or holds none or far too many."""
    if not folder.is_dir():
        raise InputError(Argument("predictions"), f" {folder}: no such folder; {MAKE_THEM}")
    found: list[Path] = []
    for path in walk(folder, lambda path, reason: None):  # a name no list could hold belongs to no image
        if path.suffix.lower() == ".txt":
            found.append(path)
            if len(found) > MAX_FILES:
                raise InputError(
                    Argument("predictions"),
                    f" {folder}: more than {MAX_FILES} files; name a folder of one run",
                )
    if not found:
        raise InputError(Argument("predictions"), f" {folder}: holds no .txt file; {MAKE_THEM}")
    return found


def join(folder: Path, files: Sequence[Path], images: Sequence[str]) -> Joined:
    """Which of `files` (below `folder`) belongs to which of `images` (paths in the data set).

    By the name without its suffix. Where several images or files share that, by the folders too (`images` and
    `labels` left out): equal, or else one the end of the other in just one way. InputError if no image has
    a file.
    """
    image_keys = [_key(PurePosixPath(path)) for path in images]
    file_keys = [_key(PurePosixPath(relative(file, folder))) for file in files]
    images_of, files_of = _by_stem(image_keys), _by_stem(file_keys)
    chosen: list[Path | None] = [None] * len(images)
    why = ["no prediction file has the name of this image"] * len(images)
    used: set[int] = set()
    for stem, rows in images_of.items():
        numbers = files_of.get(stem, [])
        if len(rows) == len(numbers) == 1:
            pairs = {rows[0]: numbers[0]}
        else:
            pairs = _by_folder([image_keys[r] for r in rows], [file_keys[n] for n in numbers], rows, numbers)
        for row in rows:
            if row in pairs:
                chosen[row] = files[pairs[row]]
                used.add(pairs[row])
                why[row] = ""
            elif numbers:
                why[row] = (
                    f"cannot tell which prediction file is of this image: {len(rows)} "
                    f"image{'s' if len(rows) != 1 else ''} and {len(numbers)} file"
                    f"{'s' if len(numbers) != 1 else ''} are called {shown(stem)}"
                )
    if images and not used:
        hint = "several share their names" if any(s in files_of for s in images_of) else "no name is the same"
        raise InputError(
            Argument("predictions"),
            f" {folder}: no file belongs to an image ({hint}); there is "
            f"{shown(relative(files[0], folder))} for example, and the image {shown(images[0])}; {MAKE_THEM}",
        )
    return Joined(tuple(chosen), tuple(why), len(files), len(files) - len(used))


def read(file: Path, folder: Path, names: Collection[int] | None) -> FilePredictions:
    """The predictions in `file`. Lines that are none, or without confidence, are left out and counted."""
    name = relative(file, folder)
    boxes, problems = read_labels(file, names, file=name)
    bare = np.isnan(boxes.confidence)
    flaws = [str(problem) for problem in problems]
    flaws += [f"{name}:{line + 1}: no confidence (predict with save_conf=True)" for line in boxes.line[bare]]
    boxes = boxes[~bare]
    if len(boxes) > MAX_PREDICTIONS:
        flaws.append(f"{name}: only the {MAX_PREDICTIONS} most confident of {len(boxes)} are read")
        boxes = strongest(boxes)
    if not flaws:
        return FilePredictions(boxes)
    more = f" and {len(flaws) - 1} more" if len(flaws) > 1 else ""
    return FilePredictions(boxes, f"its predictions are not complete: {shown(flaws[0], 200)}{more}")


def strongest(boxes: Boxes) -> Boxes:
    """The most confident MAX_PREDICTIONS of `boxes`, in their order."""
    if len(boxes) <= MAX_PREDICTIONS:
        return boxes
    return boxes[np.sort(np.argsort(-boxes.confidence, kind="stable")[:MAX_PREDICTIONS])]


def _key(path: PurePosixPath) -> Key:
    """Folders and name without suffix; macOS writes Hangul decomposed."""
    parts = [unicodedata.normalize("NFC", part) for part in path.with_suffix("").parts]
    return (*(part for part in parts[:-1] if part not in _NO_NEWS), parts[-1])


def _by_stem(keys: Sequence[Key]) -> dict[str, list[int]]:
    out: defaultdict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        out[key[-1]].append(row)
    return out


def _by_folder(
    images: Sequence[Key], files: Sequence[Key], rows: Sequence[int], numbers: Sequence[int]
) -> dict[int, int]:
    """Image row → file number, for images and files of one name; only what can be meant in one way."""
    endings: defaultdict[Key, list[int]] = defaultdict(list)  # every ending of a file's key → files
    whole: defaultdict[Key, list[int]] = defaultdict(list)
    for number, key in zip(numbers, files, strict=True):
        whole[key].append(number)
        for start in range(len(key)):
            endings[key[start:]].append(number)
    twins = Counter(images)
    out: dict[int, int] = {}
    wants: dict[int, set[int]] = {}
    wanted: Counter[int] = Counter()
    for row, key in zip(rows, images, strict=True):
        wants[row] = {n for start in range(len(key)) for n in whole.get(key[start:], ())} | {
            *endings.get(key, ())
        }
        wanted.update(wants[row])
        if twins[key] == 1 and len(whole.get(key, ())) == 1:
            out[row] = whole[key][0]
    for row, candidates in wants.items():
        if row not in out and len(candidates) == 1 and wanted[number := next(iter(candidates))] == 1:
            out[row] = number
    return out
