"""Boxes and Images: frozen structs of arrays, checked on construction, sliced by mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1  # "no class suggested"; real class ids are never negative
LEAK = "(a leak)"  # in the reason of a problem: a photo is in two splits


@dataclass(frozen=True, slots=True)
class Problem:
    """A line or file that could not be read. Never repaired, never silently dropped.

    `file` is relative to the dataset's root (POSIX); `line` is 0-based, None for the whole file.
    """

    file: str
    line: int | None
    reason: str
    image: str = ""  # the image it concerns, where known

    @property
    def is_leak(self) -> bool:
        """A photo in two splits: it was read, and no label of it is wrong for that."""
        return LEAK in self.reason

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


@dataclass(frozen=True, slots=True)
class Boxes(_Table):
    """n labelled boxes. `class_id` and `xywhn` are exactly what the file says."""

    box_id: NDArray[np.int64]  # (n,) running number in source order; -1 before the build numbers them
    image_id: NDArray[np.int64]  # (n,)
    line: NDArray[np.int64]  # (n,) 0-based line in the label file
    class_id: NDArray[np.int64]  # (n,) as in the file, may be sparse
    xywhn: NDArray[np.float64]  # (n, 4) centre x, centre y, width, height as shares of the image
    confidence: NDArray[np.float32]  # (n,) NaN where none is given

    def __post_init__(self) -> None:
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
        )

    @property
    def xyxyn(self) -> NDArray[np.float64]:
        """(n, 4) left, top, right, bottom as shares of the image; may stick out of [0, 1]."""
        half = self.xywhn[:, 2:] / 2
        return np.concatenate([self.xywhn[:, :2] - half, self.xywhn[:, :2] + half], axis=1)


@dataclass(frozen=True, slots=True)
class Images(_Table):
    """n photos."""

    image_id: NDArray[np.int64]  # (n,) running number in source order
    path: NDArray[np.object_]  # (n,) str, relative to the dataset's root, POSIX
    split: NDArray[np.object_]  # (n,) str: train, val, test or ""
    status: NDArray[np.object_]  # (n,) str: labelled, empty, unlabelled, unreadable
    width_px: NDArray[np.int64]  # (n,) after EXIF rotation; 0 where unreadable
    height_px: NDArray[np.int64]  # (n,)
    sha256: NDArray[np.object_]  # (n,) str, of the file's bytes; "" where unreadable
    group_key: NDArray[np.object_]  # (n,) str: photos of one source share it

    def __post_init__(self) -> None:
        for name in ("image_id", "width_px", "height_px"):
            self._check(name, np.int64)
        for name in ("path", "split", "status", "sha256", "group_key"):
            self._check(name, object)


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersection over union of (n, 4) and (m, 4) boxes given as left, top, right, bottom."""
    return overlaps(a, b)[0]


def overlaps(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`iou`, and (n, m) which share of the smaller of two boxes lies in the other."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1)[:, None], np.prod(b[:, 2:] - b[:, :2], axis=1)[None]

    def over(whole: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.divide(inter, whole, out=np.zeros_like(inter), where=whole > 0))

    return over(area_a + area_b - inter), over(np.minimum(area_a, area_b))


def rows_of(image_id: NDArray[Any], images: int) -> list[NDArray[np.int64]]:
    """For each image its rows, in order."""
    order = np.argsort(image_id, kind="stable").astype(np.int64)
    ends = np.searchsorted(image_id[order], np.arange(images + 1))
    return [order[ends[i] : ends[i + 1]] for i in range(images)]
