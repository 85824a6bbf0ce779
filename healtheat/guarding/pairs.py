"""Which box of one labelling is which box of another: same image, and the boxes overlap."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from healtheat.core.overlap import iou

MIN_IOU = 0.5
MAX_BOXES_PER_IMAGE = 2000  # one matrix of overlaps per image; images with more are left out


def pair_boxes(
    a: NDArray[np.float64], a_class: NDArray[np.int64], b: NDArray[np.float64], b_class: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of `a` and of `b` (xyxy) that are one object: each at most once, IoU at least MIN_IOU.

    Greedy by IoU; where it ties, boxes of one class go together, so that a pill boxed twice with two
    classes makes no flow between them.
    """
    overlap = iou(a, b)
    rows, columns = np.nonzero(overlap >= MIN_IOU)
    differs = a_class[rows] != b_class[columns]
    order = np.lexsort((columns, rows, differs, -overlap[rows, columns]))
    used_a, used_b = np.zeros(len(a), bool), np.zeros(len(b), bool)
    left: list[int] = []
    right: list[int] = []
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if not (used_a[i] or used_b[j]):
            used_a[i] = used_b[j] = True
            left.append(i)
            right.append(j)
    return np.array(left, np.int64), np.array(right, np.int64)


def pair_images(a: Sequence[str], b: Sequence[str]) -> NDArray[np.int64]:
    """For each path of `a` its place in `b`, -1 where it is not there.

    Equal paths first, then equal file names without suffix, where only one image on either side has it:
    labels and their copy often lie in other folders, never under other names.
    """
    result = np.full(len(a), -1, np.int64)
    for key in (_plain, _bare):
        in_b = _unique(b, key)
        for path, place in _unique(a, key).items():
            if result[place] < 0:
                result[place] = in_b.get(path, -1)
    return result


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _bare(path: str) -> str:
    return PurePosixPath(_plain(path)).stem


def _unique(paths: Sequence[str], key: Callable[[str], str]) -> dict[str, int]:
    keys = [key(path) for path in paths]
    often = Counter(keys)
    return {k: place for place, k in enumerate(keys) if often[k] == 1}
