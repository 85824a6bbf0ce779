"""An index of many classes built, opened and queried with few file handles: run by test_many_classes.py."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HANDLES = 256


def write_many(root: Path, classes: int, *, an_image: int = 100) -> Path:
    """Small images with one box of each class on two of them; returns data.yaml."""
    for part in ("images", "labels"):
        (root / part / "train").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for n, start in enumerate(range(0, 2 * classes, an_image)):
        pixels = rng.integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / "train" / f"{n:03d}.png")
        lines = [
            f"{(start + i) % classes} {0.05 + 0.09 * (i % 10):.3f} {0.05 + 0.09 * (i // 10):.3f} 0.08 0.08"
            for i in range(min(an_image, 2 * classes - start))
        ]
        label = root / "labels" / "train" / f"{n:03d}.txt"
        label.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = root / "data.yaml"
    names = json.dumps([f"class {i}" for i in range(classes)])
    data.write_text(f"train: images/train\nval: images/train\nnames: {names}\n", encoding="utf-8")
    return data


def main(folder: Path, classes: int) -> None:
    """Everything in one process that may hold `HANDLES` files open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (HANDLES, HANDLES))
    from healtheat.building.build import build
    from healtheat.findings.filters import Filters
    from healtheat.findings.query import query
    from healtheat.index import Index
    from healtheat.index.search import IndexStore, search
    from healtheat.signals import SIGNALS
    from healtheat.sources import open_source
    from tests.index.small_set import FakeEncoder

    data = write_many(folder / "set", classes)
    quick = tuple(s for s in SIGNALS if s.name in ("geometry", "duplicate", "unreadable"))
    build(open_source(data), folder / "index", encoder=FakeEncoder(batch_size=64), signals=quick)
    again = build(open_source(data), folder / "index", encoder=FakeEncoder(batch_size=64), signals=quick)
    with Index.open(folder / "index") as index:
        boxes = index.boxes()
        vectors = index.vectors(boxes.box_id)
        found = search(vectors[:3], IndexStore(index), k=3)
        out = {
            "shards": len(index.manifest.class_rows()),
            "embedded_again": again.embedded,
            "rows": len(query(index, Filters(flagged_only=False))),
            "itself": found.ids[:, 0].tolist(),
            "damage": index.verify(),
        }
    print(json.dumps(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
