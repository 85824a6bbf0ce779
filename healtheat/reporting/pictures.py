"""Pictures for the report: decoded, scaled and encoded here, as data URIs."""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from typing import Any

from PIL import Image

from healtheat.core.errors import HealtheatError
from healtheat.crops import open_image, pixel_boxes
from healtheat.index import Index

CROP_PX, PHOTO_PX, STRIP_PX = 280, 420, 112  # the longer side; shown smaller, so that print is sharp
PADDING = 0.12  # of the box's side, so that its border can be judged
_PHOTOS_KEPT = 8


class Pictures:
    """Crops and photos of one index; "" for what cannot be read or has changed since the build."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._photos: OrderedDict[int, Image.Image | None] = OrderedDict()

    def crop(self, box_id: int, longest_px: int = CROP_PX) -> str:
        """The box with a little of what is around it."""
        rows = self._index.sql("SELECT image_id, cx, cy, w, h FROM boxes WHERE box_id = ?", [box_id])
        for row in rows.to_pylist():
            photo = self._photo(row["image_id"])
            if photo is not None:
                xywhn = (row["cx"], row["cy"], row["w"], row["h"])
                left, top, right, bottom = pixel_boxes([xywhn], photo.size, PADDING)[0].tolist()
                return _small_jpeg(photo.crop((left, top, right, bottom)), longest_px)
        return ""

    def photo(self, image_id: int) -> str:
        """The whole photo."""
        photo = self._photo(image_id)
        return "" if photo is None else _small_jpeg(photo, PHOTO_PX)

    def _photo(self, image_id: int) -> Image.Image | None:
        if image_id not in self._photos:
            try:
                self._photos[image_id] = open_image(self._index.image_bytes(image_id))
            except (HealtheatError, OSError, KeyError):
                self._photos[image_id] = None
            if len(self._photos) > _PHOTOS_KEPT:
                self._photos.popitem(last=False)
        self._photos.move_to_end(image_id)
        return self._photos[image_id]


def data_uri(image: Image.Image, format: str, **options: Any) -> str:
    """The image as the text that an <img> takes."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _small_jpeg(image: Image.Image, longest_px: int) -> str:
    scale = longest_px / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return data_uri(image, "JPEG", quality=80)
