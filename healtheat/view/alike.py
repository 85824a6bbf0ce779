"""Crops to compare with: what a class usually looks like, and the crops nearest to a box in a class."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS
from healtheat.core.errors import BadIndex
from healtheat.index import Index

MOST_ROWS = 4096  # vectors of one class looked at; of more, an even sample
_CLASSES_KEPT = 8


class Alike:
    """Typical boxes and neighbours by cosine similarity. Safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = Lock()
        self._kept: OrderedDict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = (
            OrderedDict()
        )
        self._typical: dict[tuple[int, int], list[int]] = {}

    def typical(self, class_id: int, count: int = 4) -> list[int]:
        """Ids of boxes nearest to their class's mean vector, each from another photo."""
        key = (class_id, count)
        if key not in self._typical:
            ids, photos, vectors = self._class(class_id)
            order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable") if len(ids) else ids
            self._typical[key] = _one_a_photo(order, ids, photos, -1, count)
        return self._typical[key]

    def nearest(self, box_id: int, image_id: int, class_id: int, count: int = 4) -> list[int]:
        """Ids of the boxes of a class most similar to this box, on other photos, each from another one."""
        if class_id == NO_CLASS:
            return []
        ids, photos, vectors = self._class(class_id)
        try:
            own = self._index.vectors(np.array([box_id], np.int64))[0]
        except (KeyError, BadIndex):
            return []
        if not len(ids):
            return []
        return _one_a_photo(np.argsort(-(vectors @ own), kind="stable"), ids, photos, image_id, count)

    def _class(self, class_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            if class_id in self._kept:
                self._kept.move_to_end(class_id)
                return self._kept[class_id]
        rows = self._index.sql(
            "SELECT box_id, image_id FROM boxes WHERE class_id = ? ORDER BY box_id", [class_id]
        )
        ids = np.array(rows["box_id"].to_numpy(), np.int64)
        photos = np.array(rows["image_id"].to_numpy(), np.int64)
        if len(ids) > MOST_ROWS:
            kept = np.linspace(0, len(ids) - 1, MOST_ROWS).astype(np.int64)
            ids, photos = ids[kept], photos[kept]
        vectors = self._index.vectors(ids) if len(ids) else np.empty((0, 1), np.float32)
        with self._lock:
            self._kept[class_id] = (ids, photos, vectors)
            while len(self._kept) > _CLASSES_KEPT:
                self._kept.popitem(last=False)
        return ids, photos, vectors


def _one_a_photo(
    order: NDArray[np.int64], ids: NDArray[np.int64], photos: NDArray[np.int64], but: int, count: int
) -> list[int]:
    found: list[int] = []
    seen = {but}
    for row in order.tolist():
        photo = int(photos[row])
        if photo not in seen:
            seen.add(photo)
            found.append(int(ids[row]))
            if len(found) == count:
                break
    return found
