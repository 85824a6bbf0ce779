"""The crops of an index that are most similar to any crop: of an image that it knows, or of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.corners import Outline, what_is_wrong
from healtheat.core.errors import Argument, ImageError, InputError
from healtheat.core.files import Content, Unreadable, read_small
from healtheat.core.paths import is_file, yolo_label_path
from healtheat.crops import CropPolicy, cut, open_image
from healtheat.embedding import Encoder
from healtheat.findings.filters import ClassWords, Filters
from healtheat.index import Index
from healtheat.index.encoder import encoder_of
from healtheat.index.search import IndexStore, search
from healtheat.index.store import MAX_IMAGE_BYTES
from healtheat.sources.yolo.labels import read_labels

WHOLE_IMAGE = (0.5, 0.5, 1.0, 1.0)
SIMILAR_SCHEMA = pa.schema(
    [
        ("rank", pa.int64()),  # from 1
        ("similarity", pa.float64()),  # cosine of the two embeddings
        ("image", pa.string()),
        ("line", pa.int64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("split", pa.string()),
        ("cx", pa.float64()),
        ("cy", pa.float64()),
        ("w", pa.float64()),
        ("h", pa.float64()),
        ("box_id", pa.int64()),
    ]
)

Xywhn = Sequence[float]


@dataclass(frozen=True, slots=True)
class Asked:
    """The crop in question: its embedding, and what of the index must not answer because it is the crop."""

    vector: NDArray[np.float32]  # (d,)
    box_id: int = -1
    group: int | None = None  # the image's source, where the index knows it


def similar(
    index: Index,
    image: Path,
    *,
    box: Xywhn | None = None,
    line: int | None = None,
    classes: ClassWords = None,
    limit: int = 10,
    encoder: Encoder | str | None = None,
) -> pa.Table:
    """The `limit` boxes of `index` most similar to a crop of the file `image`, in SIMILAR_SCHEMA, best first.

    The crop is `box` (centre x, y, width, height as shares of the image), the box on 0-based `line` of the
    image's labels, or the whole image. Where the index holds this very file, no box of the same source
    answers. `encoder` defaults to the one of the index, whose name is needed where it is not embedded; none
    is needed for a line of a known image. Raises InputError, or
    EncoderError where the index's encoder cannot be loaded.
    """
    if box is not None and line is not None:
        raise InputError(
            Argument("box"), " and ", Argument("line"), " both say which crop is meant; give one of the two"
        )
    if limit < 0:
        raise InputError(Argument("limit"), f" {limit}: give a number of at least 0")
    wanted = Filters(classes=classes).of(index).class_ids
    held = index.manifest.class_rows()
    store = IndexStore(index)
    asked = _asked(index, store, image, box, line, encoder)
    found = search(
        asked.vector[None],
        store,
        k=max(limit, 1),
        classes=[class_id for class_id in wanted if class_id in held] if wanted else None,
        group=None if asked.group is None else np.array([asked.group], np.int32),
        own_ids=np.array([asked.box_id], np.int64),
    )
    ids = found.ids[0][found.ids[0] >= 0][:limit]
    return _rows(index, ids, found.similarity[0][: len(ids)])


def _asked(
    index: Index,
    store: IndexStore,
    image: Path,
    box: Xywhn | None,
    line: int | None,
    encoder: Encoder | str | None,
) -> Asked:
    place, outline = None if box is None else _checked(box), None
    image = _found(index, image)
    content = _read(image)
    known = _known(index, image, content.sha256)
    group = None if known is None else store.group_of_image(known)
    if line is not None and known is not None:
        rows = index.sql("SELECT box_id FROM boxes WHERE image_id = ? AND line = ?", [known, line])
        if not len(rows):
            there = index.sql("SELECT line FROM boxes WHERE image_id = ? ORDER BY line", [known])
            lines = ", ".join(str(at + 1) for at in there["line"].to_pylist()[:20]) or "none"
            raise InputError(
                f"{image}: the index has no box on line {line + 1} of its labels; lines with a box, counted "
                f"from 1: {lines}"
            )
        box_id = int(rows["box_id"][0].as_py())
        return Asked(index.vectors(np.array([box_id]))[0], box_id, group)
    if line is not None:
        place, outline = _labelled(image, line)
    policy = CropPolicy.model_validate(index.manifest.crop_policy)
    try:
        pixels = open_image(content.data, str(image))
    except ImageError as error:
        raise InputError(f"{image}: {error}") from None
    if not isinstance(encoder, Encoder):
        encoder = encoder_of(index, encoder)
    places = [WHOLE_IMAGE if place is None else place]
    crop = cut(pixels, places, policy, encoder.spec.resolution_px, [outline])
    return Asked(encoder.encode(crop)[0], group=group)


def _checked(box: Xywhn) -> tuple[float, ...]:
    """Four shares of the image, as in a label file. Raises InputError for anything else."""
    try:
        values = tuple(float(value) for value in box)
    except (TypeError, ValueError):
        raise InputError(
            Argument("box"), f": expected four numbers cx,cy,w,h, found {str(box)[:60]!r}"
        ) from None
    if len(values) != 4:
        raise InputError(Argument("box"), f": expected four numbers cx,cy,w,h, found {len(values)}")
    if not all(map(math.isfinite, values)):
        raise InputError(Argument("box"), ": expected four numbers cx,cy,w,h, found one that is not finite")
    cx, cy, w, h = values
    if w == 0 or h == 0:
        raise InputError(
            Argument("box"), ": a box without width or height holds no pixels; give w and h above 0"
        )
    if not (0 <= cx <= 1 and 0 <= cy <= 1 and 0 < w <= 1 and 0 < h <= 1):
        raise InputError(
            Argument("box"),
            f" {','.join(f'{value:g}' for value in values)}: shares of the image lie between 0 and 1; "
            "divide pixels by the image's width and height",
        )
    return values


def _found(index: Index, image: Path) -> Path:
    """The file `image`, or where no such file is here, the image of that name in the index's data set."""
    if is_file(image):
        return image
    rows = index.sql("SELECT image_id FROM images WHERE path = ?", [image.as_posix()])
    return index.image_file(int(rows["image_id"][0].as_py())) if len(rows) else image


def _read(image: Path) -> Content:
    try:
        return read_small(image, MAX_IMAGE_BYTES)
    except Unreadable as error:
        raise InputError(f"{image}: {error}; give an image file") from None


def _known(index: Index, image: Path, sha256: str) -> int | None:
    """The image of the index with these bytes; of several the one at this path."""
    rows = index.sql("SELECT image_id FROM images WHERE sha256 = ? ORDER BY image_id", [sha256])
    ids = rows["image_id"].to_pylist()
    here = image.absolute()
    return next((i for i in ids if index.image_file(i) == here), ids[0] if ids else None)


def _labelled(image: Path, line: int) -> tuple[tuple[float, ...], Outline | None]:
    """The box on `line` of the label file of an image that the index does not know, and its corners."""
    label = yolo_label_path(image.absolute())
    if not is_file(label):
        raise InputError(
            f"{image}: not an image of this index, and it has no labels ({label}); say which crop with ",
            Argument("box"),
            " cx,cy,w,h",
        )
    boxes, problems = read_labels(label, None)
    found = np.flatnonzero(boxes.line == line)
    if not len(found):
        why = next((p.reason for p in problems if p.line in (line, None)), "there is no box on it")
        raise InputError(
            f"{label}:{line + 1}: {why}; choose another ",
            Argument("line"),
            ", or say ",
            Argument("box"),
            " cx,cy,w,h",
        )
    outline = boxes.corners[found[0]]
    usable = outline is not None and not what_is_wrong(outline)
    return tuple(boxes.xywhn[found[0]].tolist()), outline if usable else None


def _rows(index: Index, ids: NDArray[np.int64], similarity: NDArray[np.float32]) -> pa.Table:
    marks = ", ".join("?" * len(ids)) or "NULL"
    rows = index.sql(
        "SELECT b.box_id, i.path AS image, b.line, b.class_id, c.name AS class_name, i.split, b.cx, b.cy, "
        f"b.w, b.h FROM boxes b JOIN images i USING (image_id) LEFT JOIN classes c USING (class_id) "
        f"WHERE b.box_id IN ({marks})",
        ids.tolist(),
    ).to_pylist()
    of_box = {row["box_id"]: row for row in rows}
    found = [
        {"rank": rank, "similarity": round(float(value), 6), **of_box[box_id]}
        for rank, (box_id, value) in enumerate(zip(ids.tolist(), similarity, strict=True), 1)
    ]
    return pa.Table.from_pylist(found, schema=SIMILAR_SCHEMA)
