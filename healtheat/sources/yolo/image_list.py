"""The `.txt` lists of image paths that a split of data.yaml may name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, is_image, normal
from healtheat.core.text import Content, Unreadable, bad_name, counted, read_small, shown

MAX_LIST_BYTES = 256 * 2**20
MAX_PATH_CHARS = 4096
MAX_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True)
class ImageList:
    """`images` are (path, 0-based line) sorted by path, then line; an image may occur twice."""

    images: list[tuple[Path, int]]
    problems: list[Problem]
    content: Content


def listed_images(path: Path, root: Path, file: str) -> ImageList:
    """The images that the list at `path` names, one a line; `file` is what problems call the list.

    A relative line counts from the list's folder, else from the data set's `root`. Absolute paths and `..`
    are allowed: data.yaml, which names the list, may name any folder too. A byte-order mark is no part of the
    first path (as Ultralytics reads lists). Raises InputError if the list cannot be read as a whole.
    """
    try:
        content = read_small(path, MAX_LIST_BYTES)
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give a list with one image path a line") from None
    images: list[tuple[Path, int]] = []
    problems: list[Problem] = []
    skipped = 0
    for number, raw in enumerate(content.data.removeprefix(b"\xef\xbb\xbf").splitlines()):
        if not raw.strip():
            continue
        found = _find(raw.strip(b" \t"), path.parent, root)
        if isinstance(found, Path):
            images.append((found, number))
        elif len(problems) < MAX_PROBLEMS:
            problems.append(Problem(found.code, file, number, found.reason))
        else:
            skipped += 1
    if skipped:
        more = f"{counted(skipped, 'more bad line')}, not listed"
        problems.append(Problem(ProblemCode.NOT_LISTED, file, None, more))
    return ImageList(sorted(images, key=lambda entry: (entry[0].as_posix(), entry[1])), problems, content)


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Why a line names no image."""

    code: ProblemCode
    reason: str


def _find(raw: bytes, home: Path, root: Path) -> Path | _Unusable:
    """The image a line names, or why it names none."""
    try:
        text = raw[: MAX_PATH_CHARS + 4].decode("utf-8")
    except UnicodeDecodeError:
        return _Unusable(ProblemCode.BAD_PATH, "bytes that are not UTF-8 text, or a path that is too long")
    if len(text) > MAX_PATH_CHARS:
        return _Unusable(ProblemCode.BAD_PATH, f"path longer than {MAX_PATH_CHARS} characters")
    if bad_name(text):
        return _Unusable(ProblemCode.BAD_PATH, "path holds a control character")
    if not is_image(text):
        return _Unusable(ProblemCode.BAD_PATH, f"{shown(text)} has no extension of an image")
    for place in (normal(home / text), normal(root / text)):
        if is_file(place):
            return place
    return _Unusable(ProblemCode.MISSING_IMAGE, f"image {shown(text)} not found")
