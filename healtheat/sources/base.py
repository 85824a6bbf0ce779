"""What every source gives: label files, labelled images and problems, in one sorted stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes, Problem
from healtheat.sources.detector.settings import DetectorSettings


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file whose content decides labels: a label file, data.yaml, an image list, a COCO JSON, weights."""

    path: str  # POSIX, relative to the source's root; absolute if outside it
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image and its boxes. `(path, line)` is unique for every box of a source.

    `boxes` are not numbered (`box_id` and `image_id` are -1). All of them come from `label_path`, unless
    `box_label_path` is given: then it names the file of every box, and `line` counts the annotations of this
    image over its files in sorted order (AI Hub: one JSON a pill).
    """

    path: str  # as in the data set, POSIX, relative to the source's root; absolute if outside it
    file: Path  # where to read it; not opened by the source
    split: str  # "train", "val", "test" or ""
    status: str  # "labelled"; "empty": a label file without a line; "unlabelled": no label file
    label_path: str  # like LabelFile.path; "" if unlabelled
    boxes: Boxes
    size_px: tuple[int, int] | None = None  # (width, height) where the labels claim it (COCO)
    box_label_path: tuple[str, ...] = ()  # one a box, or empty
    task: str = ""  # what the set is labelled for: detect, segment, pose, obb; "" where that means nothing
    untrained: str = ""  # why the trainer ignores the image or reads other boxes; "" where it reads these
    min_side_px: int = 0  # the trainer ignores images with a shorter side
    more_xywhn: NDArray[np.float64] | None = None  # (k, 4) places that are no background, beside the boxes


Record = LabelledImage | LabelFile | Problem

# How label files may be edited: a line of a text file per box, an entry of the list `annotations` of a JSON
# per box, or not at all (the format has no such files, or nothing here knows how to write them).
Edits = Literal["lines", "annotations", "none"]


class Source(Protocol):
    """Where labelled boxes come from. Opened by `open_source`; opening never reads an image.

    `read` streams in a deterministic order and reads every file once. `names` may be sparse and is complete
    once `read` is exhausted (COCO files tell their categories while they are read).
    """

    @property
    def kind(self) -> str:
        """The format's name, for people: "yolo", "coco", "detector", …"""
        ...

    @property
    def edits(self) -> Edits:
        """Whether and how the files named by `label_path` may be edited to drop boxes."""
        ...

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        ...

    @property
    def data(self) -> Path:
        """What the user gave."""
        ...

    @property
    def names(self) -> Mapping[int, str]:
        """Class id → name, exactly as written."""
        ...

    def read(self) -> Iterator[Record]:
        """Every label file, image and problem, once."""
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What may be said of a data set besides its place; None where it was not said."""

    images: Path | None = None  # the folder of the images, where labels lie elsewhere
    weights: Path | None = None  # of a detector
    detector: DetectorSettings | None = None
    scratch: Path | None = None  # where temporary files may be written
    task: str | None = None  # what a YOLO data set is labelled for
    names: Path | None = None  # the class names in order, where labels know classes by name
    labels_only: bool = False  # no image needs to be there: nothing will be cut out of them


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """A format that `open_source` knows: how it is recognised and opened. Listed in `open.FORMATS`."""

    kind: str  # as in Source.kind
    given: str  # what the user gives, for messages: "a data.yaml"
    recognises: Callable[[Path], bool]  # whether an existing file or folder is of this format
    open: Callable[[Path, SourceOptions], Source]  # raises InputError
    needs: frozenset[str] = frozenset()  # of `images`, `weights`, `task`, `names`: it cannot do without
    takes: frozenset[str] = frozenset()  # of the same: those it can use
