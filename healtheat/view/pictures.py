"""Crops and photos for the page: found by id, checked against the index, made small, encoded again.

Nothing of a stranger's file reaches the browser: what is sent was decoded, scaled and encoded here. A photo
that is gone or has changed since the build gives a placeholder that says so, for a decision about other
pixels would be worth nothing.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass
from html import escape
from threading import BoundedSemaphore, Lock
from typing import Literal

from PIL import Image

from healtheat.core.errors import ImageError, InputError
from healtheat.crops import open_image, pixel_boxes
from healtheat.index import Index

Size = Literal["small", "large"]
CROP_PX: dict[str, int] = {"small": 192, "large": 640}  # the longer side
PHOTO_PX: dict[str, int] = {"small": 320, "large": 1400}
PADDING = 0.12  # of the box's side, so that its border can be judged
_QUALITY = 87
_CACHE_BYTES = 96 << 20
_CACHE_PIXELS = 48_000_000  # decoded photos kept: neighbours on a photo, and its crops, come together
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes for the browser. `problem` says why it is a placeholder, empty for a real picture."""

    data: bytes
    media_type: str
    problem: str = ""


class Pictures:
    """The pictures of one index. Safe to use from several threads; memory is bounded."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._made: OrderedDict[tuple[str, int, str, tuple[int, int]], bytes] = OrderedDict()
        self._made_bytes = 0
        self._photos: OrderedDict[tuple[int, tuple[int, int]], Image.Image] = OrderedDict()
        self._lock = Lock()
        self._decoding = BoundedSemaphore(_AT_ONCE)

    def crop(self, box_id: int, size: Size) -> Picture:
        """The crop of a box with a little of what is around it. Raises KeyError for an unknown box."""
        rows = self._index.sql(
            "SELECT image_id, cx, cy, w, h FROM boxes WHERE box_id = ?", [box_id]
        ).to_pylist()
        if not rows:
            raise KeyError(f"no box {box_id}")
        row = rows[0]
        return self._picture(
            "crop", box_id, row["image_id"], size, (row["cx"], row["cy"], row["w"], row["h"])
        )

    def photo(self, image_id: int, size: Size) -> Picture:
        """The whole photo. Raises KeyError for an unknown one."""
        return self._picture("photo", image_id, image_id, size, None)

    def _picture(
        self,
        kind: str,
        number: int,
        image_id: int,
        size: Size,
        xywhn: tuple[float, float, float, float] | None,
    ) -> Picture:
        file = self._index.image_file(image_id)
        try:
            found = file.stat()
        except (OSError, ValueError):
            return _placeholder("The photo is not where it was when the index was built.")
        stamp = (found.st_mtime_ns, found.st_size)
        key = (kind, number, size, stamp)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return Picture(self._made[key], "image/jpeg")
        try:
            photo = self._decoded(image_id, stamp)
        except InputError:
            return _placeholder("The photo has changed since the index was built, or cannot be read.")
        except ImageError as error:
            return _placeholder(f"The photo cannot be decoded: {error}")
        longest = CROP_PX[size] if xywhn is not None else PHOTO_PX[size]
        if xywhn is not None:
            left, top, right, bottom = (int(v) for v in pixel_boxes([xywhn], photo.size, PADDING)[0])
            photo = photo.crop((left, top, right, bottom))
        data = _jpeg(photo, longest)
        with self._lock:
            if key not in self._made:
                self._made[key] = data
                self._made_bytes += len(data)
            while self._made_bytes > _CACHE_BYTES:
                self._made_bytes -= len(self._made.popitem(last=False)[1])
        return Picture(data, "image/jpeg")

    def _decoded(self, image_id: int, stamp: tuple[int, int]) -> Image.Image:
        key = (image_id, stamp)
        with self._lock:
            if key in self._photos:
                self._photos.move_to_end(key)
                return self._photos[key]
        with self._decoding:
            image = open_image(self._index.image_bytes(image_id))
        with self._lock:
            self._photos[key] = image
            while sum(p.width * p.height for p in self._photos.values()) > _CACHE_PIXELS:
                self._photos.popitem(last=False)
        return image


def _jpeg(image: Image.Image, longest_px: int) -> bytes:
    scale = longest_px / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _placeholder(problem: str) -> Picture:
    """A drawn card with the words on it: an <img> shows it like a picture."""
    words, lines = problem.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 26:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    text = "".join(
        f'<text x="160" y="{150 - 11 * len(lines) + 26 * n}" text-anchor="middle">{escape(line)}</text>'
        for n, line in enumerate(lines[:8])
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" width="320" height="320">'
        '<rect width="320" height="320" fill="#3a3f47"/>'
        f'<g fill="#ffffff" font-family="sans-serif" font-size="19">{text}</g></svg>'
    )
    return Picture(svg.encode("utf-8"), "image/svg+xml", problem)
