"""Rules about paths: what is an image, where its labels lie, how paths are written and checked."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from healtheat.core.errors import InputError
from healtheat.core.text import bad_name, is_unicode, shown

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


def suffix_of(name: str) -> str:
    """The extension in lower case, with its dot; "" where there is none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (ten times as fast, a call per file)


def is_image(name: str) -> bool:
    """Whether the file's extension is that of an image which is trained on."""
    return suffix_of(name) in IMAGE_SUFFIXES


def is_any_image(name: str) -> bool:
    """Whether the file's extension is that of an image, trained on or not."""
    return (suffix := suffix_of(name)) in IMAGE_SUFFIXES or suffix in OTHER_IMAGE_SUFFIXES


def yolo_label_path(image: Path) -> Path:
    """Where Ultralytics looks for the labels of `image`: its last folder `images` replaced by `labels`."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_name(f"{image.name.rpartition('.')[0] or image.name}.txt")


def yolo_image_folder(label: Path) -> Path | None:
    """The folder that holds the image of the label file `label`: the inverse of `yolo_label_path`.

    None where no folder `labels` is in the path, or none that an image's path could have led to.
    """
    parts = list(label.parts[:-1])
    for i in range(len(parts) - 1, -1, -1):
        if parts[i] == "images":
            return None
        if parts[i] == "labels":
            parts[i] = "images"
            return Path(*parts)
    return None


def check_name(path: Path) -> None:
    """Raises InputError for a path that no list, table or manifest can hold."""
    if not is_unicode(text := str(path.absolute())):
        raise InputError(f"{shown(text, 300)}: a name that is no valid UTF-8; rename the file or folder")


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


def in_other_form(path: Path) -> Path | None:
    """What lies at `path` if names are compared in one Unicode form; None where nothing does, or several do.

    Archives packed on a Mac hold decomposed names (NFD), text that people type is composed (NFC); on the
    screen both look alike, and most file systems take them for two names.
    """
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        if not (is_file(found / part) or is_folder(found / part)):
            if part.isascii():
                return None
            try:
                names = [name for name in os.listdir(found) if _composed(name) == _composed(part)]  # noqa: PTH208
            except OSError:
                return None
            if len(names) != 1:
                return None
            part = names[0]
        found /= part
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def relative(path: Path, root: Path) -> str:
    """`path` relative to `root`, POSIX; absolute if it lies outside."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


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
