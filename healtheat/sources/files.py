"""Files of a data set: how folders are walked, which split a path names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from healtheat.core.text import bad_name

OnBad = Callable[[Path, str], None]


_LOOK_AT = 20_000  # files; enough to see what a folder holds


def first_files(folder: Path) -> list[Path]:
    """The first 20,000 files below `folder`, to see what it holds; nothing is reported."""
    return list(islice(walk(folder, lambda path, reason: None), _LOOK_AT))


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


_SPLIT = re.compile(r"(train|valid|validation|val|test)(?:ing)?(?:[0-9]{4})?")


def split_of(parts: Iterable[str]) -> str:
    """ "train", "val", "test" or "": the first of the folder names (or words of a name) that says so."""
    for part in parts:
        if match := _SPLIT.fullmatch(part.lower()):
            return "val" if match[1].startswith("val") else match[1]
    return ""
