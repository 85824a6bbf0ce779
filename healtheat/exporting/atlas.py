"""A parquet for Apple's embedding-atlas: one row a box, with its place on the map.

`embedding-atlas FILE --disable-projection --x x --y y --text text` opens it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from healtheat.core.atomic import replacing_file
from healtheat.core.errors import HealtheatError
from healtheat.core.progress import Progress, silent
from healtheat.exporting.handoff import HandOff, HandPhoto
from healtheat.view.projection import project

THUMB_PX = 96
_ROWS = 2048  # a row group: what is in memory at a time
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("text", pa.string()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("image_path", pa.string()),
        ("line", pa.int64()),
        ("split", pa.string()),
        ("issue", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("verdict", pa.string()),
        ("suggestion", pa.int64()),
        ("relabel_to", pa.int64()),
        ("suspicion", pa.float64()),
        ("reason", pa.string()),
    ]
)


def write_atlas(
    index: Any, given: HandOff, to: Path, *, images: bool = False, progress: Progress = silent
) -> list[Path]:
    """Write `to`: every box of the photos handed over; with `images` a column of JPEG crops as well.

    `id` is the box id. `text` is what the tool shows and searches: label, issue and reason.
    """
    boxes = [(photo, box) for photo in given.photos for box in photo.boxes]
    ids = np.array([box.box_id for _, box in boxes], np.int64)
    places = project(index.vectors(ids))
    schema = SCHEMA.append(pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    schema = schema if images else SCHEMA
    with replacing_file(to) as staged, pq.ParquetWriter(staged, schema, compression="zstd") as writer:
        for start in range(0, max(len(boxes), 1), _ROWS):
            rows, opened = [], _Photo(index)
            for at, (photo, box) in enumerate(boxes[start : start + _ROWS], start):
                row = _row(photo, box, places[at], given)
                if images:
                    row["image"] = {"bytes": opened.crop(photo, box.xywhn), "path": None}
                rows.append(row)
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            progress("atlas", min(start + _ROWS, len(boxes)), len(boxes))
    return [to]


def _row(photo: HandPhoto, box: Any, place: Any, given: HandOff) -> dict[str, Any]:
    found: Mapping[str, Any] = box.attributes()
    label = given.labels[box.class_id]
    words = [label] if not found["issue"] else [label, f"{found['issue']}: {found['reason']}"]
    names = ("issue", "score", "status", "verdict", "suggestion", "relabel_to", "suspicion", "reason", "line")
    return {
        "id": box.box_id,
        "x": float(place[0]),
        "y": float(place[1]),
        "text": " · ".join(words),
        "class_id": box.class_id,
        "class_name": given.names.get(box.class_id, ""),
        "image_path": photo.path,
        "split": photo.split,
        **{name: found[name] for name in names},
    }


class _Photo:
    """One decoded photo at a time: boxes come photo by photo."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._image_id = -1
        self._image: Any = None

    def crop(self, photo: HandPhoto, xywhn: tuple[float, ...]) -> bytes | None:
        """The box as JPEG; None where the photo cannot be read any more."""
        from healtheat.crops import CropPolicy, cut, open_image

        if photo.image_id != self._image_id:
            self._image_id, self._image = photo.image_id, None
            try:
                self._image = open_image(self._index.image_bytes(photo.image_id), photo.path)
            except HealtheatError:
                return None
        if self._image is None:
            return None
        from PIL import Image

        out = io.BytesIO()
        pixels = cut(self._image, np.array([xywhn], np.float64), CropPolicy(), THUMB_PX)[0]
        Image.fromarray(pixels).save(out, "JPEG", quality=80)
        return out.getvalue()
