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
now. Writes end_to_end.md after every run, with all that are finished, and log.txt in --work. With --prepare
nothing is trained: end_to_end_runs.py does it, on a machine with an accelerator for example.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

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
    write_split,
)
from benchmarks.end_to_end_report import report
from benchmarks.end_to_end_runs import (
    ARMS,
    ARMS_FILE,
    MODES,
    SPLIT_FILE,
    add_arguments,
    finished,
    key,
    log,
    prepared,
    quiet_ultralytics,
    run,
    runs_of,
    settings_of,
    write_json,
)
from benchmarks.quality import HERE, SHARED
from healtheat.cleanup import Plan, plan_training
from healtheat.core.atomic import write_file

REPORTED_SEEDS = range(10)


def prepare(seed: int, folder: Path, split: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Training sets of one seed in `folder`, and what is in them. Done once: flags stay what they were."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "prepare.lock"):
        listed = folder / ARMS_FILE
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--prepare", action="store_true", help="only make the training sets")
    parser.add_argument("--again", action="store_true", help="flag again, with the code as it is now")
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--test-share", type=float, default=0.25, help="share of the sources held out")
    parser.add_argument("--work", type=Path, default=Path(".bench/end_to_end"))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    runs = runs_of(args)
    seeds = sorted({seed for seed, _ in runs})
    if not (SHARED / "bench" / "plant_errors.py").is_file():
        raise SystemExit(f"the bench scripts are not at {SHARED}: set HEALTHEAT_SHARED to the shared folder")
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    quiet_ultralytics(work)

    sets = {name: getattr(args, name) for name in ("rate", "encoder", "test_share")}
    home = work / key(sets)  # other settings never mix: they have a folder of their own
    home.mkdir(parents=True, exist_ok=True)
    split = home / "split"
    with FileLock(home / "split.lock"):
        if not (home / SPLIT_FILE).is_file():
            shutil.rmtree(split, ignore_errors=True)
            write_split(SHARED / "data" / "pushin-pill", split, args.test_share, seed=0)
            write_json(home / SPLIT_FILE, {**sets, **counts(split)})
    for seed in seeds:
        prepare(seed, home / f"seed-{seed}", split, args)
    if args.prepare:
        log(home, f"prepared in {home}")
        _write_report(home, seeds, args.out)
        return
    for seed, arm in runs:
        run(seed, arm, home, settings_of(args))
        _write_report(home, seeds, args.out)


def _write_report(home: Path, seeds: Sequence[int], out: Path) -> None:
    made = prepared(home)
    made["seeds"] = {n: about for n, about in made["seeds"].items() if n in seeds or n in REPORTED_SEEDS}
    results = list(finished(home, made).values())
    if results:
        out.mkdir(parents=True, exist_ok=True)
        machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
        write_file(out / "end_to_end.md", report(results, made, machine).encode())


if __name__ == "__main__":
    main()
