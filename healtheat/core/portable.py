"""File names that Windows cannot hold, and names that Windows and macOS take for one.

Rules of Windows: "Naming Files, Paths, and Namespaces" (Microsoft Learn). Disks of Windows and macOS compare
names without case, those of macOS also without regard to composed and decomposed forms of Unicode.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from healtheat.core.errors import InputError
from healtheat.core.text import shown

_DEVICES = frozenset(
    (
        *("con", "prn", "aux", "nul", "conin$", "conout$"),
        *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"),
    )
)
_FORBIDDEN = frozenset('<>:"|?*\\')


def unfit_for_windows(part: str) -> str:
    """Why Windows takes no file or folder of this name; "" where it does.

    >>> unfit_for_windows("NUL.txt"), unfit_for_windows("a."), unfit_for_windows("null.txt")
    ("'NUL' is a device there", 'it ends with a dot or a space', '')
    """
    stem = part.split(".", 1)[0].rstrip(" ")
    if stem.lower() in _DEVICES:
        return f"{stem!r} is a device there"
    if part.endswith((".", " ")):
        return "it ends with a dot or a space"
    if bad := next((c for c in part if c in _FORBIDDEN or ord(c) < 32), ""):
        return f"it holds {bad!r}"
    return ""


def folded(path: PurePosixPath | str) -> str:
    """Equal for paths that a disk of Windows or macOS takes for one."""
    decomposed = unicodedata.normalize("NFD", str(path))
    return unicodedata.normalize("NFC", decomposed.casefold())


def on_windows() -> bool:
    """Whether this is Windows."""
    return os.name == "nt"


def folds_names(folder: Path) -> bool:
    """Whether the disk of `folder`, which must be there, takes names for one that differ in case alone."""
    probe = folder / f".healtheat-{secrets.token_hex(8)}-case"
    probe.touch(exist_ok=False)
    try:
        return os.path.lexists(folder / probe.name.upper())
    finally:
        probe.unlink()


def check_place(place: PurePosixPath) -> None:
    """Raises InputError where this system cannot hold a file at `place`, a relative path."""
    if not on_windows():
        return
    for part in place.parts:
        if why := unfit_for_windows(part):
            raise InputError(f"{shown(str(place), 300)}: Windows takes no such name: {why}; rename the file")


def check_places(places: Iterable[PurePosixPath], folder: Path) -> None:
    """Raises InputError where `folder` cannot hold a file at each of `places`, relative to it.

    Else the second of two names that are one there would be written over the first, or take its labels.
    """
    known: dict[str, PurePosixPath] = {}
    twins: list[tuple[PurePosixPath, PurePosixPath]] = []
    for place in places:
        check_place(place)
        first = known.setdefault(folded(place), place)
        if first != place:
            twins.append((first, place))
    if twins and folds_names(folder):
        one, other = (shown(str(place), 300) for place in twins[0])
        raise InputError(
            f"{one} and {other} are one file on this disk, which does not tell upper from lower case; rename "
            "one of them, or write to another disk"
        )
