"""Indexes of drawn images for the benchmark of the review page, with as many findings as asked for."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.pixel_encoder import PixelEncoder
from healtheat.building.build import build
from healtheat.embedding import Encoder, load_encoder
from healtheat.sources.yolo.source import YoloSource

IMAGE_PX = (976, 1280)
CLASSES = 12
SIDE = 20  # boxes a side on a crowded image


def trays(folder: Path, *, images: int = 60) -> Path:
    """An index of images with four boxes each, embedded with `imagenet`: images as people have them."""
    return _index(folder, images, 2, 95, load_encoder("imagenet"))


def crowded(folder: Path, *, boxes: int) -> Path:
    """An index of at least `boxes` boxes, 400 on an image, embedded with `PixelEncoder`: for the map."""
    return _index(folder, -(-boxes // SIDE**2), SIDE, 20, PixelEncoder(dim=32, batch_size=256, centre=128))


def fill(index: Path, findings: int, *, each: int = 1) -> None:
    """Replace the findings of the catalog: one on every `each`-th box, starting over where boxes run out."""
    with duckdb.connect(str(index / "catalog.duckdb")) as catalog:
        counted = catalog.execute("SELECT count(*) FROM boxes").fetchone()
        assert counted
        catalog.execute("DELETE FROM findings")
        catalog.execute(
            "INSERT INTO findings SELECT n, 0, b.box_id, b.image_id, b.line, b.class_id, 'mislabel', "
            "0.5 + hash(n) % 100000 / 200000, 0.5, 'label', 'made up', (b.class_id + 1) % ?, '{}', true "
            "FROM range(?) t(n) JOIN boxes b ON b.box_id = n * ? % ?",
            [CLASSES, findings, each, counted[0]],
        )
        catalog.execute("CHECKPOINT")


def _index(folder: Path, images: int, side: int, radius_px: int, encoder: Encoder) -> Path:
    random = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    width, height = IMAGE_PX
    for number in range(images):
        image = Image.fromarray(random.integers(150, 170, (height, width, 3), dtype=np.uint8))
        draw, lines = ImageDraw.Draw(image), []
        for box in range(side * side):
            class_id = (number + box) % CLASSES
            x, y = width * (box % side + 0.5) / side, height * (box // side + 0.5) / side
            across, down = radius_px, radius_px * 0.7
            shade = 20 * class_id + int(random.integers(-15, 16))
            draw.ellipse((x - across, y - down, x + across, y + down), fill=(shade, 255 - shade, 128))
            sizes = (2 * across / width, 2 * down / height)
            lines.append(f"{class_id} {x / width} {y / height} {sizes[0]} {sizes[1]}")
        image.save(folder / f"images/{number:03}.jpg", quality=90)
        (folder / f"labels/{number:03}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = "\n".join(f"  {i}: 약 {i}" for i in range(CLASSES))
    text = f"path: .\ntrain: images\nnames:\n{names}\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    build(YoloSource(folder / "data.yaml"), folder / "index", encoder=encoder, signals=())
    return folder / "index"
