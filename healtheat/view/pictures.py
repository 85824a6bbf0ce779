"""Pictures for people, of the page, the report and exports: cut, made small and encoded in this one place.

Nothing of a stranger's file reaches the browser: what is shown was decoded, scaled and encoded here. An image
that is gone or has changed since the build gives a placeholder that says so, for a decision about other
pixels would be worth nothing.
"""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from threading import BoundedSemaphore, Lock
from typing import Any, Protocol

import numpy as np
from PIL import Image

from healtheat.core.corners import Outline
from healtheat.core.errors import ImageError, InputError
from healtheat.crops import CropPolicy, cut, open_image, pixel_boxes, scaled_part
from healtheat.index import Index

PADDING = 0.12  # of the box's side, so that its border can be judged
_SHOWN = CropPolicy(padding=PADDING, cut="object", resample="bicubic")
_CACHE_BYTES = 96 << 20
_CACHE_PIXELS = 48_000_000  # decoded images kept: neighbours on an image, and its crops, come together
_AT_ONCE = 2


class _HasManifest(Protocol):
    @property
    def manifest(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A file for a browser. `problem` says why it is a placeholder, empty for a real picture."""

    data: bytes
    media_type: str
    problem: str = ""

    @property
    def data_uri(self) -> str:
        """The picture as the text that an <img> takes."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


class Pictures:
    """The pictures of one index. Safe to use from several threads; memory is bounded."""

    def __init__(self, index: Index, *, quality: int = 87) -> None:
        """`quality` of the JPEGs, 1 to 95."""
        self._index = index
        self._along = cuts_along(index)
        self._quality = quality
        self._made: OrderedDict[tuple[str, int, int, tuple[int, int]], bytes] = OrderedDict()
        self._made_bytes = 0
        self._images: OrderedDict[tuple[int, tuple[int, int]], Image.Image] = OrderedDict()
        self._lock = Lock()
        self._decoding = BoundedSemaphore(_AT_ONCE)

    def crop(self, box_id: int, longest_px: int) -> Picture:
        """The crop of a box with a little of what is around it, its longer side at most `longest_px`. Where
        the index was built with crops along the object, so is this one.

        Raises KeyError for an unknown box.
        """
        rows = self._index.sql(
            "SELECT image_id, cx, cy, w, h FROM boxes WHERE box_id = ?", [box_id]
        ).to_pylist()
        if not rows:
            raise KeyError(f"no box {box_id}")
        row = rows[0]
        place = (row["cx"], row["cy"], row["w"], row["h"])
        outline = self._index.outline(box_id) if self._along else None
        return self._picture("crop", box_id, row["image_id"], longest_px, place, outline)

    def image(self, image_id: int, longest_px: int) -> Picture:
        """The whole image, its longer side at most `longest_px`. Raises KeyError for an unknown one."""
        return self._picture("image", image_id, image_id, longest_px, None)

    def _picture(
        self,
        kind: str,
        number: int,
        image_id: int,
        longest_px: int,
        xywhn: tuple[float, float, float, float] | None,
        outline: Outline | None = None,
    ) -> Picture:
        file = self._index.image_file(image_id)
        try:
            found = file.stat()
        except (OSError, ValueError):
            return _placeholder("The image is not where it was when the index was built.")
        stamp = (found.st_mtime_ns, found.st_size)
        key = (kind, number, longest_px, stamp)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return Picture(self._made[key], "image/jpeg")
        try:
            pixels = self._decoded(image_id, stamp)
        except InputError:
            return _placeholder("The image has changed since the index was built, or cannot be read.")
        except ImageError as error:
            return _placeholder(f"The image cannot be decoded: {error}")
        data = small_jpeg(pixels, longest_px, xywhn=xywhn, outline=outline, quality=self._quality)
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
            if key in self._images:
                self._images.move_to_end(key)
                return self._images[key]
        with self._decoding:
            image = open_image(self._index.image_bytes(image_id))
        with self._lock:
            self._images[key] = image
            while sum(p.width * p.height for p in self._images.values()) > _CACHE_PIXELS:
                self._images.popitem(last=False)
        return image


def cuts_along(index: _HasManifest) -> bool:
    """Whether the index was built with crops cut along the object."""
    return CropPolicy.model_validate(index.manifest.crop_policy).cut == "object"


def small_jpeg(
    image: Image.Image,
    longest_px: int,
    *,
    xywhn: Sequence[float] | None = None,
    outline: Outline | None = None,
    quality: int,
) -> bytes:
    """The image as JPEG, or the part of it at `xywhn` (shares of the image) with a little of what is around;
    with an `outline` cut along it.

    The longer side gets `longest_px` pixels, or as many as there are if they are fewer.
    """
    if xywhn is not None and outline is not None:
        box = pixel_boxes([xywhn], image.size, PADDING)[0].tolist()
        return _jpeg(scaled_part(image, box, _SHOWN, longest_px, outline, enlarge=False), quality)
    if xywhn is not None:
        left, top, right, bottom = (int(v) for v in pixel_boxes([xywhn], image.size, PADDING)[0])
        image = image.crop((left, top, right, bottom))
    scale = longest_px / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return _jpeg(image, quality)


def square_jpeg(
    image: Image.Image,
    side_px: int,
    *,
    xywhn: Sequence[float],
    outline: Outline | None = None,
    quality: int,
) -> bytes:
    """The box alone as a square JPEG, centred on a plain ground: a sheet of thumbnails of one size. With an
    `outline` it is cut along it.
    """
    pixels = cut(image, np.array([xywhn], np.float64), CropPolicy(cut="object"), side_px, [outline])[0]
    return _jpeg(Image.fromarray(pixels), quality)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
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
