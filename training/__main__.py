"""`python -m training --work DIR` makes the shipped encoder from the images: cut, train, export. Resumes."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import torch

from training.prepare import image_root, prepare
from training.train import Settings, train

AVERAGED = 5  # checkpoints at the end of the run whose mean is shipped


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for crops, checkpoints and the curve"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-export", action="store_true")
    parser.add_argument(
        "--out", type=Path, help="folder for the encoder; the shipped one, for a run of all steps"
    )
    for f in fields(Settings):
        parser.add_argument("--" + f.name.replace("_", "-"), type=type(f.default), default=f.default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    def tell(line: str) -> None:
        print(line, flush=True)

    if not (given.work / "pills.jsonl").exists():
        tell(str(prepare(given.work, image_root(), given.threads)))
    settings = Settings(**{f.name: getattr(given, f.name) for f in fields(Settings)})
    train(given.work, settings, tell)
    if settings.steps != Settings().steps and given.out is None and not given.no_export:
        tell("not exported: a run of other than all steps does not replace the shipped encoder; give --out")
    elif not given.no_export:
        from training.batches import load_material
        from training.export import SHIPPED, export

        material = load_material(given.work, settings.seed)
        last = sorted(given.work.glob("step*.pt"))[-AVERAGED:]
        tell(str(export(last, material, seed=settings.seed, out=given.out or SHIPPED)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
