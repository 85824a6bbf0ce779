"""How long scoring takes on large sets: every signal, then the findings, on made vectors.

    python -m benchmarks.scale [--boxes 20000 100000] [--classes 54] [--dim 512] [--out FILE.md]

Vectors are clusters of classes (a mean a class, noise, four boxes an image, 2 % wrong labels). Measured are
time and memory, not quality. Each size runs in a process of its own. Writes benchmarks/scale.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.throughput import machine
from healtheat.findings.flag import find
from healtheat.findings.run import run_signals
from healtheat.signals import SIGNALS, Samples
from healtheat.signals.samples import MEASURES

HERE = Path(__file__).resolve().parent


def made(boxes: int, classes: int, dim: int, seed: int = 0) -> Samples:
    """`boxes` samples, four an image, with tiles of background."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes + 1, dim)).astype(np.float32)
    code = rng.integers(0, classes, boxes)

    def cluster(of: np.ndarray) -> np.ndarray:
        rows = centres[of] + 0.8 * rng.standard_normal((len(of), dim), np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    vectors, tiles = cluster(code), cluster(np.full(max(boxes // 3, 20), classes))
    wrong = rng.random(boxes) < 0.02
    given = np.where(wrong, rng.integers(0, classes, boxes), code)
    image, place = np.arange(boxes) // 4, np.arange(boxes) % 4
    size = 0.1 + 0.02 * rng.random((2, boxes))
    measures = np.zeros(boxes, MEASURES)
    measures["dhash"] = rng.integers(1, 2**63, boxes, dtype=np.uint64)
    measures["sharpness"], measures["contrast"] = rng.uniform(90, 110, (2, boxes))
    measures["brightness"] = rng.uniform(0.4, 0.6, boxes)
    xywhn = np.column_stack([0.25 + 0.5 * (place % 2), 0.25 + 0.5 * (place // 2), *size])
    return Samples.of(given, vectors, xywhn=xywhn, image_id=image, background=tiles, measures=measures)


def one(boxes: int, classes: int, dim: int) -> dict[str, float]:
    """Seconds by signal, of the findings and in all; `GB` is the peak of the process."""
    samples = made(boxes, classes, dim)
    started = time.perf_counter()
    _ = samples.neighbours
    out = {"search of neighbours": time.perf_counter() - started}
    scores, runs, _ = run_signals(samples, SIGNALS)
    for run in runs.to_pylist():
        if run["status"] != "ok":
            raise SystemExit(f"{run['signal']} crashed: {run['error']}")
        out[f"signal {run['signal']}"] = run["seconds"]
    at = time.perf_counter()
    find(scores)
    out["findings"] = time.perf_counter() - at
    out["all"] = time.perf_counter() - started
    out["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--classes", type=int, default=54)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--out", type=Path, default=HERE / "scale.md")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.classes, args.dim)))
        return
    columns = []
    for boxes in args.boxes:
        command = [sys.executable, "-m", "benchmarks.scale", "--one", str(boxes)]
        command += ["--classes", str(args.classes), "--dim", str(args.dim)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
        columns.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{boxes:,} boxes: {columns[-1]}", file=sys.stderr, flush=True)
    lines = [
        "# Scoring large sets",
        "",
        f"`python -m benchmarks.scale --boxes {' '.join(map(str, args.boxes))}`, "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}.",
        "",
        f"Synthetic vectors: {args.classes} classes, {args.dim} numbers, four boxes an image, a tile of",
        "background for three boxes. Seconds from vectors in memory to findings, without embedding;",
        "GB is the peak of the process.",
        "",
        "| seconds | " + " | ".join(f"{boxes:,} boxes" for boxes in args.boxes) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in columns[0]:
        lines.append(f"| {name} | " + " | ".join(f"{column[name]:.1f}" for column in columns) + " |")
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
