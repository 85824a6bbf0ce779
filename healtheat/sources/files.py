"""Files of a data set: which are images, how folders are walked, how paths are written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from healtheat.core.text import bad_name, shown

# The image formats Ultralytics trains on; whether a file can be decoded shows when it is read.
IMAGE_SUFFIXES = frozenset(
    (
        ".avif",
        ".bmp",
        ".dng",
        ".heic",
        ".heif",
        ".jp2",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    )
)

# Images all the same, but training passes over them.
OTHER_IMAGE_SUFFIXES = frozenset(
    (".arw", ".cr2", ".gif", ".ico", ".jfif", ".jpe", ".nef", ".pbm", ".pgm", ".ppm", ".psd", ".svg", ".tga")
)

OnBad = Callable[[Path, str], None]


def is_image(name: str) -> bool:
    """Whether the file's extension is one of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 (ten times as fast, a call a file)


def normal(path: Path) -> Path:
    """`path` absolute and without `..`, symbolic links kept: a linked folder stays where the user put it."""
    return Path(os.path.normpath(path.absolute()))


def is_file(path: Path) -> bool:
    """Whether `path` leads to a regular file; False, not an error, for names no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, forbidden characters, no permission
        return False


def is_folder(path: Path) -> bool:
    """Like `is_file` for folders."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def relative(path: Path, root: Path) -> str:
    """`path` relative to `root`, POSIX; absolute if it lies outside."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


def walk(folder: Path, on_bad: OnBad) -> Iterator[Path]:
    """Every file below `folder`, depth first, sorted by name. Hidden names (`.…`) are left out.

    Linked folders are followed, but never one inside itself. Links that lead nowhere come out as files, so
    that reading reports them. `on_bad(path, reason)` is told of folders that cannot be listed, of pipes and
    devices, and of names that no list could hold.
    """
    yield from _walk(folder, frozenset(), on_bad)


def _walk(folder: Path, above: frozenset[str], on_bad: OnBad) -> Iterator[Path]:
    here = os.path.realpath(folder)
    if here in above:
        on_bad(folder, "folder linked into itself; not followed")
        return
    if len(above) > 100:
        on_bad(folder, "more than 100 folders deep; not followed")
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((e.name, e.is_dir(), e.is_file() or e.is_symlink()) for e in entries)
    except OSError as error:
        on_bad(folder, f"folder cannot be listed ({error.strerror})")
        return
    for name, folder_too, file_too in found:
        if name.startswith("."):
            continue
        path = folder / name
        if reason := bad_name(name):
            on_bad(path, reason)
        elif folder_too:
            yield from _walk(path, above | {here}, on_bad)
        elif file_too:
            yield path
        else:
            on_bad(path, "neither a file nor a folder")


def contained(name: str) -> PurePosixPath:
    """A file name that labels claim, as a relative path that stays inside the folder it is joined to.

    Raises ValueError with the reason: empty, absolute (on any system), with `..`, backslashes or control
    characters.
    """
    if not name.strip():
        raise ValueError("file name is empty")
    if reason := bad_name(name):
        raise ValueError(reason)
    if "\\" in name:
        raise ValueError(f"file name {shown(name)} has backslashes; write it with /")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root:
        raise ValueError(f"file name {shown(name)} is absolute; write it relative to the image folder")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise ValueError(f"file name {shown(name)} leaves the image folder by '..'")
    if not path.parts:
        raise ValueError(f"file name {shown(name)} names a folder")
    return path


_SPLIT = re.compile(r"(train|valid|validation|val|test)(?:ing)?(?:[0-9]{4})?")


def split_of(parts: Iterable[str]) -> str:
    """ "train", "val", "test" or "": the first of the folder names (or words of a name) that says so."""
    for part in parts:
        if match := _SPLIT.fullmatch(part.lower()):
            return "val" if match[1].startswith("val") else match[1]
    return ""
