"""Does cleaning pay? A detector trained on planted errors, without what healtheat leaves out, and clean.

    python -m benchmarks.end_to_end --bf16 [--seeds 0,1,2] [--arms dirty,boxes,images,mask,clean]

Splits pushin-pill by source, plants mixed errors into the training labels alone and trains yolo11n from
scratch on each arm, with the same seed and settings: `dirty`; `boxes`, `images` and `mask`, what
`healtheat export --format yolo --drop …` writes, with its defaults; `random`, without as many boxes as
`boxes`; `clean`, nothing planted. mAP comes from the last epoch's weights on the clean images of the other
sources.

Every finished run is kept in --work and not run again, unless its training set has changed; one that was
killed starts again. Seeds and arms may be run by separate calls, one after the other or side by side: a run
that another call has begun is left to it. What is flagged is kept as well; --again asks the code as it is
now. Writes end_to_end.md after every run, with all that are finished, and log.txt in --work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from benchmarks.end_to_end_data import (
    all_lines,
    at_random,
    by_issue,
    counts,
    index_of,
    lines_gone,
    plant,
    planted,
    write_arm,
    write_cleaned,
    write_json,
    write_split,
)
from benchmarks.end_to_end_report import report
from benchmarks.quality import HERE, SHARED
from healtheat.cleanup import Plan, plan_training
from healtheat.core.atomic import write_file
from healtheat.core.drop import Drop

RESULT = "result.json"
MODES: tuple[Drop, ...] = ("boxes", "images", "mask")
ARMS = ("dirty", *MODES, "random", "clean")
DEFAULT_ARMS = ("dirty", *MODES, "clean")
REPORTED_SEEDS = range(10)
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
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "prepare.lock"):
        listed = folder / "arms.json"
        if listed.is_file() and not args.again:
            return dict(json.loads(listed.read_text(encoding="utf-8")))
        dirty = folder / "planted"
        if not (dirty / "truth.csv").is_file():
            plant(split, dirty, args.rate, seed)
        with index_of(dirty, folder / "index", args.encoder) as index:
            plans = {mode: plan_training(index, drop=mode) for mode in MODES}
        arms = _arms(plans, folder, split, seed)
        write_json(listed, arms)
        return arms


def _arms(plans: Mapping[str, Plan], folder: Path, split: Path, seed: int) -> dict[str, Any]:
    dirty = folder / "planted"
    errors, missing = planted(dirty)
    gone = {mode: lines_gone(plan, dirty) for mode, plan in plans.items()}
    gone["random"] = set(at_random(dirty, len(gone["boxes"]), seed))
    arms = {}
    for arm in ARMS:
        out, drop = folder / arm, gone.get(arm, set())
        if arm in plans:
            data_sha256 = write_cleaned(plans[arm], out, split)
        else:
            data_sha256 = write_arm(split if arm == "clean" else dirty, out, split, drop)
        arms[arm] = {
            "data_sha256": data_sha256,
            "dropped": len(drop),
            "dropped_errors": len(drop & errors),
            "images_out": sum(bool(image.left_out) for image in plans[arm].images) if arm in plans else 0,
        }
    issues = {
        issue: [len(lines), len(errors & set(lines))]
        for issue, lines in sorted(by_issue(plans["boxes"]).items())
    }
    return {
        "boxes": len(all_lines(dirty)),
        "errors": len(errors),
        "missing": missing,
        "issues": issues,
        "arms": arms,
    }


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
    parser.add_argument("--arms", default=",".join(DEFAULT_ARMS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--bf16", action="store_true", help="layers in bfloat16 while training: faster on some processors"
    )
    parser.add_argument("--again", action="store_true", help="flag again, with the code as it is now")
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
    home.mkdir(parents=True, exist_ok=True)
    split = home / "split"
    with FileLock(home / "split.lock"):
        if not (split / "test.yaml").is_file():
            write_split(SHARED / "data" / "pushin-pill", split, args.test_share, seed=0)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    for seed in seeds:
        prepare(seed, home / f"seed-{seed}", split, args)
    for seed in seeds:
        for arm in args.arms.split(","):
            _run(seed, arm, home, {**sets, **settings}, home / f"runs-{_key(settings)}", args)
            _write_report(home, seeds, args.out)


def _run(
    seed: int, arm: str, home: Path, settings: Mapping[str, Any], runs: Path, args: argparse.Namespace
) -> None:
    """Train one arm of one seed, unless that is done, or another call is at it."""
    run = runs / f"seed-{seed}-{arm}"
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(runs / f"{run.name}.lock", timeout=0):
            if run in finished(home, prepared(home)):
                _log(home, f"{run.name}: was done before")
            else:
                _log(home, f"{run.name}: begun")
                about = {"seed": seed, "arm": arm, **prepared(home)["seeds"][seed]["arms"][arm]}
                found = train(home / f"seed-{seed}" / arm, home / "split", run, seed, args)
                write_json(run / RESULT, {**about, **found, "settings": dict(settings)})
    except Timeout:
        _log(home, f"{run.name}: another call is training it")
        return
    result = json.loads((run / RESULT).read_text(encoding="utf-8"))
    _log(home, f"{run.name}: mAP50 {result['map50']:.3f}, {result['seconds']:.0f} s")


def _log(home: Path, text: str) -> None:
    line = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}"
    print(line, flush=True)
    with (home.parent / "log.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _write_report(home: Path, seeds: Sequence[int], out: Path) -> None:
    made = prepared(home)
    made["seeds"] = {n: about for n, about in made["seeds"].items() if n in seeds or n in REPORTED_SEEDS}
    results = list(finished(home, made).values())
    if results:
        out.mkdir(parents=True, exist_ok=True)
        machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
        write_file(out / "end_to_end.md", report(results, made, machine).encode())


def prepared(home: Path) -> dict[str, Any]:
    """What is in the split and in the training sets of every seed that was prepared."""
    seeds = {
        int(path.parent.name.removeprefix("seed-")): json.loads(path.read_text(encoding="utf-8"))
        for path in home.glob("seed-*/arms.json")
    }
    return {"split": counts(home / "split"), "seeds": dict(sorted(seeds.items()))}


def finished(home: Path, made: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Folder → result of the runs that are done, whatever their settings, of the seeds and arms in `made`."""
    out = {}
    for path in sorted(home.glob(f"runs-*/seed-*/{RESULT}")):
        result = json.loads(path.read_text(encoding="utf-8"))
        about = made["seeds"].get(result["seed"], {"arms": {}})["arms"].get(result["arm"], {})
        if result["data_sha256"] == about.get("data_sha256"):  # trained on these very images and labels
            out[path.parent] = result
    return out


def _key(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


if __name__ == "__main__":
    main()
