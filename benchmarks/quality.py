"""Planted errors: healtheat beside its peers, on the same vectors in the same run.

    python -m benchmarks.quality [--data DATA.yaml] [--groups "3,5;0,8"] [--one-per-source MARK]
        [--seeds 0,1,2] [--encoders imagenet,pill] [--profiles …] [--out FOLDER]

Plants errors (benchmarks/planter.py) in the hard setting (one image per source, 8 % of the boxes), builds an
index with the public `build`, and scores every queue as rank_quality.py does: a box counts with its highest
score. Writes quality.csv (one row a planting and method) and quality.md (means over the seeds).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.peers import PEERS
from benchmarks.planter import plant as plant_errors
from healtheat.building.build import build
from healtheat.core.atomic import write_file
from healtheat.embedding import DEFAULT, load_encoder
from healtheat.findings.filters import Filters
from healtheat.findings.query import query
from healtheat.index import Index
from healtheat.signals import SIGNALS, Samples, samples_from
from healtheat.sources import open_source

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("HEALTHEAT_SHARED", HERE.parents[1] / "shared"))
GROUPS = "3,5,7,13;0,8,10,14;1,4,6,11,12,16;2,9,15"  # look-alikes of pushin-pill
QUEUES: dict[str, tuple[str, ...]] = {
    "flips": ("mislabel",),
    "confuse": ("mislabel",),
    "boxes": ("bad_box", "background"),
    "spurious": ("bad_box", "background"),
    "mixed": (),
}
RANKING = "healtheat"
# Labels of the published set that are plainly wrong (a blue and yellow capsule and a green gel capsule, both
# called allerclear, a white tablet): a good ranking has them on top, where they count as false alarms.
NATURAL = "IMG_6079-"
NATURAL_CENTRES = ((0.6229166666666667, 0.6436864097629865), (0.23958333333333334, 0.41746352298576406))

Floats = NDArray[np.float64]


RATE = 0.08  # share of the boxes with an error


@dataclass(frozen=True, slots=True)
class Setting:
    """What is planted in: a data set, its look-alike classes, and what tells copies of one source."""

    data: Path = SHARED / "data" / "pushin-pill" / "data.yaml"
    groups: str = GROUPS
    one_per_source: str = ".rf."


def plant(profile: str, seed: int, out: Path, setting: Setting | None = None) -> Path:
    """A planted copy of the data set (default: pushin-pill)."""
    setting = setting or Setting()
    plant_errors(
        setting.data,
        out,
        profile=profile,
        rate=RATE,
        seed=seed,
        groups=setting.groups,
        one_per_source=setting.one_per_source,
    )
    return out


def truth(samples: Samples, folder: Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) which boxes are planted errors, and which are known to be wrong in the published set."""
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        planted = {(row["image"], int(row["line"])) for row in csv.DictReader(file) if row["line"] != "-1"}
    path = samples.images.path[samples.image_row]
    keys = list(zip(path.tolist(), samples.boxes.line.tolist(), strict=True))
    errors = np.array([key in planted for key in keys], bool)
    centre = samples.boxes.xywhn[:, :2]
    known = np.zeros(len(keys), bool)
    for spot in NATURAL_CENTRES:
        known |= np.abs(centre - spot).max(axis=1) < 1e-5
    known &= np.array([NATURAL in p for p in path], bool) & ~errors
    return errors, known


def figures(score: Floats, errors: NDArray[np.bool_], known: NDArray[np.bool_]) -> dict[str, float]:
    """AP, AUROC and precision at the number of errors; `ap_checked`: without the boxes known to be wrong."""
    top = np.argsort(-score, kind="stable")[: errors.sum()]
    return {
        "ap": float(average_precision_score(errors, score)),
        "ap_checked": float(average_precision_score(errors[~known], score[~known])),
        "auroc": float(roc_auc_score(errors, score)),
        "p_at_errors": float(errors[top].mean()),
    }


def rankings(index: Index, samples: Samples, profile: str) -> dict[str, Floats]:
    """healtheat's own: the profile's queues from the rows that `query --all` lists, and each signal alone."""
    rows = query(index, Filters(issues=QUEUES[profile], flagged_only=False)).to_pylist()
    out = {RANKING: np.full(len(samples), -1.0)}
    place = {int(box): row for row, box in enumerate(samples.boxes.box_id)}
    for row in rows:
        if row["box_id"] >= 0:
            at = place[row["box_id"]]
            out[RANKING][at] = max(out[RANKING][at], row["score"])
    scores = index.scores().to_pylist()
    for signal in SIGNALS:
        own = [row for row in scores if row["signal"] == signal.name and row["box_id"] >= 0]
        if own:
            alone = np.full(len(samples), -1.0)
            for row in own:
                if row["score"] is not None:
                    at = place[row["box_id"]]
                    alone[at] = max(alone[at], row["score"])
            out[f"signal {signal.name}"] = alone
    return out


def measure(
    encoder_name: str, profile: str, seed: int, work: Path, peers: bool, setting: Setting | None = None
) -> list[dict[str, object]]:
    """One row a method."""
    folder = plant(profile, seed, work / f"{profile}-{seed}", setting)
    index_dir = work / f"index-{encoder_name}"  # built again and again: only what is new is embedded
    report = build(open_source(folder / "data.yaml"), index_dir, encoder=load_encoder(encoder_name))
    if report.failures:
        raise SystemExit(f"signals crashed: {', '.join(map(str, report.failures))}")
    rows: list[dict[str, object]] = []

    def add(method: str, score: Floats, seconds: float | None) -> None:
        rows.append(
            {
                "encoder": encoder_name,
                "profile": profile,
                "seed": seed,
                "method": method,
                "boxes": len(score),
                "errors": int(errors.sum()),
                **figures(score, errors, known),
                "seconds": seconds,
            }
        )

    with Index.open(index_dir, verify=False) as index:
        samples = samples_from(index)
        errors, known = truth(samples, folder)
        took = {
            run["signal"]: run["seconds"] for run in index.sql("SELECT signal, seconds FROM runs").to_pylist()
        }
        for method, score in rankings(index, samples, profile).items():
            add(method, score, took.get(method.removeprefix("signal "), sum(took.values())))
    if peers:
        data = samples.vectors.astype(np.float64), samples.class_code, samples.group.astype(np.int64)
        for peer in PEERS:
            started = time.perf_counter()
            found = peer(*data)
            seconds = time.perf_counter() - started
            for method, score in found.items():
                add(method, score, seconds)
    return rows


def summary(rows: Sequence[dict[str, object]]) -> list[str]:
    """One line a profile: healtheat on each features, beside the peer that is best on any features."""
    encoders = list(dict.fromkeys(str(r["encoder"]) for r in rows))
    own_columns = " | ".join(f"healtheat, {e}" for e in encoders)
    lines = [
        "## Summary: mean AP",
        "",
        f"| profile | {own_columns} | best peer, any features | {DEFAULT} ahead of it |",
        "|---|" + "---|" * (len(encoders) + 2),
    ]
    for profile in dict.fromkeys(str(r["profile"]) for r in rows):
        ap: dict[tuple[str, str], list[float]] = {}
        for r in rows:
            if r["profile"] == profile:
                key = str(r["method"]), str(r["encoder"])
                ap.setdefault(key, []).append(float(str(r["ap"])))
        own = [float(np.mean(ap[RANKING, e])) for e in encoders]
        default = np.array(ap[RANKING, DEFAULT if DEFAULT in encoders else encoders[-1]])
        peers = {k: float(np.mean(v)) for k, v in ap.items() if k[0] != RANKING and k[0][:7] != "signal "}
        if peers:
            best = max(peers, key=lambda k: peers[k])
            beside = (
                f"{best[0]}, {best[1]} {peers[best]:.3f}",
                f"{(ahead := default - ap[best]).mean():+.3f} ± {ahead.std():.3f}",
            )
        else:
            beside = "–", "–"
        lines.append(f"| {profile} | {' | '.join(f'{v:.3f}' for v in own)} | {beside[0]} | {beside[1]} |")
    return [*lines, ""]


_KNOWN = (
    "Two labels of the published set are plainly wrong (a two-tone capsule and a green gel capsule",
    "called allerclear). A good ranking has them on top, where they count as false alarms; AP* leaves",
    "them out.",
    "",
)


def _images(data: Path) -> str:
    if data == Setting().data:
        return "pushin-pill (CC BY 4.0, Roboflow Universe `jason136/pushin-pill`), one image a source"
    return f"{data.resolve().parent.name}, all of them"


def report(rows: Sequence[dict[str, object]], args: argparse.Namespace) -> str:
    """The tables in Markdown."""
    libraries = ("numpy", "scikit-learn", "onnxruntime", "faiss-cpu", "cleanlab")
    lines = [
        "# Detection quality on planted errors",
        "",
        f"`python -m benchmarks.quality --seeds {args.seeds} --encoders {args.encoders}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} CPUs, "
        + ", ".join(f"{name} {version(name)}" for name in libraries)
        + ".",
        "",
        f"Images: {_images(args.data)},",
        "errors in 8 % of the boxes. Flips and confuse are scored on the queue `mislabel`, boxes and",
        "spurious on `bad_box` and `background`, mixed on all queues. Figures are means over the seeds ±",
        "their standard deviation; s is the time for scores from vectors, without embedding.",
        "",
        *(_KNOWN if args.data == Setting().data else ()),
        *summary(rows),
    ]
    for encoder in args.encoders.split(","):
        for profile in args.profiles.split(","):
            own = [r for r in rows if r["encoder"] == encoder and r["profile"] == profile]
            if not own:
                continue
            methods = list(dict.fromkeys(str(r["method"]) for r in own))

            def values(method: str, key: str, of: list[dict[str, object]] = own) -> Floats:
                return np.array([r[key] for r in of if r["method"] == method], np.float64)

            lines += [
                f"## {encoder}, {profile}",
                "",
                f"{own[0]['boxes']} boxes, {own[0]['errors']} of them planted errors.",
                "",
                "| method | AP | AP* | AUROC | P@errors | s |",
                "|---|---|---|---|---|---|",
            ]
            for method in methods:
                cells = [
                    f"{values(method, key).mean():.3f} ± {values(method, key).std():.3f}"
                    for key in ("ap", "ap_checked", "auroc", "p_at_errors")
                ]
                lines.append(f"| {method} | {' | '.join(cells)} | {values(method, 'seconds').mean():.2f} |")
            peers = [m for m in methods if m != RANKING and not m.startswith("signal ")]
            if peers:
                best = max(peers, key=lambda m: values(m, "ap").mean())
                ahead = values(RANKING, "ap") - values(best, "ap")
                lines += [
                    "",
                    f"Ahead of the best peer here ({best}) by {ahead.mean():+.3f} ± {ahead.std():.3f} AP, "
                    "by seed: " + ", ".join(f"{a:+.3f}" for a in ahead) + ".",
                ]
            lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Setting().data, help="data.yaml of the data set")
    parser.add_argument("--groups", default=GROUPS, help="look-alike class ids, such as 3,5;0,8")
    parser.add_argument("--one-per-source", default=".rf.", help="the text up to which copies' names agree")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--encoders", default="imagenet,pill")
    parser.add_argument("--profiles", default=",".join(QUEUES))
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--work",
        type=Path,
        help="keep plantings, indexes and results here, and go on where a run was stopped",
    )
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    if not args.data.is_file():
        raise SystemExit(f"{args.data}: no such file; name a data set with --data, or set HEALTHEAT_SHARED")
    setting = Setting(args.data, args.groups, args.one_per_source)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for encoder in args.encoders.split(","):
            for profile in args.profiles.split(","):
                for seed in args.seeds.split(","):
                    done = work / f"rows-{encoder}-{profile}-{seed}.json"
                    if not done.is_file():  # with --work a run that was stopped goes on
                        found = measure(encoder, profile, int(seed), work, not args.no_peers, setting)
                        write_file(done, json.dumps(found).encode())
                    rows += json.loads(done.read_text(encoding="utf-8"))
                    last = [r for r in rows if r["seed"] == int(seed) and r["method"] == RANKING][-1]
                    print(
                        f"{encoder} {profile} {seed}: AP {last['ap']:.3f}, AP* {last['ap_checked']:.3f}",
                        flush=True,
                    )
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
    (args.out / "quality.md").write_text(report(rows, args), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
