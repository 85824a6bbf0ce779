"""The `.txt` lists of image paths that a split of data.yaml may name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.files import Content, Unreadable, read_small
from healtheat.core.paths import in_other_form, is_file, is_folder, is_image, normal
from healtheat.core.text import bad_name, counted, shown

MAX_LIST_BYTES = 256 * 2**20
MAX_PATH_CHARS = 4096
MAX_PROBLEMS = 10_000

# How a line differs from the path that YOLO would find, and what to write.
_RELATIVE = "counts from the folder in which YOLO is started; begin it with ./ to count from the list"
_SPACE = "has white space around the path; remove it"
_FORM = (
    "looks like the image's name and is another: one is composed (NFC), the other decomposed (NFD); "
    "write both alike"
)
_CUT = "begins with a folder that is not there, left by the tool that wrote it; write ./ in its place"
_BACKSLASH = "has backslashes; write /"


@dataclass(frozen=True, slots=True)
class ImageList:
    """`images` are (path, 0-based line) sorted by path, then line; an image may occur twice."""

    images: list[tuple[Path, int]]
    problems: list[Problem]
    content: Content


def listed_images(path: Path, root: Path, file: str, *, darknet: bool = False) -> ImageList:
    """The images that the list at `path` names, one a line; `file` is what problems call the list.

    A line `./x` counts from the list's folder, as Ultralytics reads it. Another relative line does so too,
    else it counts from the data set's `root`, else its first folder is passed over (CVAT); YOLO would look in
    the working folder, so this is a problem, one for each such mistake of a list; with `darknet` it is none,
    for Darknet counts from the folder in which it is started, and CVAT writes so. Absolute paths and `..` are
    allowed: data.yaml, which names the list, may name any folder too. A byte-order mark is no part of the
    first path (as Ultralytics reads lists). Raises InputError if the list cannot be read as a whole.
    """
    try:
        content = read_small(path, MAX_LIST_BYTES)
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give a list with one image path a line") from None
    home = Path(os.path.realpath(path)).parent
    images: list[tuple[Path, int]] = []
    problems: list[Problem] = []
    odd: dict[str, list[int]] = {}
    skipped = 0
    lines = content.data.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()
    for number, raw in enumerate(lines):
        if not raw.strip():
            continue
        found = _find(raw, home, root)
        if isinstance(found, _Found):
            images.append((found.path, number))
            for mistake in found.mistakes:
                if darknet and mistake in (_RELATIVE, _CUT):
                    continue
                odd.setdefault(mistake, []).append(number)
        elif len(problems) < MAX_PROBLEMS:
            problems.append(Problem(found.code, file, number, found.reason))
        else:
            skipped += 1
    if skipped:
        more = f"{counted(skipped, 'more bad line')}, not listed"
        problems.append(Problem(ProblemCode.NOT_LISTED, file, None, more))
    problems += [_odd(file, mistake, lines) for mistake, lines in odd.items()]
    return ImageList(sorted(images, key=lambda entry: (entry[0].as_posix(), entry[1])), problems, content)


@dataclass(frozen=True, slots=True)
class _Found:
    """The image of a line, and why YOLO does not find it by this line."""

    path: Path
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Why a line names no image."""

    code: ProblemCode
    reason: str


def _odd(file: str, mistake: str, lines: list[int]) -> Problem:
    count = f"this line and {len(lines) - 1} more: each " if len(lines) > 1 else "the line "
    return Problem(ProblemCode.UNFOUND_PATH, file, lines[0], f"read, but not by YOLO: {count}{mistake}")


def _find(raw: bytes, home: Path, root: Path) -> _Found | _Unusable:
    """The image a line names, or why it names none."""
    stripped = raw.strip(b" \t")
    try:
        text = stripped[: MAX_PATH_CHARS + 4].decode("utf-8")
    except UnicodeDecodeError:
        return _Unusable(ProblemCode.BAD_PATH, "bytes that are not UTF-8 text, or a path that is too long")
    if len(text) > MAX_PATH_CHARS:
        return _Unusable(ProblemCode.BAD_PATH, f"path longer than {MAX_PATH_CHARS} characters")
    if bad_name(text) or len(text.splitlines()) > 1:
        return _Unusable(ProblemCode.BAD_PATH, "path holds a control character")
    if not is_image(text):
        fix = ""
        if is_image(near := _with_extension(text, home)):
            fix = f"; write {shown(near)}"
        return _Unusable(ProblemCode.BAD_PATH, f"{shown(text)} has no extension of an image{fix}")
    space = (_SPACE,) if stripped != raw else ()
    for place, mistakes in _places(text, home, root):
        if is_file(place):
            return _Found(place, (*space, *mistakes))
    for place, mistakes in _places(text, home, root):
        if (other := in_other_form(place)) is not None and is_file(other):
            return _Found(other, (*space, *mistakes, _FORM))
    return _Unusable(ProblemCode.MISSING_IMAGE, f"image {shown(text)} not found")


def _places(text: str, home: Path, root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Where the image of a line may lie, and what is wrong with the line if it lies there."""
    if text.startswith("./") or Path(text).is_absolute():
        yield normal(home / text), ()
    else:
        yield normal(home / text), (_RELATIVE,)
        yield normal(root / text), (_RELATIVE,)
        parts = Path(text).parts
        if len(parts) > 2 and not is_folder(home / parts[0]) and not is_folder(root / parts[0]):
            yield normal(home.joinpath(*parts[1:])), (_CUT,)
    if "\\" in text:
        yield normal(home / text.replace("\\", "/")), (_BACKSLASH,)


def _with_extension(text: str, home: Path) -> str:
    """`text` as the path of the image that it may mean: of that stem beside the list or in `images`."""
    stem = text.removeprefix("./")
    for folder in ("", "images/"):
        for suffix in (".jpg", ".jpeg", ".png"):
            if is_file(home / f"{folder}{stem}{suffix}"):
                return f"./{folder}{stem}{suffix}"
    return ""
