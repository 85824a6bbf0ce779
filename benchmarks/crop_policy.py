"""What padding, filter, ground, views and colour do to ImageNet features, on images they never saw.

    python -m benchmarks.crop_policy [--out FILE.md]

One-nearest-neighbour class agreement on pushin-pill, copies of the same source left out. Writes
benchmarks/crop_policy.md. The vectors are the same whatever else the machine does, so it need not be quiet.
"""

from __future__ import annotations

import argparse
import datetime
import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.crops import CropPolicy, cut, open_image
from healtheat.embedding import load_encoder
from healtheat.embedding.colour import colour_histogram
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage
from healtheat.sources.groups import group_codes, group_key

Array = NDArray[Any]
HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("HEALTHEAT_SHARED", HERE.parent.parent / "shared"))
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4)


def agreement(vectors: Array, class_id: Array, source: Array) -> float:
    """Share of crops whose nearest crop of another source is of their class."""
    cosine = vectors @ vectors.T
    cosine[source[:, None] == source] = -np.inf
    return float((class_id[cosine.argmax(1)] == class_id).mean())


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "crop_policy.md")
    asked = parser.parse_args()
    data = SHARED / "data" / "pushin-pill" / "data.yaml"
    labelled = [item for item in open_source(data).read() if isinstance(item, LabelledImage)]
    class_id = np.concatenate([one.boxes.class_id for one in labelled])
    keys = np.repeat([group_key(one.path) for one in labelled], [len(one.boxes) for one in labelled])
    source = group_codes(keys)
    side = load_encoder("imagenet").spec.resolution_px

    def crops(policy: CropPolicy) -> Array:
        images = (open_image(one.file.read_bytes(), one.path) for one in labelled)
        parts = zip(images, labelled, strict=True)
        return np.concatenate([cut(image, one.boxes.xywhn, policy, side) for image, one in parts])

    def encode(policy: CropPolicy, degrees: float = 0.0) -> Array:
        return load_encoder("imagenet", views=(degrees,), colour_weight=0).encode(crops(policy))

    policies = {f"padding {p:g}": CropPolicy(padding=p) for p in (0, 0.05, 0.1, 0.15)}
    policies |= {
        "padding 0.05, bicubic": CropPolicy(resample="bicubic"),
        "padding 0.05, white ground": CropPolicy(fill=(255, 255, 255)),
        "padding 0.05, black ground": CropPolicy(fill=(0, 0, 0)),
    }
    error = np.sqrt(0.87 * 0.13 / len(class_id))
    lines = [
        "# Crop policy",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d} UTC. ImageNet EfficientNet-Lite0, {side} px. "
        f"pushin-pill, {len(class_id)} boxes.",
        "One-nearest-neighbour class agreement, copies of the same source left out; standard error of one "
        f"figure about {error:.3f}.",
        "",
        "| crops | agreement |",
        "|---|---|",
    ]
    for name, policy in policies.items():
        lines.append(f"| {name} | {agreement(encode(policy), class_id, source):.3f} |")
    lines += ["", "| views | " + " | ".join(f"colour w = {w:g}" for w in WEIGHTS) + " |"]
    lines.append("|---" * (len(WEIGHTS) + 1) + "|")
    colour = colour_histogram(crops(CropPolicy()), CropPolicy().fill)
    order = (0, 180, 90, 270)
    sums = accumulate(encode(CropPolicy(), angle) for angle in order)
    for count, total in enumerate(sums, start=1):
        row = [
            agreement(np.hstack([unit(total) * np.sqrt(1 - w), colour * np.sqrt(w)]), class_id, source)
            for w in WEIGHTS
        ]
        lines.append(
            f"| {', '.join(map(str, order[:count]))} | " + " | ".join(f"{v:.3f}" for v in row) + " |"
        )
    lines += ["", f"The colour histogram alone: {agreement(colour, class_id, source):.3f}.", ""]
    asked.out.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
