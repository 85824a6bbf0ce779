"""The demo set: are boxes that are missing, and boxes off their pill, found, and at the right place?

    python -m benchmarks.missing_demo [--images 300] [--seeds 0] [--encoder pill] [--work FOLDER]

`found`: a flagged finding of any issue is at the missing class of the image, or at the line of the shifted
box (as `healtheat demo` counts). `placed`: a finding there proposes a place that overlaps the pill, as it was
drawn, by an IoU of 0.5 or more. The search takes part (`--missing`), and so do the names of the images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import healtheat
from benchmarks.missing import corners
from healtheat.core.overlap import iou
from healtheat.drawing.make import make_demo
from healtheat.drawing.plan import HEIGHT_PX, WIDTH_PX, plan_scenes
from healtheat.drawing.plant import choose, image_path, with_blur
from healtheat.drawing.products import PRODUCTS
from healtheat.drawing.render import render
from healtheat.drawing.truth import Truth

KINDS = ("missing", "shifted")


def drawn(seed: int, images: int, wanted: set[str]) -> dict[str, list[tuple[int, NDArray[np.float64]]]]:
    """Image → class and box (4,) xyxyn of each pill on it, for the images that are wanted."""
    scenes = plan_scenes(seed, images, PRODUCTS)
    plan = choose(seed, scenes)
    out = {}
    for scene in scenes:
        if image_path(scene) in wanted:
            boxes = np.array(render(with_blur(scene, plan)).boxes_xyxy_px, np.float64)
            boxes /= [WIDTH_PX, HEIGHT_PX] * 2
            out[image_path(scene)] = [
                (pill.product.class_id, box) for pill, box in zip(scene.pills, boxes, strict=True)
            ]
    return out


def at(error: Truth, row: dict[str, Any]) -> bool:
    """Whether a finding is about the error."""
    if row["image"] != error.image:
        return False
    if error.kind == "missing":
        return bool(row["line"] < 0 and row["class_id"] == error.true_class)
    return bool(row["line"] == error.line)


def placed(row: dict[str, Any], boxes: Sequence[NDArray[np.float64]]) -> bool:
    """Whether the finding proposes a place that is one of the boxes."""
    place = [row[f"{'' if row['line'] < 0 else 'fit_'}{name}"] for name in ("cx", "cy", "w", "h")]
    if any(value is None for value in place):
        return False
    return bool(iou(corners(np.array([place], np.float64)), np.array(boxes)).max() >= 0.5)


def one(seed: int, args: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Kind → planted, found, placed."""
    home = args.work / f"demo-{args.images}-{seed}"
    made = make_demo(home / "set", seed=seed, images=args.images)
    healtheat.build(made.data_yaml, index=home / "index", encoder=args.encoder, missing=True)
    rows = healtheat.query(home / "index", all_=True).to_pylist()
    errors = [error for error in made.truth if error.kind in KINDS]
    true = drawn(seed, args.images, {error.image for error in errors})
    out = {kind: {"planted": 0, "found": 0, "placed": 0} for kind in KINDS}
    for error in errors:
        mine = [row for row in rows if at(error, row)]
        boxes = [box for class_id, box in true[error.image] if class_id == error.true_class]
        count = out[error.kind]
        count["planted"] += 1
        count["found"] += any(row["flagged"] for row in mine)
        count["placed"] += any(placed(row, boxes) for row in mine)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[0])
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--work", type=Path, default=Path("data/missing-benchmark"))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print("| kind | seed | planted | found | placed |\n|---|--:|--:|--:|--:|")
    for seed in args.seeds:
        for kind, count in one(seed, args).items():
            cells = " | ".join(str(count[name]) for name in ("planted", "found", "placed"))
            print(f"| {kind} | {seed} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
