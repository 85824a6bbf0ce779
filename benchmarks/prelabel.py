"""How good are the boxes that an index proposes for images without labels?

    python -m benchmarks.prelabel [--data DATA.yaml] [--shares 0.1,0.25,0.5] [--seeds 0] [--conf 0.25]
        [--max-wrong 0.02] [--encoder pill] [--detector] [--work FOLDER] [--out FILE]

The sources of a labelled set are split: a share of them, with all their images, is built into an index; one
image of every other source gets boxes by `healtheat prelabel`. mAP50 is COCO's AP at an IoU of 0.5, the mean
over the classes that these images show: of all proposals, ranked by the chance that they are right (1 − the
score of vet; those it could not judge come last), and ranked by the chance of an object alone. `found` is the
share of true boxes that a proposal overlaps by 0.5 whatever its class. Of the accepted: how many are right in
class and place (a true box counts once), and how many are right but for the class. With --detector: mAP50 of
a YOLO11n, trained from scratch on the labelled part, on the same images, all its boxes from confidence 0.001.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.end_to_end_data import link_or_copy, split_sources, write_yaml
from benchmarks.end_to_end_runs import quiet_ultralytics, settings_of, train
from benchmarks.missing import corners
from benchmarks.pseudo_labels_data import Box, OneImage, add_image, read_set
from benchmarks.quality import SHARED
from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.core.overlap import iou
from healtheat.embedding import load_encoder
from healtheat.sources.groups import group_key
from healtheat.vetting.prelabel import prelabel
from healtheat.vetting.run import VetSettings

IOU = 0.5
Floats = NDArray[np.float64]
Truth = Mapping[str, Sequence[Box]]
Rows = Sequence[Mapping[str, Any]]


def hits(rows: Rows, truth: Truth, *, classes: bool = True) -> NDArray[np.bool_]:
    """(n,) which of the proposals, best first, show a true box that none before them showed."""
    taken: set[tuple[str, int]] = set()
    out = np.zeros(len(rows), bool)
    for n, row in enumerate(rows):
        place = corners(np.array([[row[name] for name in ("cx", "cy", "w", "h")]], np.float64))
        free = [
            (float(iou(place, corners(np.array([box[1:]], np.float64)))[0, 0]), at)
            for at, box in enumerate(truth[row["image"]])
            if (row["image"], at) not in taken and (not classes or box[0] == row["class_id"])
        ]
        best, at = max(free, default=(0.0, -1))
        if best >= IOU:
            out[n] = True
            taken.add((row["image"], at))
    return out


def average_precision(hit: NDArray[np.bool_], total: int) -> float:
    """COCO's: precision, made never to rise with the recall, at 101 recalls."""
    if not len(hit):
        return 0.0
    right = np.cumsum(hit)
    precision = np.maximum.accumulate((right / np.arange(1, len(hit) + 1))[::-1])[::-1]
    at = np.searchsorted(right / total, np.linspace(0, 1, 101), side="left")
    return float(np.where(at < len(hit), precision[np.minimum(at, len(hit) - 1)], 0.0).mean())


def mean_ap(rows: Rows, truth: Truth) -> float:
    """mAP50 of proposals, best first, over the classes that are there."""
    total: defaultdict[int, int] = defaultdict(int)
    for boxes in truth.values():
        for box in boxes:
            total[box[0]] += 1
    of_class = {c: [row for row in rows if row["class_id"] == c] for c in total}
    return float(np.mean([average_precision(hits(of_class[c], truth), total[c]) for c in total]))


def one_split(
    found: Mapping[str, OneImage], names: Mapping[int, str], share: float, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Figures of one split."""
    home = args.work / f"{args.data.parent.name}-{share:g}-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    rest, known = split_sources(list(found), share, seed)
    for path in known:
        add_image(home / "labelled", found[path].file, found[path].boxes)
    write_yaml(home / "labelled/data.yaml", {"train": "images/train", "names": dict(names)})
    chosen = {group_key(path): path for path in rest}
    truth: dict[str, Sequence[Box]] = {}
    (home / "rest").mkdir()
    for path in chosen.values():
        link_or_copy(found[path].file, home / "rest" / found[path].file.name)
        truth[found[path].file.name] = found[path].boxes
    encoder = load_encoder(args.encoder)
    source, _ = open_data(home / "labelled/data.yaml", index=home / "index")
    built = build(source, home / "index", encoder=encoder)
    settings = VetSettings(max_wrong=args.max_wrong)
    report = prelabel(
        home / "rest", home / "index", to=home / "vetted", conf=args.conf, settings=settings, encoder=encoder
    )
    assert report.decisions is not None
    rows = report.decisions.to_pylist()
    known_classes = {box[0] for path in known for box in found[path].boxes}
    unknown = sum(box[0] not in known_classes for boxes in truth.values() for box in boxes)
    detector = {"detector": by_detector(home, truth, names, args)} if args.detector else {}
    return {
        **detector,
        "share": share,
        "seed": seed,
        "labelled": built.boxes,
        "images": len(truth),
        "true": sum(map(len, truth.values())),
        "unknown": unknown,
        "verdict": report.verdict,
        **figures(rows, truth),
    }


def by_detector(home: Path, truth: Truth, names: Mapping[int, str], args: argparse.Namespace) -> float:
    """mAP50 of a YOLO11n that was trained on the labelled part, on the images without labels."""
    folder = str((home / "labelled/images/train").resolve())
    (home / "yolo").mkdir()
    for name in ("data.yaml", "test.yaml"):
        write_yaml(home / "yolo" / name, {"train": folder, "val": folder, "names": dict(names)})
    train(home / "yolo", home / "yolo", home.resolve() / "yolo/run", 0, settings_of(args))
    model = import_module("ultralytics").YOLO(home / "yolo/run/weights/last.pt")
    rows: list[dict[str, Any]] = []
    for seen in model.predict(
        str(home / "rest"), stream=True, imgsz=args.imgsz, conf=0.001, verbose=False, save=False
    ):
        boxes = seen.boxes
        for class_id, place, sure in zip(
            boxes.cls.tolist(), boxes.xywhn.tolist(), boxes.conf.tolist(), strict=True
        ):
            where = dict(zip(("cx", "cy", "w", "h"), place, strict=True))
            rows.append(
                {"image": Path(seen.path).name, "class_id": int(class_id), "confidence": sure, **where}
            )
    return mean_ap(sorted(rows, key=lambda row: -row["confidence"]), truth)


def figures(rows: Rows, truth: Truth) -> dict[str, Any]:
    """What the proposals are worth."""
    by_chance = sorted(rows, key=lambda row: -row["confidence"])
    by_vet = sorted(by_chance, key=lambda row: 1.0 if row["score"] is None else row["score"])
    accepted = [row for row in by_vet if row["decision"] == "accept"]
    total = sum(map(len, truth.values()))
    return {
        "proposed": len(rows),
        "found": int(hits(by_chance, truth, classes=False).sum()) / total,
        "map50": mean_ap(by_vet, truth),
        "map50_chance": mean_ap(by_chance, truth),
        "accepted": len(accepted),
        "right": int(hits(accepted, truth).sum()),
        "right_place": int(hits(accepted, truth, classes=False).sum()),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, a line a split."""
    head = (
        "| labelled | seed | boxes | images without | true boxes | of unknown classes | proposed | found | "
    )
    head += "mAP50 | by chance alone | YOLO11n | accepted | right | right place |"
    lines = [head, "|--:" * head.count(" | ") + "|--:|"]
    for r in rows:
        share = f"{r['right'] / r['accepted']:.3f}" if r["accepted"] else ""
        place = f"{r['right_place'] / r['accepted']:.3f}" if r["accepted"] else ""
        cells = [f"{r['share']:.0%}", r["seed"], r["labelled"], r["images"], r["true"], r["unknown"]]
        cells += [r["proposed"], f"{r['found']:.3f}", f"{r['map50']:.3f}", f"{r['map50_chance']:.3f}"]
        cells.append(f"{r['detector']:.3f}" if "detector" in r else "")
        cells += [r["accepted"] if r["verdict"] == "judged" else "refused", share, place]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main(given: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED / "data/pushin-pill/data.yaml")
    parser.add_argument("--shares", default="0.1,0.25,0.5")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--conf", type=float, default=0.25)
    parser.add_argument("--max-wrong", type=float, default=0.02)
    parser.add_argument("--encoder", default="pill")
    parser.add_argument("--detector", action="store_true", help="train a YOLO11n beside")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true", help="layers in bfloat16 while training, on a CPU")
    parser.add_argument("--device", default="cpu", help="of the detector, as PyTorch names it")
    parser.add_argument("--work", type=Path, default=Path("bench/prelabel"))
    parser.add_argument("--out", type=Path, help="default: prelabel.md in --work")
    args = parser.parse_args(given)
    args.data = args.data.absolute()
    if args.detector:
        args.work.mkdir(parents=True, exist_ok=True)
        quiet_ultralytics(args.work.resolve())
    found, names = read_set(args.data)
    rows = []
    for share in map(float, args.shares.split(",")):
        for seed in map(int, args.seeds.split(",")):
            rows.append(one_split(found, names, share, seed, args))
            print(json.dumps(rows[-1]), flush=True)
    (args.out or args.work / "prelabel.md").write_text(table(rows), encoding="utf-8", newline="\n")
    print(table(rows))


if __name__ == "__main__":
    main()
