"""Files of a data set: how folders are walked, which split a path names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from healtheat.core.text import bad_name
from healtheat.sources.outside import Bounds

OnBad = Callable[[Path, str], None]


_SYSTEM = re.compile(r"/(?:proc|sys|dev(?!/shm))(?:/|$)")
_LOOK_AT = 20_000  # files; enough to see what a folder holds


def first_files(folder: Path) -> list[Path]:
    """The first 20,000 files below `folder`, to see what it holds; nothing is reported."""
    return list(islice(walk(folder, lambda path, reason: None), _LOOK_AT))


def walk(folder: Path, on_bad: OnBad, bounds: Bounds | None = None) -> Iterator[Path]:
    """Every file below `folder`, depth first, sorted by name. Hidden names (`.…`) are left out.

    Linked folders are followed, but never one inside itself. Links that lead nowhere come out as files, so
    that reading reports them. `on_bad(path, reason)` is told of folders that cannot be listed, of pipes and
    devices, of folders of the system, and of names that no list could hold. Raises InputError for a linked
    folder beyond `bounds`.
    """
    yield from _walk(folder, frozenset(), on_bad, bounds)


def _walk(folder: Path, above: frozenset[str], on_bad: OnBad, bounds: Bounds | None) -> Iterator[Path]:
    here = os.path.realpath(folder)
    if _SYSTEM.match(here):
        on_bad(folder, "a folder of the system, which holds no data set; not followed")
        return
    if here in above:
        on_bad(folder, "folder linked into itself; not followed")
        return
    if len(above) > 100:
        on_bad(folder, "more than 100 folders deep; not followed")
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _kind(entry)) for entry in entries)
    except OSError as error:
        on_bad(folder, f"folder cannot be listed ({error.strerror})")
        return
    for name, kind in found:
        if name.startswith("."):
            continue
        path = folder / name
        if reason := bad_name(name):
            on_bad(path, reason)
        elif kind == "folder":
            if bounds is not None and path.is_symlink():
                bounds.check([path])
            yield from _walk(path, above | {here}, on_bad, bounds)
        elif kind == "file":
            yield path
        else:
            on_bad(path, kind)


def _kind(entry: os.DirEntry[str]) -> str:
    """ "folder", "file", or why it is neither: an error is one of this entry, never of its folder."""
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() or entry.is_symlink() else "neither a file nor a folder"
    except OSError as error:  # a link to itself, or to where we may not look
        return f"cannot be looked at ({error.strerror or error})"


_SPLIT = re.compile(r"(train|valid|validation|val|test)(?:ing)?(?:[0-9]{4})?")


def split_of(parts: Iterable[str]) -> str:
    """ "train", "val", "test" or "": the first of the folder names (or words of a name) that says so."""
    for part in parts:
        if match := _SPLIT.fullmatch(part.lower()):
            return "val" if match[1].startswith("val") else match[1]
    return ""
