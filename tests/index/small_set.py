"""A tiny YOLO dataset and an encoder that needs no network: what the tests of build and index run on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.pixel_encoder import PixelEncoder

NAMES = {0: "타이레놀정500mg", 3: "<script>", 7: "plain", 12: "never used"}


class FakeEncoder(PixelEncoder):
    """Counts the crops it was given."""

    def __init__(self, *, dim: int = 12, resolution_px: int = 16, batch_size: int = 4) -> None:
        super().__init__("fake", dim=dim, batch_size=batch_size, resolution_px=resolution_px)
        self.crops_seen = 0

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.crops_seen += len(crops)
        return super().encode(crops)


def write_set(root: Path, *, images: int = 12, boxes: int = 3, seed: int = 11) -> Path:
    """`images` small images with `boxes` coloured discs each, labelled; returns data.yaml."""
    random = np.random.default_rng(seed)
    classes = (0, 3, 7)
    for number in range(images):
        folder = "train" if number % 4 else "valid"
        name = f"사진 {number:02d}"
        (root / folder / "images").mkdir(parents=True, exist_ok=True)
        (root / folder / "labels").mkdir(parents=True, exist_ok=True)
        pixels = random.integers(120, 140, (60, 80, 3), dtype=np.uint8)
        lines = []
        for box in range(boxes):
            class_id = classes[(number + box) % 3]
            x, y = 13 + 26 * box, int(random.integers(15, 45))
            colour = np.zeros(3, np.uint8)
            colour[classes.index(class_id)] = random.integers(200, 255)
            rows, columns = np.ogrid[:60, :80]
            pixels[(columns - x) ** 2 + (rows - y) ** 2 < 64] = colour
            lines.append(f"{class_id} {x / 80:.6f} {y / 60:.6f} {18 / 80:.6f} {18 / 60:.6f}")
        Image.fromarray(pixels).save(root / folder / "images" / f"{name}.png")
        label = root / folder / "labels" / f"{name}.txt"
        label.write_bytes(("\n".join(lines) + "\n").encode())
    names = "\n".join(f"  {class_id}: {name!r}" for class_id, name in NAMES.items())
    data = root / "data.yaml"
    text = f"train: train/images\nval: valid/images\nnames:\n{names}\n"
    data.write_text(text, encoding="utf-8", newline="\n")
    return data


def tables(index_path: Path, only: Sequence[str] = ()) -> dict[str, object]:
    """What must not depend on how an index came about: rows without times, vectors, hashes."""
    from healtheat.index import Index
    from healtheat.index.tables import TABLES

    with Index.open(index_path) as index:
        assert index.verify() == []
        content: dict[str, object] = {}
        for table in only or TABLES:
            columns = [c for c in TABLES[table] if c not in ("started_at", "added_at", "seconds")]
            rows = index.sql(f"SELECT {', '.join(columns)} FROM {table} ORDER BY ALL")
            content[table] = [tuple(row.values()) for row in rows.to_pylist()]
        content["vectors"] = index.vectors(index.boxes().box_id).tobytes()
        content["background vectors"] = index.background().tobytes()
        manifest = index.manifest.model_dump(exclude={"created_at", "files", "libraries"})
        shards = {k: v.sha256 for k, v in index.manifest.files.items() if k.startswith("vectors/")}
        content["manifest"] = (manifest, shards)
    return content
