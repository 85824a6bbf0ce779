"""The boxes of an index whose labels are trusted, and their vectors by class: what new boxes are judged by.

Trusted is what nobody and nothing doubts: a box with an open flag is not, nor one that a person called wrong.
A box that a person called right is, flagged or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes, Images
from healtheat.index import Index
from healtheat.sources.groups import group_codes

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

_DOUBTED = """
SELECT box_id FROM findings WHERE flagged AND box_id >= 0
  AND box_id NOT IN (SELECT box_id FROM current_verdicts WHERE verdict = 'ok')
UNION SELECT box_id FROM current_verdicts WHERE verdict IN ('drop', 'relabel', 'moved')
"""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """m boxes outside the index that people called right: `vectors` (m, d), `class_id` (m,), their images'
    `group_key` and `sha256` (m each).
    """

    vectors: Vectors
    class_id: Ids
    group_key: list[str]
    sha256: list[str]


@dataclass(frozen=True)
class Trusted:
    """n boxes that teach, c classes, on the images of an index; a Store for `index.search.search`.

    Ids of answers are those of `box_id`; those of `confirmed` boxes follow the highest of the index.
    """

    index: Index
    confirmed: Confirmed | None = None
    _made: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def images(self) -> Images:
        return self.index.images()

    @cached_property
    def _kept(self) -> tuple[Boxes, int]:
        boxes = self.index.boxes()
        doubted = self.index.sql(_DOUBTED)["box_id"].to_numpy()
        keep = ~np.isin(boxes.box_id, doubted)
        return boxes[np.flatnonzero(keep)], int((~keep).sum())

    @property
    def boxes(self) -> Boxes:
        """The trusted boxes of the index, by box id."""
        return self._kept[0]

    @property
    def doubted(self) -> int:
        """Boxes of the index that are not trusted."""
        return self._kept[1]

    @cached_property
    def _extra_ids(self) -> Ids:
        first = int(self.index.boxes().box_id.max(initial=-1)) + 1
        count = 0 if self.confirmed is None else len(self.confirmed.class_id)
        return np.arange(first, first + count, dtype=np.int64)

    @cached_property
    def _codes(self) -> NDArray[np.int32]:
        """(p + m,) the source of each image, then of each confirmed box."""
        more = self.confirmed
        keys = [*self.images.group_key, *(more.group_key if more else ())]
        return group_codes(keys, [*self.images.sha256, *(more.sha256 if more else ())])

    @cached_property
    def held_images(self) -> dict[str, str]:
        """SHA-256 → path of the images whose labels, or lack of them, the index knows."""
        named = zip(self.images.sha256, self.images.status, self.images.path, strict=True)
        return {sha: path for sha, status, path in reversed(list(named)) if sha and status != "unlabelled"}

    @cached_property
    def image_row(self) -> Ids:
        """(n,) position of each box's image in `images`."""
        return np.searchsorted(self.images.image_id, self.boxes.image_id).astype(np.int64)

    @cached_property
    def group(self) -> NDArray[np.int32]:
        """(n,) boxes on images of one source share it."""
        return np.asarray(self._codes[self.image_row], np.int32)

    @property
    def image_group(self) -> NDArray[np.int32]:
        """(p,) the source of each image."""
        return self._codes[: len(self.images)]

    def groups_of(self, images: Images) -> NDArray[np.int32]:
        """(q,) the source of each of other `images`: one of the index where both share it, else a new one."""
        keys = [*self.images.group_key, *images.group_key]
        joint = group_codes(keys, [*self.images.sha256, *images.sha256])
        p = len(self.images)
        known = dict(zip(joint[:p][::-1].tolist(), self.image_group[::-1].tolist(), strict=True))
        first = int(self._codes.max(initial=-1)) + 1
        out = [known.get(code, first + code) for code in joint[p:].tolist()]
        return np.array(out, np.int32).reshape(-1)

    @property
    def dim(self) -> int:
        return self.index.manifest.dim

    def class_ids(self) -> Ids:
        """(c,) the classes that trusted boxes of the index have, ascending."""
        return np.unique(self.boxes.class_id)

    @contextmanager
    def open(self, class_id: int) -> Iterator[Any]:
        """The shard of a class, without what is doubted and with what was confirmed."""
        mine = self.boxes.box_id[self.boxes.class_id == class_id]
        more = None if self.confirmed is None else self.confirmed.class_id == class_id
        whole = len(mine) == self.index.manifest.class_rows().get(class_id, 0)
        if whole and (more is None or not more.any()):
            yield self.index.shard(class_id)
            return
        if class_id not in self._made:
            shard = faiss.IndexIDMap2(faiss.IndexFlatIP(self.dim))
            shard.add_with_ids(self.index.vectors(mine), mine)
            if self.confirmed is not None and more is not None and more.any():
                shard.add_with_ids(self.confirmed.vectors[more], self._extra_ids[more])
            self._made[class_id] = shard
        yield self._made[class_id]

    def groups(self, ids: Ids) -> NDArray[np.int32]:
        """(m,) the source of each box by its id."""
        if not len(self._extra_ids):
            rows = np.searchsorted(self.boxes.box_id, ids).clip(max=len(self.boxes) - 1)
            return np.asarray(self.group[rows], np.int32)
        every = np.r_[self.boxes.box_id, self._extra_ids]
        group = np.r_[self.group, self._codes[len(self.images) :]]
        return np.asarray(group[np.searchsorted(every, ids).clip(max=len(every) - 1)], np.int32)
