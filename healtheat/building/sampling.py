"""The boxes on which encoders are compared: whole classes, balanced, one image of a source."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from healtheat.sources.base import LabelledImage
from healtheat.sources.groups import group_key

FEWEST_SOURCES = 3  # of a class; with two, one wrong label leaves nothing to compare with
FEWEST_BOXES = 6  # of a class, where it has them: rather fewer classes than fewer boxes of each


def sample_images(images: Iterable[LabelledImage], group_rule: str, most: int) -> list[LabelledImage]:
    """At most `most` boxes as images that hold these boxes alone; [] where there is nothing to compare.

    The choice follows hashes of paths and class ids: the same for the same data, in whatever order it comes.
    """
    kept = _one_a_source(images, group_rule)
    sources = Counter(c for image in kept for c in np.unique(image.boxes.class_id).tolist())
    fewest = FEWEST_SOURCES if sum(n >= FEWEST_SOURCES for n in sources.values()) > 1 else 2
    count = Counter(c for image in kept for c in image.boxes.class_id.tolist() if sources[c] >= fewest)
    quota = _quotas(count, most)
    if len(quota) < 2:
        return []
    sample = []
    for image in kept:
        rows = []
        for row, class_id in enumerate(image.boxes.class_id.tolist()):
            if quota.get(class_id, 0):
                quota[class_id] -= 1
                rows.append(row)
        if rows:
            sample.append(replace(image, boxes=image.boxes[rows], box_label_path=()))
    return sample


def _one_a_source(images: Iterable[LabelledImage], group_rule: str) -> list[LabelledImage]:
    """One image with boxes of each source, in the order of hashes."""
    groups: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        if len(image.boxes):
            groups[group_key(image.path, group_rule)].append(image)
    kept = [min(group, key=lambda image: _hash(image.path)) for group in groups.values()]
    return sorted(kept, key=lambda image: _hash(image.path))


def _quotas(count: Counter[int], most: int) -> dict[int, int]:
    """Class id → number of boxes to take, as even as the classes allow, `most` in all."""
    quota: dict[int, int] = {}
    for class_id in sorted(count, key=lambda class_id: _hash(str(class_id))):
        least = min(count[class_id], FEWEST_BOXES)
        if sum(quota.values()) + least <= most:
            quota[class_id] = least
    each = _level([count[class_id] for class_id in quota], most)
    return {class_id: max(least, min(count[class_id], each)) for class_id, least in quota.items()}


def _level(counts: Sequence[int], most: int) -> int:
    """The largest q for which the sum of min(count, q) is at most `most`."""
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in counts) <= most:
            low = middle
        else:
            high = middle - 1
    return low


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
