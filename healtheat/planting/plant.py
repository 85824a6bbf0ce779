"""Plant known errors in samples, in memory. What comes back is a copy; nothing on disk is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes
from healtheat.core.corners import outlines
from healtheat.crops import background_xywhn
from healtheat.signals.evidence.trust import trust
from healtheat.signals.samples import Samples

WHOLE_SIDE = 0.92  # least width and height of a planted whole-image box
LOOK_ALIKES = 3  # a confused box gets one of so many classes, those least told apart from its own


class CropMaker(Protocol):
    """Vectors and measures of new boxes on the user's images."""

    def __call__(
        self, image_row: int, xywhn: NDArray[np.float64], corners: NDArray[np.object_]
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """(n, d) vectors and (n,) measures of boxes on the image; None where it cannot be read any more.

        `corners` (n,) are those of each box, None of an upright one.
        """


@dataclass(frozen=True, slots=True)
class Planting:
    """`samples` with errors in them. `wrong`: their box ids. `ignored`: box ids that count as neither."""

    samples: Samples
    wrong: NDArray[np.int64]
    ignored: NDArray[np.int64]


Plant = Callable[[Samples, int, np.random.Generator, CropMaker | None], Planting]


def flips(samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None = None) -> Planting:
    """`count` boxes get another class, drawn uniformly."""
    rows = _rows(samples, count, rng) if len(samples.class_ids) > 1 else np.zeros(0, np.int64)
    c = len(samples.class_ids)
    other = (samples.class_code[rows] + 1 + rng.integers(0, max(c - 1, 1), len(rows))) % max(c, 1)
    return _relabelled(samples, rows, samples.class_ids[other])


def confuse(
    samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None = None
) -> Planting:
    """`count` boxes get one of the three classes that this encoder tells apart least from their own."""
    c = len(samples.class_ids)
    if c < 2:
        return _relabelled(samples, np.zeros(0, np.int64), np.zeros(0, np.int64))
    agreement = trust(samples).pair_interval[0].copy()
    np.fill_diagonal(agreement, np.inf)
    nearest = np.argsort(agreement, axis=1, kind="stable")[:, : min(LOOK_ALIKES, c - 1)]
    rows = _rows(samples, count, rng)
    pick = nearest[samples.class_code[rows], rng.integers(0, nearest.shape[1], len(rows))]
    return _relabelled(samples, rows, samples.class_ids[pick])


def bad_boxes(samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None) -> Planting:
    """Half of `count` boxes grow to the whole image, half move off their object."""
    if crops is None:
        raise ValueError("bad_boxes: needs a crop maker")
    b, vectors, measures = samples.boxes, samples.vectors.copy(), samples.measures.copy()
    xywhn, corners = b.xywhn.copy(), b.corners.copy()
    todo: dict[int, list[tuple[int, NDArray[np.float64]]]] = defaultdict(list)
    for number, row in enumerate(_rows(samples, count, rng).tolist()):
        place = int(samples.image_row[row])
        if number % 2:
            box = np.r_[0.5, 0.5, rng.uniform(WHOLE_SIDE, 1, 2)]
        else:
            free = _free(samples, place, 1, rng)
            if not len(free):
                continue
            box = free[0]
        todo[place].append((row, box))
    wrong = []
    for place, items in sorted(todo.items()):
        places = np.stack([box for _, box in items])
        moved = _moved(b[[row for row, _ in items]], places)
        made = crops(place, places, moved)
        for i, (row, box) in enumerate(items if made is not None else []):
            assert made is not None
            xywhn[row], corners[row], vectors[row] = box, moved[i], made[0][i]
            measures[row] = fit(made[1], measures.dtype)[i]
            wrong.append(row)
    changed = replace(
        samples,
        boxes=replace(b, xywhn=xywhn, corners=corners),
        vectors=vectors,
        measures=measures,
    )
    return Planting(changed, b.box_id[wrong], b.box_id[:0])


def spurious(samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None) -> Planting:
    """`count` boxes are added where nothing is labelled, each with a class drawn uniformly."""

    def make(place: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        boxes = _free(samples, place, len(rows), rng)
        return boxes, rng.choice(samples.class_ids, len(boxes))

    return _added(samples, count, rng, crops, make)[0]


def doubled(samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None) -> Planting:
    """`count` objects are boxed a second time, moved and scaled a little. The first box counts as neither."""

    def make(place: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        boxes = samples.boxes.xywhn[rows].copy()
        boxes[:, :2] += boxes[:, 2:] * rng.uniform(-0.06, 0.06, (len(rows), 2))
        boxes[:, 2:] *= rng.uniform(0.92, 1.08, (len(rows), 2))
        return boxes, samples.boxes.class_id[rows]

    planting, rows = _added(samples, count, rng, crops, make)
    return replace(planting, ignored=samples.boxes.box_id[rows])


def overlooked(
    samples: Samples, count: int, rng: np.random.Generator, crops: CropMaker | None = None
) -> Planting:
    """`count` boxes are taken away; `wrong` are their ids, which `samples` no longer holds."""
    rows = _rows(samples, count, rng)
    keep = np.setdiff1d(np.arange(len(samples)), rows)
    changed = replace(
        samples,
        boxes=samples.boxes[keep],
        vectors=samples.vectors[keep],
        measures=samples.measures[keep],
        group=samples.group[keep],
    )
    return Planting(changed, samples.boxes.box_id[rows], samples.boxes.box_id[:0])


def _moved(boxes: Boxes, xywhn: NDArray[np.float64]) -> NDArray[np.object_]:
    """(n,) the corners of `boxes`, moved and stretched with them to the places `xywhn` (n, 4)."""
    return outlines(
        None if outline is None else (outline - old[:2]) / old[2:] * new[2:] + new[:2]
        for outline, old, new in zip(boxes.corners, boxes.xywhn, xywhn, strict=True)
    )


def fit(measures: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same records with the fields of `dtype`; fields they lack are 0."""
    out = np.zeros(len(measures), dtype)
    for name in set(dtype.names or ()) & set(measures.dtype.names or ()):
        out[name] = measures[name]
    return out


def _rows(samples: Samples, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(len(samples), min(count, len(samples)), replace=False)).astype(np.int64)


def _relabelled(samples: Samples, rows: NDArray[np.int64], to: NDArray[np.int64]) -> Planting:
    class_id = samples.boxes.class_id.copy()
    class_id[rows] = to
    changed = replace(samples, boxes=replace(samples.boxes, class_id=class_id))
    return Planting(changed, samples.boxes.box_id[rows], samples.boxes.box_id[:0])


def _free(samples: Samples, place: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    images = samples.images
    size = (int(images.width_px[place]), int(images.height_px[place]))
    boxes = samples.boxes.xywhn[samples.image_row == place]
    return background_xywhn(boxes, size, count, int(rng.integers(2**31)))


def _added(
    samples: Samples,
    count: int,
    rng: np.random.Generator,
    crops: CropMaker | None,
    make: Callable[[int, NDArray[np.int64]], tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> tuple[Planting, NDArray[np.int64]]:
    """Boxes that `make` puts on the images of `count` boxes, and the rows they were made for."""
    if crops is None:
        raise ValueError("adding boxes needs a crop maker")
    rows = _rows(samples, count, rng)
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], Any, Any]] = []
    for place in np.unique(samples.image_row[rows]).tolist():
        mine = rows[samples.image_row[rows] == place]
        boxes, classes = make(place, mine)
        mine = mine[: len(boxes)]
        corners = _moved(samples.boxes[mine], boxes)
        made = crops(place, boxes, corners) if len(boxes) else None
        if made is not None:
            parts.append((mine, boxes, classes, corners, made))
    if not parts:
        return Planting(samples, samples.boxes.box_id[:0], samples.boxes.box_id[:0]), rows[:0]
    of = np.concatenate([part[0] for part in parts])
    n = len(of)
    b = samples.boxes
    new = Boxes(
        box_id=np.arange(n, dtype=np.int64) + int(b.box_id.max()) + 1,
        image_id=b.image_id[of],
        line=np.arange(n, dtype=np.int64) + int(b.line.max()) + 1,
        class_id=np.concatenate([part[2] for part in parts]).astype(np.int64),
        xywhn=np.concatenate([part[1] for part in parts]),
        confidence=np.full(n, np.nan, np.float32),
        corners=np.concatenate([part[3] for part in parts]),
    )
    measures = fit(np.concatenate([part[4][1] for part in parts]), samples.measures.dtype)
    changed = replace(
        samples,
        boxes=Boxes.join([b, new]),
        vectors=np.concatenate([samples.vectors, *(part[4][0] for part in parts)]),
        measures=np.concatenate([samples.measures, measures]),
        group=np.concatenate([samples.group, samples.group[of]]),
    )
    return Planting(changed, new.box_id, b.box_id[:0]), of
