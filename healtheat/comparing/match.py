"""Which image of one version is which of the other, and which box: one to one."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes
from healtheat.core.corners import corners_of, same_outline
from healtheat.core.overlap import iou

MIN_IOU = 0.5
MAX_PAIRS = 10**6  # one matrix an image; beyond it only boxes that stayed where they were are matched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ImagePairs:
    """`partner` (n,): for each old image its place among the new ones, -1 for none.

    `renamed` counts those that have another path. `unclear`: old images that the new version may have, under
    a name that several images share.
    """

    partner: Ints
    renamed: int
    unclear: frozenset[int]


def pair_paths(old: Sequence[str], new: Sequence[str]) -> ImagePairs:
    """Equal paths first, then the longest ends of paths, then file names without suffix (labels alone have
    none), as far as only one image on either side has them.
    """
    old_paths, new_paths = ([_plain(path) for path in paths] for paths in (old, new))
    partner = np.full(len(old), -1, np.int64)
    free = set(range(len(new)))
    deepest = max((path.count("/") + 1 for path in (*old_paths, *new_paths)), default=0)
    keys: list[Callable[[str], Hashable]] = [lambda path: path]
    keys += [partial(_end, parts) for parts in range(deepest, 0, -1)]
    keys.append(lambda path: PurePosixPath(path).stem)
    for key in keys:
        left = [n for n in range(len(old)) if partner[n] < 0]
        if not left or not free:
            break
        there = _unique(new_paths, free, key)
        for name, n in _unique(old_paths, left, key).items():
            if name in there and partner[n] < 0:
                partner[n] = there[name]
                free.discard(there[name])
    renamed = sum(at >= 0 and old_paths[n] != new_paths[at] for n, at in enumerate(partner.tolist()))
    stems = {PurePosixPath(new_paths[n]).stem for n in free}
    unclear = {n for n in np.flatnonzero(partner < 0).tolist() if PurePosixPath(old_paths[n]).stem in stems}
    return ImagePairs(partner, int(renamed), frozenset(unclear))


def _unique(
    paths: Sequence[str], among: Sequence[int] | set[int], key: Callable[[str], Hashable]
) -> dict[Hashable, int]:
    keys = {n: key(paths[n]) for n in among}
    often = Counter(keys.values())
    return {value: n for n, value in keys.items() if often[value] == 1}


def _end(parts: int, path: str) -> str:
    return "/".join(path.split("/")[-parts:])


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path)


@dataclass(frozen=True, slots=True)
class BoxPairs:
    """Rows of boxes of one image that are the same object: `old[k]` is `new[k]`.

    `moved` (k,): its place or outline changed by more than the tolerance; `exact` (k,): not by one bit.
    `iou` (k,) of the upright boxes. `crowded`: too many boxes to look at every pair.
    """

    old: Ints
    new: Ints
    moved: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    iou: Floats
    crowded: bool


def pair_boxes_of(old: Boxes, new: Boxes, new_class: Ints, tolerance: float) -> BoxPairs:
    """Match the boxes of one image; `new_class` are the class ids of `new` in the old version's numbers.

    In this order: equal outline, place and class, equal place and class, equal place, place within
    `tolerance` (a share of the image, for tools that round) and class, place within it, and then whatever
    overlaps most, from an IoU of MIN_IOU.
    """
    left, right = _equal(old, new, new_class)
    rest_old = np.setdiff1d(np.arange(len(old)), left)
    rest_new = np.setdiff1d(np.arange(len(new)), right)
    crowded = len(rest_old) * len(rest_new) > MAX_PAIRS
    if len(rest_old) and len(rest_new) and not crowded:
        a, b = old[rest_old], new[rest_new]
        i, j = _nearest(a.xyxyn, b.xyxyn, a.class_id, new_class[rest_new], tolerance)
        left, right = np.concatenate([left, rest_old[i]]), np.concatenate([right, rest_new[j]])
    a, b = old[left], new[right]
    exact = (a.xywhn == b.xywhn).all(axis=1)
    moved = np.abs(a.xyxyn - b.xyxyn).max(axis=1, initial=0) > tolerance
    for row in _outlined(a, b):
        one, other = (_outline(boxes, row) for boxes in (a, b))
        exact[row] &= same_outline(one, other)
        moved[row] |= not (exact[row] or same_outline(one, other, tolerance))
    overlap = np.ones(len(left))
    for k in np.flatnonzero((a.xywhn != b.xywhn).any(axis=1)):
        overlap[k] = iou(a.xyxyn[[k]], b.xyxyn[[k]])[0, 0]
    return BoxPairs(left, right, moved, exact, overlap, crowded)


def _outlined(old: Boxes, new: Boxes) -> list[int]:
    """Rows of which at least one is no upright box."""
    pairs = enumerate(zip(old.corners, new.corners, strict=True))
    return [k for k, (a, b) in pairs if a is not None or b is not None]


def _outline(boxes: Boxes, row: int) -> Floats:
    """The corners of a box; those of the upright box where it has no others."""
    corners: Floats | None = boxes.corners[row]
    return corners_of(boxes.xyxyn[row]) if corners is None else corners


def _equal(old: Boxes, new: Boxes, new_class: Ints) -> tuple[Ints, Ints]:
    """Pairs of boxes at the very same place, those of one outline and class first, then of one class."""
    pairs: list[tuple[int, int]] = []
    used_old: set[int] = set()
    used_new: set[int] = set()

    def key(boxes: Boxes, n: int, class_id: Any, step: str) -> tuple[bytes, int, bytes]:
        outline = boxes.corners[n] if step == "outline" else None
        shape = b"" if outline is None else outline.tobytes()
        return boxes.xywhn[n].tobytes(), -1 if step == "place" else int(class_id[n]), shape

    for step in ("outline", "class", "place"):
        there: defaultdict[tuple[bytes, int, bytes], list[int]] = defaultdict(list)
        for n in reversed(range(len(new))):
            if n not in used_new:
                there[key(new, n, new_class, step)].append(n)
        for n in range(len(old)):
            found = [] if n in used_old else there[key(old, n, old.class_id, step)]
            if found:
                pairs.append((n, found.pop()))
                used_old.add(n)
                used_new.add(pairs[-1][1])
    flat = np.array(pairs, np.int64).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]


def _nearest(
    old: Floats, new: Floats, old_class: Ints, new_class: Ints, tolerance: float
) -> tuple[Ints, Ints]:
    overlap = iou(old, new)
    near = np.abs(old[:, None] - new[None]).max(axis=2) <= tolerance
    rows, columns = np.nonzero(near | (overlap >= MIN_IOU))
    differs = old_class[rows] != new_class[columns]
    here = near[rows, columns]
    rank = np.where(here, differs.astype(np.int64), 2)
    order = np.lexsort((columns, rows, differs, -overlap[rows, columns], rank))
    used_old, used_new = np.zeros(len(old), bool), np.zeros(len(new), bool)
    pairs = []
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if not (used_old[i] or used_new[j]):
            used_old[i] = used_new[j] = True
            pairs.append((i, j))
    flat = np.array(pairs, np.int64).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]
