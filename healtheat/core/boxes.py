"""Boxes and Images: frozen structs of arrays, checked on construction, sliced by mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from healtheat.core.corners import Outline, outlines

NO_CLASS = -1  # "no class suggested"; real class ids are never negative
MAX_CLASS_ID = 2**31 - 1


class ProblemCode(StrEnum):
    """What kind of problem it is, for programs; the reason is for people. `words` names the kind."""

    BAD_LINE = "bad_line"
    UNKNOWN_CLASS = "unknown_class"
    REPEATED_LINE = "repeated_line"
    BAD_LABEL_FILE = "bad_label_file"
    SHARED_LABEL_FILE = "shared_label_file"
    LABEL_WITHOUT_IMAGE = "label_without_image"
    BAD_ENTRY = "bad_entry"
    CLASS_NAME_CONFLICT = "class_name_conflict"
    LOST_BOXES = "lost_boxes"
    BAD_DETECTION = "bad_detection"
    UNREADABLE_IMAGE = "unreadable_image"
    MISSING_IMAGE = "missing_image"
    AMBIGUOUS_IMAGE = "ambiguous_image"
    REPEATED_IMAGE = "repeated_image"
    LEAK = "leak"
    SAME_SPLIT = "same_split"
    EMPTY_SPLIT = "empty_split"
    SIZE_CONFLICT = "size_conflict"
    UNTRAINED_FORMAT = "untrained_format"
    BAD_PATH = "bad_path"
    NOT_LISTED = "not_listed"
    NAME_OFF_RULE = "name_off_rule"
    CODE_WITHOUT_CLASS = "code_without_class"
    IGNORED_IMAGE = "ignored_image"
    MISREAD_LABELS = "misread_labels"
    REFUSED_LABELS = "refused_labels"
    BEYOND_IMAGE = "beyond_image"
    MISPLACED_LABELS = "misplaced_labels"
    UNFOUND_PATH = "unfound_path"
    ONE_CLASS = "one_class"
    SHAPE_LEFT_OUT = "shape_left_out"
    HELD_IMAGE = "held_image"
    BAD_KEY = "bad_key"

    @property
    def words(self) -> str:
        """The kind in a few words, for headings and tables."""
        return _WORDS[self]


_WORDS: dict[ProblemCode, str] = {
    ProblemCode.BAD_LINE: "label line or annotation that is no box",
    ProblemCode.UNKNOWN_CLASS: "class id that has no name",
    ProblemCode.REPEATED_LINE: "exact duplicate of another label line",
    ProblemCode.BAD_LABEL_FILE: "label file that cannot be read",
    ProblemCode.SHARED_LABEL_FILE: "label file of two images",
    ProblemCode.LABEL_WITHOUT_IMAGE: "label file without an image",
    ProblemCode.BAD_ENTRY: "image or category of a COCO file that cannot be used",
    ProblemCode.CLASS_NAME_CONFLICT: "class with two names",
    ProblemCode.LOST_BOXES: "boxes left out because their image cannot be used",
    ProblemCode.BAD_DETECTION: "detection that is no box",
    ProblemCode.UNREADABLE_IMAGE: "image that cannot be read",
    ProblemCode.MISSING_IMAGE: "image not found",
    ProblemCode.AMBIGUOUS_IMAGE: "image name that several files have",
    ProblemCode.REPEATED_IMAGE: "image given twice",
    ProblemCode.LEAK: "image in two splits",
    ProblemCode.SAME_SPLIT: "split that has no image of its own",
    ProblemCode.EMPTY_SPLIT: "split that holds no image",
    ProblemCode.SIZE_CONFLICT: "image of another size than the labels say",
    ProblemCode.UNTRAINED_FORMAT: "image format that YOLO does not train on",
    ProblemCode.BAD_PATH: "file or folder that cannot be used",
    ProblemCode.NOT_LISTED: "further problems, counted but not listed",
    ProblemCode.NAME_OFF_RULE: "image name that does not follow the contents rule",
    ProblemCode.CODE_WITHOUT_CLASS: "code in an image name that has no class",
    ProblemCode.IGNORED_IMAGE: "image that YOLO's training ignores",
    ProblemCode.MISREAD_LABELS: "label lines that YOLO's training takes for something else",
    ProblemCode.REFUSED_LABELS: "labels for which YOLO's training refuses the whole split",
    ProblemCode.BEYOND_IMAGE: "label that reaches beyond its image by up to 1 %",
    ProblemCode.MISPLACED_LABELS: "labels where YOLO does not look for them",
    ProblemCode.UNFOUND_PATH: "path that is not found as it is written",
    ProblemCode.ONE_CLASS: "labels of one class whose files name many",
    ProblemCode.SHAPE_LEFT_OUT: "outline that is not kept, only its box",
    ProblemCode.HELD_IMAGE: "image of a batch that the index holds already",
    ProblemCode.BAD_KEY: "value of a key of data.yaml that YOLO cannot use",
}


def box_number(line: int) -> int:
    """The number that people see of the box on 0-based `line`: of its line in an editor, and on a picture."""
    return int(line) + 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A line or file that could not be read. Never repaired, never silently dropped.

    `file` is relative to the dataset's root (POSIX); `line` is 0-based, None for the whole file. Programs
    decide by `code`; `reason` is for people.
    """

    code: ProblemCode
    file: str
    line: int | None
    reason: str
    image: str = ""  # the image it concerns, where known

    @property
    def is_leak(self) -> bool:
        """An image in two splits: it was read, and no label of it is wrong for that."""
        return self.code == ProblemCode.LEAK

    @property
    def is_lost_line(self) -> bool:
        """A label line that gave no box. A repeated line gave one: the first of its kind is there."""
        return self.line is not None and self.code in (ProblemCode.BAD_LINE, ProblemCode.UNKNOWN_CLASS)

    @property
    def is_untrained(self) -> bool:
        """Labels that are read here, while YOLO's training ignores, refuses or takes them for others."""
        return self.code in (
            ProblemCode.IGNORED_IMAGE,
            ProblemCode.MISREAD_LABELS,
            ProblemCode.REFUSED_LABELS,
        )

    @property
    def is_note(self) -> bool:
        """It is read all the same and no label is wrong for that, so no finding says it again."""
        return self.code in (ProblemCode.BEYOND_IMAGE, ProblemCode.SHAPE_LEFT_OUT, ProblemCode.SAME_SPLIT)

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line + 1}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Table:
    """Shared behaviour of the structs of arrays below: equal lengths, slicing, joining."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self, key: NDArray[Any] | slice | Sequence[int]) -> Self:
        """Rows by mask, slice or integer array, as the same struct."""
        return type(self)(**{f.name: getattr(self, f.name)[key] for f in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All parts one after the other; `parts` must not be empty."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def _check(self, name: str, dtype: type, *more: int) -> None:
        value = getattr(self, name)
        expected = (len(self), *more)
        if not isinstance(value, np.ndarray) or value.shape != expected or value.dtype != np.dtype(dtype):
            found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(
                f"{type(self).__name__}.{name}: expected {np.dtype(dtype)} {expected}, found {found}"
            )


_NOT_GIVEN = np.empty(0, object)


@dataclass(frozen=True, slots=True)
class Boxes(_Table):
    """n labelled boxes. `class_id` and `xywhn` are exactly what the file says."""

    box_id: NDArray[np.int64]  # (n,) running number in source order; -1 before the build numbers them
    image_id: NDArray[np.int64]  # (n,)
    line: NDArray[np.int64]  # (n,) 0-based line in the label file
    class_id: NDArray[np.int64]  # (n,) as in the file, may be sparse
    xywhn: NDArray[np.float64]  # (n, 4) centre x, centre y, width, height as shares of the image
    confidence: NDArray[np.float32]  # (n,) NaN where none is given
    # (n,) each the (k, 2) corners of an oriented box or polygon, None of an upright box; left out: all None
    corners: NDArray[np.object_] = field(default_factory=lambda: _NOT_GIVEN)

    def __post_init__(self) -> None:
        if self.corners is _NOT_GIVEN:
            object.__setattr__(self, "corners", np.full(len(self), None, object))
        self._check("corners", object)
        for name in ("box_id", "image_id", "line", "class_id"):
            self._check(name, np.int64)
        self._check("xywhn", np.float64, 4)
        self._check("confidence", np.float32)

    @classmethod
    def of(
        cls,
        line: Sequence[int] | NDArray[Any],
        class_id: Sequence[int] | NDArray[Any],
        xywhn: Sequence[Sequence[float]] | NDArray[Any],
        confidence: Sequence[float] | NDArray[Any] | None = None,
        corners: Sequence[Outline | None] | NDArray[np.object_] | None = None,
    ) -> Boxes:
        """Boxes of one image as a source reads them: not numbered yet."""
        n = len(line)
        unknown = np.full(n, -1, np.int64)
        return cls(
            box_id=unknown,
            image_id=unknown.copy(),
            line=np.asarray(line, np.int64).reshape(n),
            class_id=np.asarray(class_id, np.int64).reshape(n),
            xywhn=np.asarray(xywhn, np.float64).reshape(n, 4),
            confidence=np.full(n, np.nan, np.float32)
            if confidence is None
            else np.asarray(confidence, np.float32),
            corners=np.full(n, None, object) if corners is None else outlines(corners),
        )

    def numbered(self, first_box_id: int, image_id: int) -> Boxes:
        """The same boxes with ids: `first_box_id`, `first_box_id + 1`, … on image `image_id`."""
        n = len(self)
        return Boxes(
            box_id=np.arange(first_box_id, first_box_id + n, dtype=np.int64),
            image_id=np.full(n, image_id, np.int64),
            line=self.line,
            class_id=self.class_id,
            xywhn=self.xywhn,
            confidence=self.confidence,
            corners=self.corners,
        )

    @property
    def xyxyn(self) -> NDArray[np.float64]:
        """(n, 4) left, top, right, bottom as shares of the image; may stick out of [0, 1]."""
        half = self.xywhn[:, 2:] / 2
        return np.concatenate([self.xywhn[:, :2] - half, self.xywhn[:, :2] + half], axis=1)


@dataclass(frozen=True, slots=True)
class Images(_Table):
    """n images."""

    image_id: NDArray[np.int64]  # (n,) running number in source order
    path: NDArray[np.object_]  # (n,) str, relative to the dataset's root, POSIX
    split: NDArray[np.object_]  # (n,) str: train, val, test or ""
    status: NDArray[np.object_]  # (n,) str: labelled, empty, unlabelled, unreadable
    width_px: NDArray[np.int64]  # (n,) after EXIF rotation; 0 where unreadable
    height_px: NDArray[np.int64]  # (n,)
    sha256: NDArray[np.object_]  # (n,) str, of the file's bytes; "" where unreadable
    group_key: NDArray[np.object_]  # (n,) str: images of one source share it

    def __post_init__(self) -> None:
        for name in ("image_id", "width_px", "height_px"):
            self._check(name, np.int64)
        for name in ("path", "split", "status", "sha256", "group_key"):
            self._check(name, object)


def rows_of(image_id: NDArray[Any], images: int) -> list[NDArray[np.int64]]:
    """For each image its rows, in order."""
    order = np.argsort(image_id, kind="stable").astype(np.int64)
    ends = np.searchsorted(image_id[order], np.arange(images + 1))
    return [order[ends[i] : ends[i + 1]] for i in range(images)]


def xyxy_to_xywh(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) centre x, centre y, width, height of boxes given as left, top, right, bottom."""
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)
