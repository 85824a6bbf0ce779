"""The runs of end_to_end.py: training of prepared arms, here or on a machine with an accelerator.

    python -m benchmarks.end_to_end_runs HOME --device cuda:0 [--side-by-side 8] [--seeds 0,1,2] [--arms …]

HOME is a folder that `python -m benchmarks.end_to_end --prepare` has filled (it is named by a hash, in
--work). The other machine needs it at the same path, Ultralytics and PyTorch, but neither the data sets nor
what healtheat itself depends on. Bring its runs-* back into HOME; end_to_end.py then reports them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from healtheat.core.atomic import write_file
from healtheat.core.drop import Drop

RESULT, ARMS_FILE, SPLIT_FILE = "result.json", "arms.json", "split.json"
MODES: tuple[Drop, ...] = ("boxes", "images", "mask")
ARMS = ("dirty", *MODES, "random", "clean")
DEFAULT_ARMS = ("dirty", *MODES, "clean")
# Where there is a choice it was made on seed 10, which is not reported.
TRAIN: Mapping[str, Any] = {
    "optimizer": "AdamW",
    "nbs": 8,  # an optimizer step a batch, not one for 64 images: there are few images
    "lr0": 0.002,
    "cos_lr": True,
    "warmup_epochs": 2.0,
    "close_mosaic": 10,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What both commands take: which runs, and how they train."""
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--arms", default=",".join(DEFAULT_ARMS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--bf16", action="store_true", help="layers in bfloat16 while training: faster on some processors"
    )
    parser.add_argument("--device", default="cpu", help="as PyTorch names it: cpu, cuda:0")


def runs_of(args: argparse.Namespace) -> list[tuple[int, str]]:
    """Seed and arm of each run that was asked for."""
    arms = args.arms.split(",")
    if unknown := set(arms) - set(ARMS):
        raise SystemExit(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(ARMS)}")
    return [(int(seed), arm) for seed in args.seeds.split(",") for arm in arms]


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Everything about the training that the results of a run depend on."""
    return {
        **{name: getattr(args, name) for name in ("epochs", "imgsz", "batch", "bf16", "device")},
        **TRAIN,
        "ultralytics": version("ultralytics"),
        "torch": version("torch"),
    }


def key(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def train(data: Path, test: Path, out: Path, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
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
    same = {"imgsz": settings["imgsz"], "batch": settings["batch"], "device": settings["device"]}
    same |= {"workers": 0, "plots": False}
    trainer = import_module("benchmarks.end_to_end_train").Bf16Trainer if settings["bf16"] else None
    model.train(
        trainer=trainer,
        data=str(data / "data.yaml"),
        epochs=settings["epochs"],
        patience=settings["epochs"],
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
        "processor": processor(settings["device"]),
        "seconds": took[0],
        "cpu_seconds": took[1],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor(device: str) -> str:
    if device == "cpu":
        return f"{os.cpu_count()} CPUs"
    return str(import_module("torch").cuda.get_device_name(device))


def run(seed: int, arm: str, home: Path, settings: Mapping[str, Any]) -> None:
    """Train one arm of one seed, unless that is done, or another call is at it."""
    runs = home / f"runs-{key(settings)}"
    out = runs / f"seed-{seed}-{arm}"
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(runs / f"{out.name}.lock", timeout=0):
            made = prepared(home)
            if out in finished(home, made):
                log(home, f"{out.name}: was done before")
            else:
                log(home, f"{out.name}: begun")
                about = {"seed": seed, "arm": arm, **made["seeds"][seed]["arms"][arm]}
                found = train(home / f"seed-{seed}" / arm, home / "split", out, seed, settings)
                write_json(out / RESULT, {**about, **found, "settings": dict(settings)})
    except Timeout:
        log(home, f"{out.name}: another call is training it")
        return
    result = json.loads((out / RESULT).read_text(encoding="utf-8"))
    log(home, f"{out.name}: mAP50 {result['map50']:.3f}, {result['seconds']:.0f} s")


def prepared(home: Path) -> dict[str, Any]:
    """What is in the split and in the training sets of every seed that was prepared."""
    seeds = {
        int(path.parent.name.removeprefix("seed-")): json.loads(path.read_text(encoding="utf-8"))
        for path in home.glob(f"seed-*/{ARMS_FILE}")
    }
    split = json.loads((home / SPLIT_FILE).read_text(encoding="utf-8"))
    return {"split": split, "seeds": dict(sorted(seeds.items()))}


def finished(home: Path, made: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Folder → result of the runs that are done, whatever their settings, of the seeds and arms in `made`."""
    out = {}
    for path in sorted(home.glob(f"runs-*/seed-*/{RESULT}")):
        result = json.loads(path.read_text(encoding="utf-8"))
        about = made["seeds"].get(result["seed"], {"arms": {}})["arms"].get(result["arm"], {})
        if result["data_sha256"] == about.get("data_sha256"):  # trained on these very images and labels
            out[path.parent] = result
    return out


def log(home: Path, text: str) -> None:
    line = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}"
    print(line, flush=True)
    with (home.parent / "log.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def write_json(path: Path, content: object) -> None:
    """Whole or not at all."""
    write_file(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


def quiet_ultralytics(work: Path) -> None:
    """Its settings go into `work`; it asks no network and installs nothing."""
    config = work / "ultralytics"
    config.mkdir(parents=True, exist_ok=True)
    os.environ.update(YOLO_CONFIG_DIR=str(config), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")


def side_by_side(home: Path, runs: Sequence[tuple[int, str]], most: int, options: Sequence[str]) -> bool:
    """One process for each run, `most` at a time; whether all went well."""
    waiting, going, well = list(runs), list[subprocess.Popen[bytes]](), True
    while waiting or going:
        while waiting and len(going) < most:
            seed, arm = waiting.pop(0)
            command = [sys.executable, "-m", "benchmarks.end_to_end_runs", str(home), *options]
            going.append(subprocess.Popen([*command, "--seeds", str(seed), "--arms", arm]))
        time.sleep(0.5)
        well = well and not any(process.poll() for process in going)
        going = [process for process in going if process.poll() is None]
    return well


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    add_arguments(parser)
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at the same time")
    args = parser.parse_args()
    home, runs = args.home.resolve(), runs_of(args)
    quiet_ultralytics(home.parent)
    if args.side_by_side > 1:
        options = [
            *("--epochs", str(args.epochs), "--imgsz", str(args.imgsz), "--batch", str(args.batch)),
            *("--device", args.device, *["--bf16"] * args.bf16),
        ]
        raise SystemExit(0 if side_by_side(home, runs, args.side_by_side, options) else 1)
    for seed, arm in runs:
        run(seed, arm, home, settings_of(args))


if __name__ == "__main__":
    main()
