"""The two sides of a comparison: an index, a data set, or labels alone."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from healtheat.core.boxes import Boxes
from healtheat.core.errors import InputError, UsageError
from healtheat.index import Index
from healtheat.index.locate import opened
from healtheat.index.manifest import CATALOG_NAME, MANIFEST_NAME
from healtheat.sources import label_set
from healtheat.sources.label_set import LabelSet


@dataclass(frozen=True, slots=True)
class Side:
    """One version of the labels. `index` is where it was read from, None for a data set."""

    name: str
    labels: LabelSet
    index: Index | None

    @property
    def is_named(self) -> bool:
        """Whether its classes have names: label files alone have none, and ids are no names."""
        return any(name.strip() not in ("", str(ident)) for ident, name in self.labels.names.items())


def takes_names(given: Index | str | os.PathLike[str]) -> bool:
    """Whether a file of class names says anything about `given`: not of an index, which has its own."""
    if not isinstance(given, str | os.PathLike) or _is_index(Path(given)):
        return False
    return label_set.takes_names(Path(given))


def read_side(
    given: Index | str | os.PathLike[str], stack: ExitStack, names_file: Path | None = None
) -> Side:
    """`given` read; an index stays open while `stack` does. Raises InputError or BadIndex."""
    if isinstance(given, Index):
        return Side(given.path.as_posix(), _of_index(given), given)
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"expected a path or an opened Index to compare, found {type(given).__name__}")
    path = Path(given)
    if _is_index(path):
        index = stack.enter_context(opened(path))
        return Side(path.as_posix(), _of_index(index), index)
    if not path.exists():
        raise InputError(f"{path}: not found; give a data set, labels, or the folder of an index")
    return Side(path.as_posix(), label_set.read_label_set(path, names_file=names_file), None)


def _is_index(path: Path) -> bool:
    return (path / MANIFEST_NAME).is_file() and (path / CATALOG_NAME).is_file()


def _of_index(index: Index) -> LabelSet:
    rows = index.sql("select image_id, path, label_path, status from images order by image_id").to_pydict()
    boxes = index.boxes()
    place = np.searchsorted(np.array(rows["image_id"], np.int64), boxes.image_id).astype(np.int64)
    order = np.lexsort([boxes.line, place])
    return LabelSet(
        images=tuple(rows["path"]),
        boxes=Boxes(
            box_id=boxes.box_id[order],
            image_id=place[order],
            line=boxes.line[order],
            class_id=boxes.class_id[order],
            xywhn=boxes.xywhn[order],
            confidence=boxes.confidence[order],
            corners=boxes.corners[order],
        ),
        names=index.names,
        label_paths=tuple(rows["label_path"]),
        statuses=tuple(rows["status"]),
    )
