"""Are the accepted boxes right? New labels with planted errors, judged by the trusted half of the sources.

    python -m benchmarks.vet [--shared FOLDER] [--data DATA.yaml --groups G --encoder NAME]
        [--seeds 0,…,9] [--rates 0.05,0.1,0.2] [--bounds 0.01,0.02,0.05] [--unknown all|IDS|none]
        [--work FOLDER] [--out FILE.md]

`bench/vet_sets.py` of the shared folder makes the sets and lists the errors. Every set is vetted at every
bound; then each class in turn is a product that the index does not know. Beside it, at the same number of
accepted boxes: the vote of the ten nearest trusted crops, cleanlab's quality of the label under a logistic
regression of the trusted crops, and the distance to the middle of the class. Results go to WORK/vet.jsonl as
they come, and a run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.quality import GROUPS, SHARED
from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.core.version import __version__
from healtheat.embedding import Encoder, load_encoder
from healtheat.index import Index
from healtheat.vetting.run import VetSettings, vet

HERE = Path(__file__).parent
Floats = NDArray[np.float64]


class Remembering(Encoder):
    """An encoder that embeds equal crops once: the sets of a run share their images."""

    def __init__(self, own: Encoder) -> None:
        self.spec = own.spec
        self._own = own
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Encoder."""
        keys = [crop.tobytes() for crop in crops]
        new = [at for at, key in enumerate(keys) if key not in self._known]
        if new:
            for at, vector in zip(new, self._own.encode(crops[new]), strict=True):
                self._known[keys[at]] = vector
        return np.stack([self._known[key] for key in keys])

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError


def make(args: argparse.Namespace, out: Path, seed: int, rate: float, unknown: str = "") -> None:
    """The trusted and the new set of one seed."""
    script = args.shared / "bench" / "vet_sets.py"
    words = ["make", args.data, out, "--seed", seed, "--rate", rate, "--groups", args.groups]
    if unknown:
        words += ["--unknown", unknown]
    subprocess.run([sys.executable, script, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def peers(trusted: Index, batch: Index) -> dict[str, Floats]:
    """How suspicious each new box is to simpler methods, (m,) each."""
    known, new = trusted.boxes(), batch.boxes()
    x, y = trusted.vectors(known.box_id), known.class_id
    q, given = batch.vectors(new.box_id), new.class_id
    order = np.argsort(-(q @ x.T), axis=1)[:, :10]
    vote = (y[order] == given[:, None]).mean(axis=1)
    classes = np.unique(y)
    middle = np.stack([x[y == c].mean(axis=0) for c in classes])
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    at = np.searchsorted(classes, given).clip(max=len(classes) - 1)
    distance = 1 - (q * middle[at]).sum(axis=1)
    out = {"nearest-class vote": 1 - vote.astype(np.float64), "distance to the class": distance}
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return out
    p = LogisticRegression(max_iter=1000).fit(x, y).predict_proba(q)
    known_class = classes[at] == given
    quality = get_label_quality_scores(at, p, method="self_confidence")
    out["cleanlab"] = np.where(known_class, 1 - np.asarray(quality), 2.0)
    return out


def figures(wrong: Sequence[str], accept: NDArray[np.bool_]) -> dict[str, Any]:
    """Shares of one vetting: `wrong` has the kind of error of each box, "" where it is right."""
    kinds = np.array(wrong, object)
    right = kinds == ""
    return {
        "boxes": len(kinds),
        "wrong": int((~right).sum()),
        "accepted": int(accept.sum()),
        "bad": int((accept & ~right).sum()),
        "right_accepted": float((accept & right).sum() / max(right.sum(), 1)),
        "by_kind": {
            k: [int((accept & (kinds == k)).sum()), int((kinds == k).sum())] for k in set(wrong) if k
        },
    }


def one(
    args: argparse.Namespace, made: Path, index: Path, encoder: Encoder, head: dict[str, Any]
) -> list[dict]:
    """Vet the new set of `made` at every bound."""
    with (made / "new" / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = {(row["image"], int(row["line"])): row["kind"] for row in csv.DictReader(file)}
    batch = made / "batch"
    out = []
    for bound in args.bounds:
        source, _ = open_data(made / "new" / "data.yaml", index=batch)
        report = vet(source, index, batch, VetSettings(max_wrong=bound, guard=False), encoder=encoder)
        assert report.decisions is not None
        rows = report.decisions.to_pylist()
        wrong = [truth.get((row["image"], row["line"]), "") for row in rows]
        accept = np.array([row["decision"] == "accept" for row in rows])
        row = {**head, "bound": bound, **figures(wrong, accept)}
        row |= {
            "estimate": report.wrong,
            "low": report.low,
            "high": report.high,
            "seconds": report.seconds["total"],
        }
        with Index.open(index) as trusted, Index.open(batch) as new:
            for name, score in peers(trusted, new).items():
                first = np.zeros(len(rows), bool)
                first[np.argsort(score, kind="stable")[: int(accept.sum())]] = True
                row[name] = figures(wrong, first)
        out.append(row)
    return out


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All sets that are not in the log yet; the whole log."""
    log = args.work / "vet.jsonl"
    args.work.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    done = {(row["seed"], row["rate"], row["unknown"]) for row in rows}
    encoder = Remembering(load_encoder(args.encoder))
    classes = list(yaml.safe_load(args.data.read_text(encoding="utf-8"))["names"])
    unknown = (
        [str(c) for c in classes]
        if args.unknown == "all"
        else [c for c in args.unknown.split(",") if c != "none"]
    )
    jobs = [(seed, rate, "") for seed in args.seeds for rate in args.rates]
    jobs += [(100 + n, args.rates[len(args.rates) // 2], c) for n, c in enumerate(unknown)]
    for seed, rate, hidden in jobs:
        if (seed, rate, hidden) in done:
            continue
        made = args.work / f"{seed}-{rate}-{hidden}"
        make(args, made, seed, rate, hidden)
        index = args.work / f"index-{seed}"  # the trusted half of a seed is the same at every rate
        source, _ = open_data(made / "trusted" / "data.yaml", index=index)
        if not (index / "manifest.json").exists():
            build(source, index, encoder=encoder)
        found = one(args, made, index, encoder, {"seed": seed, "rate": rate, "unknown": hidden})
        with log.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)
            file.flush()
            os.fsync(file.fileno())
        rows += found
        print(f"seed {seed}, {rate:.0%} wrong{f', class {hidden} unknown' if hidden else ''}", flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The report as lines of Markdown."""
    out = [
        "| wrong | asked | sets | wrong among accepted | 95 % | worst | right ones accepted | estimated |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    plain = [row for row in rows if not row["unknown"]]
    for rate in sorted({row["rate"] for row in plain}):
        for bound in sorted({row["bound"] for row in plain}):
            mine = [row for row in plain if (row["rate"], row["bound"]) == (rate, bound)]
            bad = np.array([row["bad"] / max(row["accepted"], 1) for row in mine])
            half = 1.96 * bad.std(ddof=1) / np.sqrt(len(bad)) if len(bad) > 1 else float("nan")
            right = np.mean([row["right_accepted"] for row in mine])
            estimate = np.mean([row["estimate"] for row in mine])
            real = np.mean([row["wrong"] / row["boxes"] for row in mine])
            share = f"{bad.mean():.4f} | ±{half:.4f} | {bad.max():.4f}"
            out.append(f"| {real:.1%} | {bound:.0%} | {len(mine)} | {share} | {right:.3f} | {estimate:.1%} |")
    out += ["", *_kinds(plain), "", *_peers(plain), "", *_unknown([row for row in rows if row["unknown"]])]
    return out


def _kinds(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Accepted boxes of each kind of error."""
    out = ["| asked | kind of error | accepted | of |", "|---:|---|---:|---:|"]
    for bound in sorted({row["bound"] for row in rows}):
        accepted: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for row in rows:
            if row["bound"] == bound:
                for kind, (taken, there) in row["by_kind"].items():
                    accepted[kind] += taken
                    every[kind] += there
        out += [f"| {bound:.0%} | {kind} | {accepted[kind]} | {every[kind]} |" for kind in sorted(every)]
    return out


def _peers(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Wrong ones among as many accepted boxes, by other methods."""
    names = [n for n in ("nearest-class vote", "cleanlab", "distance to the class") if rows and n in rows[0]]
    out = [
        "| rate | asked | healtheat | " + " | ".join(names) + " |",
        "|---:|---:|---:|" + "---:|" * len(names),
    ]
    for rate in sorted({row["rate"] for row in rows}):
        for bound in sorted({row["bound"] for row in rows}):
            mine = [row for row in rows if (row["rate"], row["bound"]) == (rate, bound)]
            cells = [np.mean([row["bad"] / max(row["accepted"], 1) for row in mine])]
            cells += [np.mean([row[n]["bad"] / max(row[n]["accepted"], 1) for row in mine]) for n in names]
            out.append(f"| {rate:.0%} | {bound:.0%} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
    return out


def _unknown(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What became of products that the index does not know."""
    if not rows:
        return []
    out = [
        "| asked | boxes of unknown products | accepted | share | most of one product |",
        "|---:|---:|---:|---:|---:|",
    ]
    for bound in sorted({row["bound"] for row in rows}):
        pairs = [row["by_kind"].get("unknown", [0, 0]) for row in rows if row["bound"] == bound]
        accepted, every = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
        most = max(p[0] / max(p[1], 1) for p in pairs)
        out.append(f"| {bound:.0%} | {every} | {accepted} | {accepted / max(every, 1):.3f} | {most:.2f} |")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--groups", default=GROUPS)
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=list(range(10)))
    parser.add_argument("--rates", type=lambda t: [float(s) for s in t.split(",")], default=[0.05, 0.1, 0.2])
    parser.add_argument(
        "--bounds", type=lambda t: [float(s) for s in t.split(",")], default=[0.01, 0.02, 0.05]
    )
    parser.add_argument("--unknown", default="all")
    parser.add_argument("--work", type=Path, default=Path("data/vet-benchmark"))
    parser.add_argument("--out", type=Path, default=HERE / "vet.md")
    args = parser.parse_args()
    args.data = args.data or args.shared / "data" / "pushin-pill" / "data.yaml"
    rows = run(args)
    words = f"`python -m benchmarks.vet`, {args.data.parent.name}, encoder {args.encoder}, {__version__}"
    text = "\n".join(["# Vetting new labels", "", words, "", *table(rows), ""])
    args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
