"""Stray boxes and genuine rare classes: what is said of each class of an index, cut or robbed in turn.

Cut: all but one or two of its boxes are left out, and none must be flagged. Robbed: one or two of its boxes
get a class of their own, and must be found. `python -m benchmarks.stray INDEX… --half report`: classes are
halved by their order. Only the part of the label signal that
judges such classes is run, on the index's vectors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from healtheat.index import Index
from healtheat.signals.evidence.stray import Strays, strays
from healtheat.signals.samples import Samples, samples_from

FEWEST = 8  # boxes of a class that is cut or robbed
NEW = -1  # code of the class that relabelled boxes get


def asked(samples: Samples, code: NDArray[np.int64], keep: NDArray[np.bool_], class_code: int) -> Strays:
    """What is said of the boxes of one class among those kept; ValueError where nothing can be asked."""
    rows = np.flatnonzero(code[keep] == class_code)
    found = strays(samples.vectors[keep], code[keep], samples.group[keep], rows, np.ones(keep.sum(), bool))
    if found is None:
        raise ValueError("too few classes to learn from")
    return found


def trial(samples: Samples, class_code: int, boxes: int, seed: int) -> tuple[int, int, int]:
    """(genuine boxes flagged, stray ones found, of those with the right class) of `boxes` each."""
    rng = np.random.default_rng((seed, class_code, boxes))
    rows = np.flatnonzero(samples.class_code == class_code)
    picked = rng.choice(rows, boxes, replace=False)
    keep = np.ones(len(samples), bool)
    keep[np.setdiff1d(rows, picked)] = False
    genuine = asked(samples, samples.class_code, keep, class_code)
    code = samples.class_code.copy()
    code[picked] = NEW
    stray = asked(samples, code, np.ones(len(samples), bool), NEW)
    found = stray.chance >= 0.5
    return (
        int((genuine.chance >= 0.5).sum()),
        int(found.sum()),
        int((found & (stray.code == class_code)).sum()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", nargs="+", type=Path)
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(
        "| set | boxes of the class | boxes asked | genuine flagged | stray found | of those, right class |"
    )
    print("|---|---|---|---|---|---|")
    for folder in args.index:
        with Index.open(folder, verify=False) as index:
            samples = samples_from(index)
        classes = np.flatnonzero(samples.class_count >= FEWEST)[args.half == "report" :: 2]
        for boxes in (1, 2):
            rows = np.array([trial(samples, k, boxes, args.seed) for k in classes.tolist()])
            flagged, found, right = rows.sum(axis=0).tolist()
            of = boxes * len(classes)
            shares = f"{flagged / of:.1%} | {found / of:.0%} | {right} of {found}"
            print(f"| {folder.name} | {boxes} | {of} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
