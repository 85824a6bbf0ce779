"""One image on its way into the index: read once, hashed, decoded only if something on it is new, cut."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.corners import Outline
from healtheat.core.errors import ImageError
from healtheat.core.files import Unreadable, read_small
from healtheat.crops import (
    CROP_MEASURES,
    CropPolicy,
    background_xywhn,
    cut,
    cut_and_measure,
    image_dhash,
    open_image,
    stored_orientation,
)
from healtheat.index.cache import ImageFacts, VectorPool
from healtheat.index.keys import crop_keys, image_key
from healtheat.index.store import MAX_IMAGE_BYTES
from healtheat.sources.base import LabelFile, LabelledImage, Record

# Crops a worker cuts ahead of the encoder; an image with more boxes is cut slice by slice in its turn.
_SLICE_CROPS = 64


@dataclass(frozen=True, slots=True)
class CropPlan:
    """What is the same for every image of a build."""

    policy: CropPolicy
    resolution_px: int
    fingerprint: str
    background_per_image: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Some crops of one image: keys (k), crops (k, R, R, 3), measures (k,)."""

    keys: list[bytes]
    crops: NDArray[np.uint8]
    measures: NDArray[np.void]


class _Wanted(NamedTuple):
    """A crop to cut."""

    key: bytes
    xywhn: NDArray[np.float64]
    outline: Outline | None
    is_tile: bool = False


@dataclass(slots=True)
class ReadImage:
    """What was found of an image. `reason` says why the image cannot be used; then it has no crops."""

    record: LabelledImage
    reason: str | None = None
    untrained: str = ""  # why the trainer ignores it for its pixels
    code: ProblemCode = ProblemCode.UNREADABLE_IMAGE  # of the problem, where there is a reason
    sha256: str = ""
    facts: ImageFacts = field(default_factory=lambda: ImageFacts(0, 0, 0))
    keys: list[bytes] = field(default_factory=list)
    tiles: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    tile_keys: list[bytes] = field(default_factory=list)
    new: Iterator[Slice] = field(default_factory=lambda: iter(()))


def read_image(record: LabelledImage, plan: CropPlan, pool: VectorPool) -> ReadImage:
    """Everything about one image besides its vectors. Runs in a worker thread; `pool` is only looked at."""
    try:
        content = read_small(record.file, MAX_IMAGE_BYTES)
    except Unreadable as error:
        return ReadImage(record, reason=str(error))
    read = ReadImage(record, sha256=content.sha256)
    known = pool.image(image_key(read.sha256, plan.fingerprint))
    image: Image.Image | None = None
    try:
        if known is None:
            image = open_image(content.data, record.path)
            known = ImageFacts(image.width, image.height, image_dhash(image))
        read.facts = known
        size_px = (known.width_px, known.height_px)
        if min(size_px) < record.min_side_px:
            read.untrained = (
                f"{size_px[0]}×{size_px[1]} pixels: YOLO ignores images with a side below "
                f"{record.min_side_px} pixels ({len(record.boxes)} labelled boxes)"
            )
        if record.size_px is not None and record.size_px != size_px:
            reason = (
                f"the labels speak of an image of {record.size_px[0]}×{record.size_px[1]} pixels, "
                f"this one has {size_px[0]}×{size_px[1]}{_turned(content.data, record.size_px, size_px)}"
            )
            return ReadImage(record, reason=reason, code=ProblemCode.SIZE_CONFLICT)
        corners = record.boxes.corners if plan.policy.cut == "object" else None
        read.keys = crop_keys(read.sha256, record.boxes.xywhn, plan.fingerprint, corners=corners)
        read.tiles = _tiles(record, size_px, read.sha256, plan)
        read.tile_keys = crop_keys(read.sha256, read.tiles, plan.fingerprint, kind="tile")
        boxes = zip(record.boxes.xywhn, record.boxes.corners, strict=True)
        wanted = {key: _Wanted(key, *box) for key, box in zip(read.keys, boxes, strict=True)}
        for key, tile in zip(read.tile_keys, read.tiles, strict=True):
            wanted[key] = _Wanted(key, tile, None, is_tile=True)
        new = [crop for key, crop in wanted.items() if key not in pool]
        if new:
            image = image or open_image(content.data, record.path)
            read.new = _ahead(_slices(image, new, plan))
    except ImageError as error:
        return ReadImage(record, reason=str(error))
    return read


def _turned(data: bytes, claimed_px: tuple[int, int], size_px: tuple[int, int]) -> str:
    """Why the sides of an image are exchanged, where its EXIF orientation turns it; else ""."""
    if claimed_px != size_px[::-1]:
        return ""
    if stored_orientation(data) < 5:  # 5 to 8 exchange the sides
        return ""
    return (
        ": its EXIF orientation turns it, and the labels are those of the image as it is stored; store it "
        "upright and turn the labels with it, or export them from a tool that heeds the orientation"
    )


def read_ahead(
    records: Iterable[Record], plan: CropPlan, pool: VectorPool, threads: int
) -> Iterator[LabelFile | Problem | ReadImage]:
    """The records in their order, images read by `threads` workers a few ahead."""
    waiting: deque[LabelFile | Problem | Future[ReadImage]] = deque()
    ahead = 2 * threads + 1
    executor = ThreadPoolExecutor(threads, "image")
    try:
        for record in records:
            if isinstance(record, LabelledImage):
                waiting.append(executor.submit(read_image, record, plan, pool))
            else:
                waiting.append(record)
            while len(waiting) > ahead:
                yield _ready(waiting.popleft())
        while waiting:
            yield _ready(waiting.popleft())
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _ready(item: LabelFile | Problem | Future[ReadImage]) -> LabelFile | Problem | ReadImage:
    return item.result() if isinstance(item, Future) else item


def _tiles(
    record: LabelledImage, size_px: tuple[int, int], sha256: str, plan: CropPlan
) -> NDArray[np.float64]:
    # Seeded by the image, so that its tiles do not depend on what else is in the dataset. Only the set of
    # boxes matters, not their order or class.
    more = np.empty((0, 4)) if record.more_xywhn is None else record.more_xywhn
    boxes = np.unique(np.concatenate([record.boxes.xywhn, more]), axis=0)
    seed = int.from_bytes(hashlib.blake2b(sha256.encode(), digest_size=8).digest(), "big")
    return background_xywhn(boxes, size_px, plan.background_per_image, seed)


def _slices(image: Image.Image, new: list[_Wanted], plan: CropPlan) -> Iterator[Slice]:
    for start in range(0, len(new), _SLICE_CROPS):
        part = new[start : start + _SLICE_CROPS]
        boxes = sum(not crop.is_tile for crop in part)  # they come before the tiles
        places, corners = np.stack([crop.xywhn for crop in part]), [crop.outline for crop in part[:boxes]]
        crops, measured = cut_and_measure(image, places[:boxes], plan.policy, plan.resolution_px, corners)
        tiles = cut(image, places[boxes:], plan.policy, plan.resolution_px)
        measures = np.zeros(len(part), CROP_MEASURES)  # nothing asks for the measures of a tile
        measures[:boxes] = measured
        yield Slice([crop.key for crop in part], np.concatenate([crops, tiles]), measures)


def _ahead(slices: Iterator[Slice]) -> Iterator[Slice]:
    """The same slices; the first is cut now, in the worker."""
    first = next(slices)

    def rest() -> Iterator[Slice]:
        yield first
        yield from slices

    return rest()
