"""An index as a source: what was read into it, taken from its catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import Argument, InputError
from healtheat.index import Index
from healtheat.index.batches import batches_of, names_of
from healtheat.index.decisions import accepted_boxes, is_vetted
from healtheat.sources.base import Edits, LabelFile, LabelledImage, Record


class IndexSource:
    """The images, boxes, label files and problems of an opened index, with the paths that they have there.

    With `accepted_only`, boxes that are accepted (see `index.decisions`), on images that have one; background
    is cut around the others as well. Images that could not be read are problems alone. Raises InputError for
    an index with batches, one whose label files changed, or one without decisions.
    """

    def __init__(self, index: Index, *, accepted_only: bool = False) -> None:
        if batches := batches_of(index):
            raise InputError(f"{index.path}: holds {names_of(batches)} itself; add them one by one")
        if changed := index.changed_label_files():
            raise InputError(f"{index.path}: {changed[0]} changed since it was read; build or vet it again")
        self.index = index
        self._boxes = index.boxes()
        self._taken = np.ones(len(self._boxes), np.bool_)
        self._accepted_only = accepted_only
        if accepted_only:
            self._taken = np.isin(self._boxes.box_id, _accepted(index))
            if not self._taken.any():
                raise InputError(f"{index.path}: none of its boxes was accepted, so there is nothing to add")
        self._source = index.manifest.source

    @property
    def kind(self) -> str:
        return self._source.kind

    @property
    def edits(self) -> Edits:
        return self._source.edits

    @property
    def root(self) -> Path:
        return Path(self._source.root)

    @property
    def data(self) -> Path:
        return Path(self._source.data)

    @cached_property
    def names(self) -> Mapping[int, str]:
        return self.index.names

    @property
    def left_out(self) -> int:
        """Boxes of the index that are not taken."""
        return int((~self._taken).sum())

    @property
    def held(self) -> int:
        """Boxes that are taken although a vet, or a person since, held them."""
        if self._accepted_only or not is_vetted(self.index):
            return 0
        return len(self._boxes) - len(accepted_boxes(self.index))

    def expected(self) -> dict[str, str]:
        """Path → SHA-256 of the images as they were read then."""
        rows = self.index.sql("SELECT path, sha256 FROM images WHERE sha256 <> ''").to_pydict()
        return dict(zip(rows["path"], rows["sha256"], strict=True))

    def read(self) -> Iterator[Record]:
        """Every label file, problem and readable image, once."""
        for path, entry in self.index.manifest.label_files.items():
            yield LabelFile(path, entry.sha256, entry.size)
        yield from self.index.problems()
        query = "SELECT * FROM images WHERE status <> 'unreadable' ORDER BY image_id"
        by_image = np.argsort(self._boxes.image_id, kind="stable")
        of = self._boxes.image_id[by_image]
        for row in self.index.sql(query).to_pylist():
            start, end = np.searchsorted(of, [row["image_id"], row["image_id"] + 1])
            rows = by_image[start:end]
            taken = self._taken[rows]
            if self._accepted_only and not taken.any():
                continue
            yield LabelledImage(
                path=row["path"],
                file=self.root / row["file"],
                split=row["split"],
                status=row["status"],
                label_path=row["label_path"],
                boxes=self._boxes[rows[taken]],
                more_xywhn=self._boxes.xywhn[rows[~taken]],
            )


def _accepted(index: Index) -> NDArray[np.int64]:
    if not is_vetted(index):
        raise InputError(
            f"{index.path}: nobody judged its boxes, so none is accepted; vet it first, or leave out ",
            Argument("accepted_only", True),
        )
    return accepted_boxes(index)
