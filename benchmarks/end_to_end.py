"""Does cleaning pay? A detector trained on planted errors, without what healtheat flags, and without others.

    python -m benchmarks.end_to_end [--seeds 0,1,2] [--arms dirty,flagged,random,clean] [--work FOLDER]

Splits pushin-pill by source image, plants mixed errors into the training labels alone and trains yolo11n
from scratch on each arm, with the same seed and settings: `dirty`; `flagged`, without the boxes that
`healtheat apply --flagged` takes out; `random`, without as many others; `clean`, nothing planted. mAP comes
from the last epoch's weights on the clean images of the other sources. A finished run is kept in --work and
not run again; one that was killed starts again. Writes end_to_end.md after every run, with all that are
finished.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.end_to_end_data import (
    all_lines,
    at_random,
    counts,
    flagged,
    plant,
    planted,
    write_arm,
    write_json,
    write_split,
)
from benchmarks.end_to_end_report import report
from benchmarks.quality import HERE, SHARED

RESULT = "result.json"
ARMS = ("dirty", "flagged", "random", "clean")
# Where there is a choice it was made on seed 10, which is not reported.
TRAIN: Mapping[str, Any] = {
    "optimizer": "AdamW",
    "nbs": 8,  # an optimizer step a batch, not one for 64 images: there are few images
    "lr0": 0.002,
    "cos_lr": True,
    "warmup_epochs": 2.0,
    "close_mosaic": 10,
}


def prepare(seed: int, folder: Path, split: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Training sets of one seed in `folder`, and what is in them. Done once: flags stay what they were."""
    listed = folder / "arms.json"
    if listed.is_file():
        return dict(json.loads(listed.read_text(encoding="utf-8")))
    dirty = folder / "planted"
    if not (dirty / "truth.csv").is_file():
        plant(split, dirty, args.rate, seed)
    by_issue = flagged(dirty, folder / "index", args.encoder)
    found = {line for lines in by_issue.values() for line in lines}
    others = set(at_random(dirty, len(found), seed))
    errors, missing = planted(dirty)
    arms: dict[str, Any] = {
        "boxes": len(all_lines(dirty)),
        "errors": len(errors),
        "missing": missing,
        "issues": {
            issue: [len(lines), len(errors & set(lines))] for issue, lines in sorted(by_issue.items())
        },
        "arms": {},
    }
    for arm, base, drop in (
        ("dirty", dirty, set()),
        ("flagged", dirty, found),
        ("random", dirty, others),
        ("clean", split, set()),
    ):
        arms["arms"][arm] = {
            "labels_sha256": write_arm(base, folder / arm, split, drop),
            "dropped": len(drop),
            "dropped_errors": len(drop & errors),
        }
    write_json(listed, arms)
    return arms


def train(data: Path, test: Path, out: Path, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train from scratch on `data`, measure on `test`."""
    yolo = import_module("ultralytics").YOLO  # imported late: it reads its environment then
    started, started_cpu = time.perf_counter(), time.process_time()
    first: list[str] = []

    def note_weights(trainer: Any) -> None:
        digest = hashlib.sha256()
        for value in trainer.model.state_dict().values():
            digest.update(value.detach().cpu().numpy().tobytes())
        first.append(digest.hexdigest())

    model = yolo("yolo11n.yaml")
    model.add_callback("on_pretrain_routine_end", note_weights)
    same = {"imgsz": args.imgsz, "batch": args.batch, "workers": 0, "device": "cpu", "plots": False}
    trainer = import_module("benchmarks.end_to_end_train").Bf16Trainer if args.bf16 else None
    model.train(
        trainer=trainer,
        data=str(data / "data.yaml"),
        epochs=args.epochs,
        patience=args.epochs,
        pretrained=False,
        seed=seed,
        deterministic=True,
        amp=False,
        cache="ram",
        val=False,
        project=str(out.parent),
        name=out.name,
        exist_ok=True,
        **same,
        **TRAIN,
    )
    took = time.perf_counter() - started, time.process_time() - started_cpu
    last = yolo(out / "weights" / "last.pt")
    measured = last.val(
        data=str(test / "test.yaml"), project=str(out), name="test", exist_ok=True, verbose=False, **same
    )
    return {
        "map50": float(measured.box.map50),
        "map50_95": float(measured.box.map),
        "first_weights_sha256": first[0],
        "seconds": took[0],
        "cpu_seconds": took[1],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--arms", default=",".join(ARMS[:3]))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--bf16", action="store_true", help="layers in bfloat16 while training: faster on some processors"
    )
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--test-share", type=float, default=0.25, help="share of the sources held out")
    parser.add_argument("--work", type=Path, default=Path(".bench/end_to_end"))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    if unknown := set(args.arms.split(",")) - set(ARMS):
        raise SystemExit(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(ARMS)}")
    if not (SHARED / "bench" / "plant_errors.py").is_file():
        raise SystemExit(f"the bench scripts are not at {SHARED}: set HEALTHEAT_SHARED to the shared folder")
    work = args.work.resolve()
    config = work / "ultralytics"
    config.mkdir(parents=True, exist_ok=True)
    os.environ.update(YOLO_CONFIG_DIR=str(config), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")

    sets = {name: getattr(args, name) for name in ("rate", "encoder", "test_share")}
    settings = {
        **{name: getattr(args, name) for name in ("epochs", "imgsz", "batch", "bf16")},
        **TRAIN,
        "ultralytics": version("ultralytics"),
        "torch": version("torch"),
    }
    home = work / _key(sets)  # other settings never mix: they have a folder of their own
    split = home / "split"
    if not (split / "test.yaml").is_file():
        write_split(SHARED / "data" / "pushin-pill", split, args.test_share, seed=0)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    made: dict[str, Any] = {"split": counts(split), "seeds": {}}
    for seed in seeds:
        made["seeds"][seed] = prepare(seed, home / f"seed-{seed}", split, args)
    for seed in seeds:
        for arm in args.arms.split(","):
            about = {"seed": seed, "arm": arm, **made["seeds"][seed]["arms"][arm]}
            run = home / f"runs-{_key(settings)}" / f"seed-{seed}-{arm}"
            if run not in finished(home, made):
                found = train(home / f"seed-{seed}" / arm, split, run, seed, args)
                write_json(run / RESULT, {**about, **found, "settings": {**sets, **settings}})
            results = finished(home, made)
            print(f"seed {seed} {arm}: mAP50 {results[run]['map50']:.3f}", flush=True)
            args.out.mkdir(parents=True, exist_ok=True)
            machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
            text = report(list(results.values()), made, machine)
            (args.out / "end_to_end.md").write_text(text, encoding="utf-8", newline="\n")


def finished(home: Path, made: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Folder → result of the runs that are done, whatever their settings, of the seeds and arms in `made`."""
    out = {}
    for path in sorted(home.glob(f"runs-*/seed-*/{RESULT}")):
        result = json.loads(path.read_text(encoding="utf-8"))
        about = made["seeds"].get(result["seed"], {"arms": {}})["arms"].get(result["arm"], {})
        if result["labels_sha256"] == about.get("labels_sha256"):  # trained on these very labels
            out[path.parent] = result
    return out


def _key(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


if __name__ == "__main__":
    main()
