"""A parquet for Apple's embedding-atlas: one row a box, with its place on the map.

`embedding-atlas FILE --disable-projection --x x --y y --text text` opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healtheat.core.errors import HealtheatError
from healtheat.exporting.handoff import HandBox, HandImage, HandIndex, HandOff

if TYPE_CHECKING:
    import pyarrow as pa

THUMB_PX = 96
_ROWS = 2048  # a row group: what is in memory at a time


def write_atlas(given: HandOff, to: Path, *, crops: bool = False) -> None:
    """Write `to`: every box of the images handed over; with `crops` a column of JPEG crops as well.

    `id` is the box id. `text` is what the tool shows and searches: label, issue and reason.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from healtheat.view.projection import project

    boxes = [(image, box) for image in given.images for box in image.boxes]
    places = project(given.index.vectors(np.array([box.box_id for _, box in boxes], np.int64)))
    opened = _OpenImage(given.index)
    schema = _schema(crops)
    with pq.ParquetWriter(to, schema, compression="zstd") as writer:
        for start in range(0, max(len(boxes), 1), _ROWS):
            rows = []
            for at, (image, box) in enumerate(boxes[start : start + _ROWS], start):
                row = _row(image, box, places[at], given)
                if crops:
                    row["image"] = {"bytes": opened.crop(image, box), "path": None}
                rows.append(row)
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            given.progress("atlas", min(start + _ROWS, len(boxes)), len(boxes))


def _schema(crops: bool) -> pa.Schema:
    import pyarrow as pa

    columns = [
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
    if crops:
        columns.append(("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    return pa.schema(columns)


def _row(image: HandImage, box: HandBox, place: Any, given: HandOff) -> dict[str, Any]:
    found: Mapping[str, Any] = box.attributes()
    label = given.label(box.class_id)
    words = [label] if not found["issue"] else [label, f"{found['issue']}: {found['reason']}"]
    names = ("issue", "score", "status", "verdict", "suggestion", "relabel_to", "suspicion", "reason", "line")
    return {
        "id": box.box_id,
        "x": float(place[0]),
        "y": float(place[1]),
        "text": " · ".join(words),
        "class_id": box.class_id,
        "class_name": given.names.get(box.class_id, ""),
        "image_path": image.path,
        "split": image.split,
        **{name: found[name] for name in names},
    }


class _OpenImage:
    """One decoded image at a time: boxes come image by image."""

    def __init__(self, index: HandIndex) -> None:
        self._index = index
        self._image_id = -1
        self._pixels: Any = None

    def crop(self, image: HandImage, box: HandBox) -> bytes | None:
        """The box as JPEG; None where the image cannot be read any more."""
        from healtheat.crops import open_image
        from healtheat.view.pictures import cuts_along, square_jpeg

        if image.image_id != self._image_id:
            self._image_id, self._pixels = image.image_id, None
            try:
                self._pixels = open_image(self._index.image_bytes(image.image_id), image.path)
            except HealtheatError:
                return None
        if self._pixels is None:
            return None
        outline = box.corners if cuts_along(self._index) else None
        return square_jpeg(self._pixels, THUMB_PX, xywhn=box.xywhn, outline=outline, quality=80)
