"""What the search for missing boxes costs: seconds an image, and its share of a build.

    python -m benchmarks.missing_cost [--sides 640,1280] [--images 150] [--encoder pill] [--work FOLDER]

One image a source of pushin-pill, the longer side scaled to each of --sides; built without the search, then
with it in a new index, each in a process of its own. On whatever this runs on, with nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

import healtheat
from benchmarks.end_to_end_data import write_yaml
from benchmarks.pseudo_labels_data import add_image, read_set
from benchmarks.quality import SHARED
from healtheat.sources.groups import group_key


def write_set(out: Path, data: Path, side: int, images: int) -> Path:
    """One image a source, its longer side `side` pixels; returns data.yaml."""
    shutil.rmtree(out, ignore_errors=True)
    found, names = read_set(data)
    first: dict[str, str] = {}
    for path in sorted(found):
        first.setdefault(group_key(path), path)
    for path in list(first.values())[:images]:
        one = found[path]
        scaled = out / "scaled" / one.file.name
        scaled.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(one.file) as image:
            factor = side / max(image.size)
            size = round(image.width * factor), round(image.height * factor)
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(scaled, quality=92)
        add_image(out / "set", scaled, one.boxes)
    folder = str((out / "set/images/train").resolve())
    write_yaml(out / "set/data.yaml", {"train": folder, "val": folder, "names": dict(names)})
    return out / "set/data.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED / "data/pushin-pill/data.yaml")
    parser.add_argument("--sides", type=lambda t: [int(s) for s in t.split(",")], default=[640, 1280])
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--work", type=Path, default=Path("data/missing-benchmark"))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        data, index, missing = args.one
        report = healtheat.build(data, index=index, encoder=args.encoder, missing=missing == "yes")
        print(json.dumps({"images": report.images, "boxes": report.boxes, "total": report.seconds["total"]}))
        return
    print(f"{os.cpu_count()} CPUs\n")
    head = ("longer side, px", "images", "boxes", "build, s", "with the search, s", "search, s an image")
    print(f"| {' | '.join((*head, 'its share'))} |\n{'|--:' * 7}|")
    for side in args.sides:
        home = args.work / f"cost-{side}"
        data = write_set(home, args.data, side, args.images)
        told = []
        for missing in ("no", "yes"):
            index = home / f"index-{missing}"
            shutil.rmtree(index, ignore_errors=True)
            words = [sys.executable, "-m", "benchmarks.missing_cost", "--encoder", args.encoder]
            words += ["--one", str(data), str(index), missing]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            told.append(json.loads(done.stdout.splitlines()[-1]))
        plain, searched = (one["total"] for one in told)
        images = told[0]["images"]
        cells = [side, images, told[0]["boxes"], f"{plain:.1f}", f"{searched:.1f}"]
        cells += [f"{(searched - plain) / images:.2f}", f"{(searched - plain) / searched:.0%}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
