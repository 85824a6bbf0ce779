"""Which images come from one source: copies and burst shots must not vouch for each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import InputError
from healtheat.core.pattern import pattern

_AIHUB = re.compile(r"(K(?:-\d{6})+)_")  # K-<drug code>-<drug code>…_<camera set-up>
MAX_PATH_CHARS = 4096  # no rule looks at more of a path
_ROBOFLOW = ".rf."  # <original name>.rf.<hash>.jpg, one for each augmented copy


def group_key(path: str, rule: str = "auto") -> str:
    """The key that images of one source share.

    `path` is relative and POSIX. Rules: "none" (every image is its own source), "auto" (Roboflow's
    augmented copies and AI Hub's camera positions of one tray are one source; other images stand
    alone), or a regular expression searched in the path, whose first group is the key (an image that
    does not match stands alone). Raises InputError for a bad expression.
    """
    if rule == "none":
        return path
    if rule == "auto":
        name = PurePosixPath(path).name
        if _ROBOFLOW in name:
            return name.split(_ROBOFLOW, 1)[0]
        found = _AIHUB.match(name)
        return found.group(1) if found else path
    found_by = pattern(rule, "group rule")
    if found_by.groups < 1:
        raise InputError(f"group rule {rule!r} has no group; put (…) around the part that copies share")
    match = found_by.search(path[:MAX_PATH_CHARS])
    return match.group(1) if match and match.group(1) is not None else path


def group_codes(keys: Sequence[str], same: Sequence[str] | None = None) -> NDArray[np.int32]:
    """(n,) a number per image, equal for images that share a key or a non-empty entry of `same`.

    `same` is meant for the files' hashes: the same image under two names is one source as well.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for i, key in enumerate(keys):
        here = root("k" + key)
        if same is not None and same[i]:
            parent[root("s" + same[i])] = here
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root("k" + key), len(numbers)) for key in keys], np.int32).reshape(-1)
