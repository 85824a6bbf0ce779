"""Write `encoder.json` beside an exported image tower, so that healtheat can load the folder.

    python training/encoder_json.py healtheat/encoders/pill --name pill [--views 0,90] [--colour-weight 0.2]

Takes sizes from `preprocess.json`, the hash from `image.onnx`. Run it after every export: an encoder.json
whose hash is not that of image.onnx is refused when it is loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from healtheat.encoders.colour import COLOUR_DIM
from healtheat.encoders.onnx import OnnxEncoder
from healtheat.encoders.spec import EncoderSpec


def spec_of(folder: Path, asked: argparse.Namespace) -> EncoderSpec:
    """The spec of the exported tower in `folder` under the policy asked for."""
    exported: dict[str, Any] = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
    dim = exported["dim"]
    return EncoderSpec(
        name=asked.name,
        weights_sha256=hashlib.sha256((folder / "image.onnx").read_bytes()).hexdigest(),
        tower_dim=dim,
        dim=dim + (COLOUR_DIM if asked.colour_weight else 0),
        resolution_px=exported["resolution_px"],
        mean=exported["mean"],
        std=exported["std"],
        resample=exported["interpolation"],
        fill=exported["fill"],
        padding=asked.padding,
        views=tuple(float(angle) for angle in asked.views.split(",")),
        colour_weight=asked.colour_weight,
        batch_size=asked.batch_size,
        source=dict(pair.split("=", 1) for pair in asked.source),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--views", default="0")
    parser.add_argument("--colour-weight", type=float, default=0.0)
    parser.add_argument("--padding", type=float, default=0.05)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--source", nargs="*", default=[], metavar="KEY=VALUE", help="weights, licence …")
    asked = parser.parse_args()
    spec = spec_of(asked.folder, asked)
    part = asked.folder / "encoder.json.part"
    part.write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    part.replace(asked.folder / "encoder.json")
    encoder = OnnxEncoder.load(asked.folder)
    shape = (1, spec.resolution_px, spec.resolution_px, 3)
    vector = encoder.encode(np.full(shape, 128, np.uint8))
    print(f"{asked.folder / 'encoder.json'}: {vector.shape[1]} numbers a crop, {spec.fingerprint[:12]}")


if __name__ == "__main__":
    main()
