"""The pseudo-label loop: train on the labelled part, predict the rest, vet, train on both, again.

    python -m benchmarks.pseudo_labels [--data DATA.yaml] [--seeds 0,1,2] [--rounds 1] [--device cuda:0]

Splits a labelled set by source in three: images to test on, images with labels, and the rest, whose labels
nobody sees but the figures. yolo11n is trained from scratch on each arm, with the same seed and settings:

labelled    the labelled part alone
confidence  and the pseudo-labels of the rest at a confidence of 0.5 or more
vetted      and what `healtheat vet` accepts of the pseudo-labels at --conf or more: images of which every box
            was accepted, and copies of the others in which the held boxes are greyed out
true        and the rest with its true labels: what more labels could give

Round 1 predicts with the model of `labelled`, each further round of an arm with its own last one. Vetting
is always against the labelled part alone. All arms train for the same number of epochs, so those with more
images take more steps. Without --data a demo set is drawn, without errors.

What is finished is kept in --work and not done again; another setting has a folder of its own. A run that
was killed starts again. Ask the code as it is now with another --work. Writes pseudo_labels.md in the folder
of the settings after every run and prints it at the end. Its second table says of the accepted boxes how
many are right (class, and place at an IoU of 0.5; a true box counts once), beside as many of the most
confident.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import healtheat
from benchmarks.end_to_end_runs import TRAIN, key, log, quiet_ultralytics, settings_of, train, write_json
from benchmarks.pseudo_labels_data import (
    Box,
    Found,
    OneImage,
    add_image,
    draw,
    judged,
    read_set,
    split_parts,
    tables,
    write_arm_yaml,
    write_parts,
    write_predictions,
)
from healtheat.core.atomic import write_file
from healtheat.core.errors import HealtheatError

ARMS = ("labelled", "confidence", "vetted", "true")
ALONE = ("labelled", "true")  # arms without rounds
RESULT, PARTS_FILE = "result.json", "parts.json"
SURE = 0.5  # confidence of the pseudo-labels that the arm `confidence` takes


@dataclass(frozen=True)
class Loop:
    """One seed: the folder `home`, the parts of the set in it, and how to train, predict and vet."""

    home: Path
    seed: int
    settings: Mapping[str, Any]

    @property
    def parts(self) -> Path:
        return self.home / "parts"

    def folder(self, arm: str, turn: int) -> Path:
        """Of an arm in a round; `labelled` and `true` have no rounds, which is round 0."""
        return self.home / (arm if arm in ALONE else f"{arm}-{turn}")

    def result(self, arm: str, turn: int) -> dict[str, Any]:
        """What an arm came to, trained now unless that is done. Arms that it starts from come first."""
        folder = self.folder(arm, turn)
        if not (folder / RESULT).is_file():
            before = None if arm in ALONE else ("labelled", 0) if turn == 1 else (arm, turn - 1)
            if before:
                self.result(*before)
            shutil.rmtree(folder, ignore_errors=True)
            log(self.home, f"seed {self.seed}: {folder.name} begun")
            about, more = self._images(arm, folder, self.folder(*before) if before else None)
            write_arm_yaml(self.parts, folder, more)
            made = train(folder, self.parts / "held_out", folder / "run", self.seed, self.settings)
            done = {"seed": self.seed, "arm": arm, "round": turn, **about, **made}
            write_json(folder / RESULT, {**done, "settings": dict(self.settings)})
            log(self.home, f"seed {self.seed}: {folder.name}, mAP50 {done['map50']:.3f}")
        return dict(json.loads((folder / RESULT).read_text(encoding="utf-8")))

    def _images(self, arm: str, folder: Path, before: Path | None) -> tuple[dict[str, Any], list[Path]]:
        """What is trained on beside the labelled part, and figures about it."""
        if before is None:
            return {}, [self.parts / "true" / "images" / "train"] if arm == "true" else []
        least = SURE if arm == "confidence" else self.settings["conf"]
        found = predict(before / "run" / "weights" / "last.pt", self.parts / "rest", least, self.settings)
        if arm == "confidence":
            found = [replace(one, accepted=True) for one in found]
            more = [write_pseudo(found, self.parts / "rest", folder / "set")]
        else:
            found, more = self._vetted(found, folder)
        return judged(found, self.truth()), more

    def _vetted(self, found: Sequence[Found], folder: Path) -> tuple[list[Found], list[Path]]:
        """The boxes as `healtheat vet` decided on them, and its lists of images to train on."""
        if not found:  # a detector that has learned nothing yet
            return [], []
        index = self.home / "index"
        healtheat.build(self.parts / "labelled" / "data.yaml", index=index, encoder=self.settings["encoder"])
        write_predictions(found, folder / "predictions")
        report = healtheat.vet(
            self.parts / "rest",
            index,
            predictions=folder / "predictions",
            to=folder / "batch",
            max_wrong=self.settings["max_wrong"],
            format="yolo",
            out=folder / "out",
        )
        if report.verdict == "refused":
            log(self.home, f"seed {self.seed}: {folder.name}: the batch was refused as a whole")
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
        return decided, [folder / "out" / name for name in ("train.txt", "partly.txt")]

    def truth(self) -> dict[str, list[Box]]:
        """Image of the rest → its true boxes."""
        text = (self.home / PARTS_FILE).read_text(encoding="utf-8")
        return {image: [tuple(box) for box in boxes] for image, boxes in json.loads(text)["truth"].items()}


def predict(weights: Path, images: Path, conf: float, settings: Mapping[str, Any]) -> list[Found]:
    """Boxes of the images in the folder at the confidence `conf` or more."""
    model = import_module("ultralytics").YOLO(weights)
    options = {"imgsz": settings["imgsz"], "device": settings["device"], "conf": conf}
    out = []
    for seen in model.predict(str(images), stream=True, verbose=False, save=False, **options):
        boxes = seen.boxes
        for given, place, sure in zip(
            boxes.cls.tolist(), boxes.xywhn.tolist(), boxes.conf.tolist(), strict=True
        ):
            out.append(Found(Path(seen.path).name, (int(given), *place), sure))
    return out


def write_pseudo(found: Sequence[Found], images: Path, out: Path) -> Path:
    """The folder of the images on which boxes were found, with these as their labels."""
    of: dict[str, list[Box]] = {}
    for one in found:
        of.setdefault(one.image, []).append(one.box)
    for image, boxes in of.items():
        add_image(out, images / image, boxes)
    folder = out / "images" / "train"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare(
    images_of: Mapping[str, OneImage],
    names: Mapping[int, str],
    home: Path,
    seed: int,
    args: argparse.Namespace,
) -> None:
    """The parts of one seed on disk, once."""
    if (home / PARTS_FILE).is_file():
        return
    parts = split_parts(sorted(images_of), args.labelled, args.held_out, seed)
    write_parts(images_of, parts, names, home / "parts")
    truth = {images_of[image].file.name: images_of[image].boxes for image in parts["rest"]}
    write_json(home / PARTS_FILE, {**parts, "truth": truth})


def settings(args: argparse.Namespace, data: Path) -> dict[str, Any]:
    """Everything that the results depend on."""
    own = {name: getattr(args, name) for name in ("labelled", "held_out", "conf", "max_wrong", "encoder")}
    return {**settings_of(args), **own, "sure": SURE, "data": str(data)}


def arms_of(args: argparse.Namespace) -> list[tuple[str, int]]:
    """Arm and round of each run that was asked for."""
    arms = args.arms.split(",")
    if unknown := set(arms) - set(ARMS):
        raise SystemExit(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(ARMS)}")
    turns = range(1, args.rounds + 1)
    return [(arm, turn) for arm in arms for turn in ([0] if arm in ALONE else turns)]


def report(results: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """The tables, under the settings that they were made with."""
    told = ", ".join(f"{name} {value}" for name, value in about.items() if name not in TRAIN)
    return f"mAP50 of yolo11n from scratch on the held-out sources\n\n{told}\n\n{tables(results)}"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="any labelled set; default: a demo set, drawn")
    parser.add_argument("--images", type=int, default=150, help="of the demo set")
    parser.add_argument("--labelled", type=float, default=0.33, help="share of the sources not held out")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of the sources to test on")
    parser.add_argument("--conf", type=float, default=0.1, help="of the boxes that are vetted, at least")
    parser.add_argument("--max-wrong", type=float, default=0.02, help="as of healtheat vet")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seeds", default="0", help="of split and training")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--encoder", default="auto", help="as of healtheat build")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--imgsz", type=int, default=192)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--bf16", action="store_true", help="layers in bfloat16 while training, on a CPU")
    parser.add_argument("--device", default="cpu", help="as PyTorch names it: cpu, cuda:0")
    parser.add_argument("--work", type=Path, default=Path(".bench/pseudo_labels"))
    return parser.parse_args(words)


def run(args: argparse.Namespace) -> str:
    """Everything that was asked for; the report."""
    asked, work = arms_of(args), args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    quiet_ultralytics(work)
    data = args.data.resolve() if args.data else draw(work / f"demo-{args.images}", args.images)
    images_of, names = read_set(data)
    about = settings(args, data)
    home = work / key(about)
    results, text = [], ""
    for seed in map(int, args.seeds.split(",")):
        folder = home / f"seed-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        prepare(images_of, names, folder, seed, args)
        for arm, turn in asked:
            results.append(Loop(folder, seed, about).result(arm, turn))
            text = report(results, about)
            write_file(home / "pseudo_labels.md", text.encode())
    return text


def main() -> None:
    try:
        print(run(parse()))
    except HealtheatError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
