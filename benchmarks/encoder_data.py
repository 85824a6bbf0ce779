"""Images the encoders never saw, as crops: pushin-pill with background tiles, and held-out TFDA products."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.crops import CropPolicy, background_xywhn, cut, open_image
from healtheat.embedding import Encoder
from healtheat.sources.groups import group_codes, group_key
from training.augment import FILL, view
from training.batches import Material
from training.captions import Looks

Array = NDArray[Any]
TILES_AN_IMAGE = 6


def shared() -> Path:
    """Folder of the real data: `HEALTHEAT_SHARED`, default `../shared` beside the checkout."""
    return Path(os.environ.get("HEALTHEAT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@dataclass(frozen=True)
class Boxes:
    """Boxes of a YOLO set: image paths, boxes an image, class and source code a box in the same order."""

    images: list[Path]
    xywhn: list[Array]
    class_id: Array
    source: Array

    def crops(self, policy: CropPolicy, resolution_px: int) -> Array:
        """(n, R, R, 3) crops of all boxes."""
        images = (open_image(p.read_bytes(), p.name) for p in self.images)
        return np.concatenate(
            [cut(i, x, policy, resolution_px) for i, x in zip(images, self.xywhn, strict=True)]
        )

    def background(self, policy: CropPolicy, resolution_px: int) -> Array:
        """(m, R, R, 3) tiles of the same images that touch no box, of the sizes of the image's boxes."""
        tiles = []
        for k, (path, boxes) in enumerate(zip(self.images, self.xywhn, strict=True)):
            image = open_image(path.read_bytes(), path.name)
            empty = background_xywhn(boxes, image.size, TILES_AN_IMAGE, seed=k)
            tiles.append(cut(image, empty, policy, resolution_px))
        return np.concatenate(tiles)


def pushin() -> Boxes:
    """All boxes of pushin-pill, augmented copies included; the source is what copies of one image share."""
    images, boxes, classes, counts = [], [], [], []
    for path in sorted((shared() / "data" / "pushin-pill" / "images").glob("*/*")):
        label = path.parents[2] / "labels" / path.parent.name / f"{path.stem}.txt"
        rows = np.loadtxt(label, ndmin=2) if label.stat().st_size else np.empty((0, 5))
        images.append(path)
        boxes.append(rows[:, 1:5])
        classes.append(rows[:, 0].astype(int))
        counts.append(len(rows))
    source = np.repeat(group_codes([group_key(p.name) for p in images]), counts)
    return Boxes(images, boxes, np.concatenate(classes), source)


@dataclass(frozen=True)
class HeldOut:
    """Views of held-out pills at 224 px, with identity, family and colours; training pills for the probe."""

    plain: Array
    hard: Array
    identity: Array
    looks: list[Looks]


def tfda_views(material: Material, pills: Array, seed: int) -> HeldOut:
    """One plain and one hard view of each pill, drawn at 224 px so that no encoder gets upscaled pixels."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 4242))
    plain, hard = [], []
    for k in pills:
        pill = material.pill(int(k))
        plain.append(view(pill, material.grounds, 224, rng, strength=0.0))
        hard.append(view(pill, material.grounds, 224, rng))
    looks = [Looks.of(material.rows[int(k)]) for k in pills]
    return HeldOut(np.stack(plain), np.stack(hard), material.identity[pills], looks)


def at(views: Array, encoder: Encoder) -> Array:
    """Views scaled to the encoder's input, letterbox bars in its fill."""
    size, fill = encoder.spec.resolution_px, np.array(encoder.spec.fill, np.uint8)
    out = np.empty((len(views), size, size, 3), np.uint8)
    for row, one in zip(out, views, strict=True):
        bars = (one == FILL).all(-1)
        lines = bars.all(1)[:, None] | bars.all(0)[None, :]
        filled = np.where(lines[..., None], fill, one)
        row[:] = np.asarray(Image.fromarray(filled).resize((size, size), Image.Resampling.BOX))
    return out
