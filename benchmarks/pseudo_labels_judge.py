"""How many of the pseudo-labels that vet accepts are right, beside as many of the most confident?

    python -m benchmarks.pseudo_labels_judge HOME [--confs 0.25,0.5] [--bounds 0.02,0.05,0.1] [--out FILE]

HOME is the folder of settings that `python -m benchmarks.pseudo_labels --arms labelled` made in its --work.
The boxes of each seed's detector at a confidence or more are one batch, vetted against the labelled part at
every bound; nothing is trained. Right is the class, and the place at an IoU of 0.5; a true box counts once.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import healtheat
from benchmarks.pseudo_labels import PARTS_FILE, RESULT, Loop, predict
from benchmarks.pseudo_labels_data import Found, count_right, most_confident, write_predictions
from healtheat.core.atomic import write_file


def vetted(loop: Loop, found: Sequence[Found], bound: float, work: Path) -> tuple[list[Found], float]:
    """The boxes as vet decided on them, and the share of wrong ones that it estimates."""
    index = loop.home / "index"
    report = healtheat.vet(
        loop.parts / "rest",
        index,
        predictions=work / "predictions",
        to=work / "batch",
        max_wrong=bound,
        no_guard=True,
    )
    rows = [] if report.decisions is None else report.decisions.to_pylist()
    decided = [
        Found(
            Path(row["image"]).name,
            (row["class_id"], row["cx"], row["cy"], row["w"], row["h"]),
            row["confidence"],
            row["decision"] == "accept",
        )
        for row in rows
    ]
    return decided, report.wrong


def judge(loop: Loop, confs: Sequence[float], bounds: Sequence[float]) -> Iterator[dict[str, Any]]:
    """A row for each confidence and bound."""
    truth = loop.truth()
    weights = loop.folder("labelled", 0) / "run" / "weights" / "last.pt"
    found = predict(weights, loop.parts / "rest", min(confs), loop.settings)
    healtheat.build(
        loop.parts / "labelled" / "data.yaml", index=loop.home / "index", encoder=loop.settings["encoder"]
    )
    for conf in confs:
        batch = [one for one in found if one.confidence >= conf]
        work = loop.home / f"judge-{conf:g}"
        shutil.rmtree(work, ignore_errors=True)
        write_predictions(batch, work / "predictions")
        for bound in bounds:
            decided, estimate = vetted(loop, batch, bound, work)
            accepted = [one for one in decided if one.accepted]
            yield {
                "seed": loop.seed,
                "conf": conf,
                "bound": bound,
                "boxes": len(decided),
                "right": count_right(decided, truth),
                "estimate": estimate,
                "accepted": len(accepted),
                "right_of_accepted": count_right(accepted, truth),
                "right_of_confident": count_right(most_confident(decided, len(accepted)), truth),
            }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    out = ["| seed | confidence | asked | boxes | wrong | estimated | accepted | right | most confident |"]
    out.append("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for r in rows:
        wrong = 1 - r["right"] / max(r["boxes"], 1)
        of = max(r["accepted"], 1)
        shares = (
            [f"{r['right_of_accepted'] / of:.3f}", f"{r['right_of_confident'] / of:.3f}"]
            if r["accepted"]
            else ["", ""]
        )
        cells = [
            r["seed"],
            r["conf"],
            f"{r['bound']:.0%}",
            r["boxes"],
            f"{wrong:.1%}",
            f"{r['estimate']:.1%}",
        ]
        out.append(f"| {' | '.join(map(str, [*cells, r['accepted'], *shares]))} |")
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("--confs", type=lambda t: [float(c) for c in t.split(",")], default=[0.25, 0.5])
    parser.add_argument(
        "--bounds", type=lambda t: [float(c) for c in t.split(",")], default=[0.02, 0.05, 0.1]
    )
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for folder in sorted(args.home.glob(f"seed-*/{PARTS_FILE}")):
        home = folder.parent
        about = json.loads((home / "labelled" / RESULT).read_text(encoding="utf-8"))
        loop = Loop(home, int(about["seed"]), about["settings"])
        for row in judge(loop, args.confs, args.bounds):
            rows.append(row)
            print(json.dumps(row), flush=True)
    text = "# Pseudo-labels, vetted\n\n`python -m benchmarks.pseudo_labels_judge`\n\n" + table(rows)
    if args.out:
        write_file(args.out, text.encode())
    print(text)


if __name__ == "__main__":
    main()
