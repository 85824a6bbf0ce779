"""Crops to compare with: what a class usually looks like, and the crops nearest to a box in a class."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS
from healtheat.core.errors import BadIndex
from healtheat.index import Index
from healtheat.index.search import IndexStore, search

MOST_ROWS = 4096  # vectors of one class that are averaged; of more, an even sample
_SEARCHED = 64  # nearest crops looked through for some of different images
_CLASSES_KEPT = 8


class Alike:
    """Typical boxes and neighbours by cosine similarity. Safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._store = IndexStore(index)
        self._boxes = index.boxes()
        self._lock = Lock()
        self._kept: OrderedDict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = (
            OrderedDict()
        )
        self._typical: dict[tuple[int, int], list[int]] = {}

    def typical(self, class_id: int, count: int = 4) -> list[int]:
        """Ids of boxes nearest to their class's mean vector, each from another image."""
        key = (class_id, count)
        if key not in self._typical:
            ids, images, vectors = self._class(class_id)
            order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable") if len(ids) else ids
            self._typical[key] = _one_per_image(ids[order], images[order], count)
        return self._typical[key]

    def nearest(self, box_id: int, image_id: int, class_id: int, count: int = 4) -> list[int]:
        """Ids of the boxes of a class most similar to this box, each on another image.

        Images of the box's own source show the same things again, so they are left out; where the class is on
        no others, only the box's own image is left out.
        """
        if class_id == NO_CLASS or class_id not in self._index.manifest.class_rows():
            return []
        own_ids = np.array([box_id], np.int64)
        try:
            own = self._index.vectors(own_ids)
        except (KeyError, BadIndex):
            return []
        group = self._store.groups(own_ids)
        for leave_out in (group, None):
            found = search(
                own, self._store, k=_SEARCHED, classes=[class_id], group=leave_out, own_ids=own_ids
            ).ids[0]
            found = found[found >= 0]
            images = self._images_of(found)
            others = images != image_id
            if others.any():
                return _one_per_image(found[others], images[others], count)
        return []

    def like(self, vector: NDArray[np.float32], class_id: int, count: int = 4) -> list[int]:
        """Ids of the boxes of a class most similar to `vector` (d,) of another index, on an image each.

        None for a class that is not here.
        """
        if class_id not in self._index.manifest.class_rows():
            return []
        found = search(vector[None], self._store, k=_SEARCHED, classes=[class_id]).ids[0]
        found = found[found >= 0]
        return _one_per_image(found, self._images_of(found), count)

    def _images_of(self, box_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        boxes = self._boxes
        return np.asarray(boxes.image_id[np.searchsorted(boxes.box_id, box_ids)], np.int64)

    def _class(self, class_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            if class_id in self._kept:
                self._kept.move_to_end(class_id)
                return self._kept[class_id]
        rows = self._index.sql(
            "SELECT box_id, image_id FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id]
        )
        ids = np.array(rows["box_id"].to_numpy(), np.int64)
        images = np.array(rows["image_id"].to_numpy(), np.int64)
        if len(ids) > MOST_ROWS:
            kept = np.linspace(0, len(ids) - 1, MOST_ROWS).astype(np.int64)
            ids, images = ids[kept], images[kept]
        vectors = self._index.vectors(ids) if len(ids) else np.empty((0, 1), np.float32)
        with self._lock:
            self._kept[class_id] = (ids, images, vectors)
            while len(self._kept) > _CLASSES_KEPT:
                self._kept.popitem(last=False)
        return ids, images, vectors


def _one_per_image(ids: NDArray[np.int64], images: NDArray[np.int64], count: int) -> list[int]:
    """The first `count` of `ids` that are on different images."""
    first = np.sort(np.unique(images, return_index=True)[1])
    return [int(box_id) for box_id in ids[first[:count]]]
