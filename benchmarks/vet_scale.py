"""What a vet of new boxes costs against indexes of growing size: seconds, memory, calls of the encoder.

    python -m benchmarks.vet_scale [--boxes 1000 20000 100000] [--new 1000] [--out FILE.md]

Synthetic images of 49 coloured discs, 54 classes, an encoder of 512 dimensions that costs next to nothing:
the time is that of everything but embedding. The first vet learns the index, the second uses that.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.pixel_encoder import PixelEncoder
from healtheat.building.append import add
from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.vetting.open_batch import open_batch
from healtheat.vetting.run import vet

HERE = Path(__file__).parent
CLASSES, A_ROW, SIDE_PX = 54, 7, 56
COLOURS = [colorsys.hsv_to_rgb(i / CLASSES, 0.9 if i % 2 else 0.5, 0.9) for i in range(CLASSES)]


class Counting(PixelEncoder):
    """Counts the crops."""

    crops = 0

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Encoder."""
        self.crops += len(crops)
        return super().encode(crops)


def encoder() -> Counting:
    return Counting(dim=512, batch_size=64, resolution_px=16, centre=127)


def write_set(root: Path, boxes: int, seed: int) -> Path:
    """A YOLO set of `boxes` discs, up to 49 an image; returns its data.yaml."""
    rng = np.random.default_rng(seed)
    a_image, pixels = A_ROW * A_ROW, A_ROW * SIDE_PX
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2
    disc = (x**2 + y**2 < 400)[..., None]
    for number, start in enumerate(range(0, boxes, a_image)):
        image = rng.normal(128, 10, (pixels, pixels, 3))
        lines = []
        for place in range(min(a_image, boxes - start)):
            row, column = divmod(place, A_ROW)
            class_id = int(rng.integers(CLASSES))
            cell = image[row * SIDE_PX : (row + 1) * SIDE_PX, column * SIDE_PX : (column + 1) * SIDE_PX]
            colour = 255 * np.array(COLOURS[class_id]) + rng.normal(0, 6, 3)
            cell[:] = np.where(disc, colour + rng.normal(0, 8, cell.shape), cell)
            shown = class_id if rng.random() > 0.05 else int(rng.integers(CLASSES))
            centre = (column + 0.5) / A_ROW, (row + 0.5) / A_ROW
            lines.append(f"{shown} {centre[0]:.6f} {centre[1]:.6f} {42 / pixels:.6f} {42 / pixels:.6f}\n")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
            root / "images" / f"{seed}-{number:05d}.jpg"
        )
        text = "".join(lines)
        (root / "labels" / f"{seed}-{number:05d}.txt").write_text(text, encoding="utf-8", newline="\n")
    names = "\n".join(f"  {i}: class {i}" for i in range(CLASSES))
    data = root / "data.yaml"
    data.write_text(f"train: images\nval: images\nnames:\n{names}\n", encoding="utf-8", newline="\n")
    return data


def one(folder: Path, boxes: int, new: int) -> dict[str, float]:
    """Seconds and crops of the two vets and of `add` without scoring; `GB` is the peak of the process."""
    batch = write_set(folder / "new", new, seed=2)
    out: dict[str, float] = {}
    for word in ("first vet", "second vet"):
        eyes = encoder()
        source, to = open_batch(batch, folder / "index", to=folder / word)
        started = time.perf_counter()
        report = vet(source, folder / "index", to, encoder=eyes)
        out[word] = time.perf_counter() - started
        out[f"{word}, learning"] = report.seconds["learn"]
        out[f"{word}, judging"] = report.seconds["score"]
        out[f"{word}, crops"] = eyes.crops
    out["accepted"] = report.accepted / report.boxes
    eyes = encoder()
    source, _ = open_data(batch, index=folder / "index")
    started = time.perf_counter()
    add(source, folder / "index", encoder=eyes, signals=())
    out["add, without the signals"] = time.perf_counter() - started
    out["add, crops"] = eyes.crops
    out["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, nargs="+", default=[1_000, 20_000, 100_000])
    parser.add_argument("--new", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=HERE / "vet_scale.md")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.boxes[0], args.new)))
        return
    columns = []
    for boxes in args.boxes:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            source, to = open_data(write_set(folder / "set", boxes, seed=1), index=folder / "index")
            build(source, to, encoder=encoder(), signals=())
            words = [sys.executable, "-m", "benchmarks.vet_scale", "--one", made, "--new", str(args.new)]
            done = subprocess.run(
                [*words, "--boxes", str(boxes)], check=True, stdout=subprocess.PIPE, text=True
            )
        columns.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{boxes:,} boxes: {columns[-1]}", file=sys.stderr, flush=True)
    lines = [
        f"# Vetting {args.new:,} boxes against an index of …",
        "",
        "`python -m benchmarks.vet_scale`: seconds without embedding, on two cores; `crops` are those"
        " embedded, `GB` the peak of the process. The first vet of an index learns from it, later ones use"
        " what it kept.",
        "",
        "| | " + " | ".join(f"{boxes:,} boxes" for boxes in args.boxes) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in columns[0]:
        shown = "{:,.0f}" if name.endswith("crops") else "{:.2f}"
        lines.append(f"| {name} | " + " | ".join(shown.format(column[name]) for column in columns) + " |")
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
