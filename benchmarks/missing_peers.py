"""Peers of the search for missing boxes, on the same planted sets.

    python -m benchmarks.missing_peers [--seeds 0,1] [--rates 0.08,0.2] [--peers yolo,windows] [--work FOLDER]

yolo: YOLO11n from scratch, cross-validated by source in three folds on the noisy labels themselves. What
it predicts on images that it did not see, and no label overlaps by IoU 0.3 or more, is a proposal; its
confidence is the score. windows: embeddings of square windows at two sizes (quarters of the labelled sizes),
a third of a side apart, and a logistic regression that tells labelled crops from windows without a label,
cross-validated in the same way; overlaps suppressed. Scored as in missing.py. Finished rows are kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.end_to_end_data import write_yaml
from benchmarks.end_to_end_runs import quiet_ultralytics, settings_of, train
from benchmarks.missing import hidden_boxes, of_missing
from benchmarks.planter import plant
from benchmarks.pseudo_labels_data import add_image
from benchmarks.quality import HERE, SHARED
from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.core.atomic import write_file
from healtheat.core.boxes import NO_CLASS, rows_of, xyxy_to_xywh
from healtheat.core.overlap import iou
from healtheat.embedding import load_encoder
from healtheat.findings.inputs import samples_of
from healtheat.index import Index
from healtheat.signals import Samples
from healtheat.signals.evidence.classmodel import folds
from healtheat.signals.regions.heads import suppress

Floats = NDArray[np.float64]
FOLDS, CLEAR = 3, 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """Proposals: `place` (m, 4) xywhn, `score` (m,), `image_id` (m,), `class_id` (m,)."""

    place: Floats
    score: Floats
    image_id: NDArray[np.int64]
    class_id: NDArray[np.int64]


def fold_of(samples: Samples) -> NDArray[Any]:
    """(images,) which fold each is of: sources stay whole."""
    keys = np.unique(samples.images.group_key.astype(str), return_inverse=True)[1].astype(np.int32)
    return folds(keys.reshape(-1), FOLDS)


def unlabelled(samples: Samples, row: int, xyxyn: Floats) -> NDArray[np.bool_]:
    """(m,) places that overlap no label of the image."""
    mine = samples.boxes.xyxyn[samples.image_row == row]
    return np.asarray(iou(xyxyn, mine).max(axis=1, initial=0) < CLEAR)


def yolo(samples: Samples, root: Path, home: Path, args: argparse.Namespace) -> Found:
    """Predictions of detectors that did not see the image, where no label is."""
    fold, model_of = fold_of(samples), import_module("ultralytics").YOLO
    boxes = rows_of(samples.image_row, len(samples.images))
    number = {class_id: at for at, class_id in enumerate(sorted(samples.names))}
    names = {number[c]: name for c, name in samples.names.items()}
    settings = settings_of(args)
    place, score, image_id, class_id = [], [], [], []
    for one in range(FOLDS):
        data = home / f"fold-{one}"
        for row, path in enumerate(samples.images.path.tolist()):
            if fold[row] != one:
                given = [
                    (number[int(samples.boxes.class_id[b])], *samples.boxes.xywhn[b].tolist())
                    for b in boxes[row]
                ]
                add_image(data, root / path, given)
        folder = str(data / "images/train")
        for name in ("data.yaml", "test.yaml"):
            write_yaml(data / name, {"train": folder, "val": folder, "names": names})
        if not (data / "run/weights/last.pt").is_file():
            train(data, data, data / "run", 0, settings)
        model = model_of(data / "run/weights/last.pt")
        for row in np.flatnonzero(fold == one).tolist():
            file = root / str(samples.images.path[row])
            seen = model.predict(str(file), imgsz=args.imgsz, conf=0.01, verbose=False, save=False)[0].boxes
            xyxyn = seen.xyxyn.numpy().astype(np.float64)
            free = unlabelled(samples, row, xyxyn)
            place.append(xyxy_to_xywh(xyxyn[free]))
            score.append(seen.conf.numpy()[free])
            class_id.append(np.array(sorted(samples.names))[seen.cls.numpy().astype(int)[free]])
            image_id.append(np.full(int(free.sum()), samples.images.image_id[row]))
    return Found(*map(np.concatenate, (place, score, image_id, class_id)))


def windows_of(samples: Samples, row: int) -> Floats:
    """(m, 4) xyxyn of square windows, in pixels, over the whole image."""
    size = np.stack([samples.images.width_px, samples.images.height_px], axis=1).astype(np.float64)
    (width, height), of = size[row], size[samples.image_row]
    sides = np.sqrt(np.prod(samples.boxes.xywhn[:, 2:] * of, axis=1) / np.prod(of, axis=1))
    out = []
    for share in np.quantile(sides, (0.25, 0.75)):
        side = share * np.sqrt(width * height)
        for x in np.arange(0, max(width - side, 1), side / 3):
            for y in np.arange(0, max(height - side, 1), side / 3):
                out.append((x / width, y / height, (x + side) / width, (y + side) / height))
    return np.clip(np.array(out, np.float64), 0, 1)


def windows(samples: Samples, root: Path, home: Path, args: argparse.Namespace) -> Found:
    """Windows that a logistic regression takes for labelled crops, where no label is."""
    fold, rng = fold_of(samples), np.random.default_rng(0)
    assert samples.pixels is not None
    places, vectors = [], []
    for row, image_id in enumerate(samples.images.image_id.tolist()):
        places.append(windows_of(samples, row))
        got = samples.pixels.vectors(image_id, xyxy_to_xywh(places[-1]))
        assert got is not None
        vectors.append(got)
    free = [unlabelled(samples, row, p) for row, p in enumerate(places)]
    place, score, image = [], [], []
    for one in range(FOLDS):
        known = fold[samples.image_row] != one
        others = np.concatenate([vectors[r][free[r]] for r in np.flatnonzero(fold != one)])
        others = others[rng.permutation(len(others))[: 20 * int(known.sum())]]
        data = np.concatenate([samples.vectors[known], others])
        model = LogisticRegression(max_iter=300).fit(data, np.arange(len(data)) < known.sum())
        for row in np.flatnonzero(fold == one).tolist():
            logit = model.decision_function(vectors[row])
            kept = suppress(places[row], logit, len(logit))
            kept = kept[free[row][kept]]
            place.append(xyxy_to_xywh(places[row][kept]))
            score.append(logit[kept])
            image.append(np.full(len(kept), samples.images.image_id[row]))
    where, logits, image_id = map(np.concatenate, (place, score, image))
    return Found(where, logits, image_id, np.full(len(logits), NO_CLASS))


PEERS: dict[str, Callable[..., Found]] = {"yolo": yolo, "windows": windows}


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows, those that were finished before from the log."""
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    quiet_ultralytics(work)
    log = work / "peers.jsonl"
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    done = {(row["peer"], row["rate"], row["seed"]) for row in rows}
    jobs = [(p, rate, seed) for p in args.peers for rate in args.rates for seed in args.seeds]
    for peer, rate, seed in jobs:
        if (peer, rate, seed) in done:
            continue
        home = work / f"{peer}-{rate:g}-{seed}"
        given = args.shared / "data/pushin-pill/data.yaml"
        if not (home / "set/truth.csv").is_file():
            plant(given, home / "set", profile="missing", rate=rate, seed=seed, one_per_source=".rf.")
        source, _ = open_data(home / "set/data.yaml", index=home / "index")
        build(source, home / "index", encoder=load_encoder("pill"), signals=())
        with Index.open(home / "index") as opened:
            samples = samples_of(opened)
            started = time.perf_counter()
            found = PEERS[peer](samples, home / "set", home, args)
        seconds = (time.perf_counter() - started) / len(samples.images)
        told = of_missing(samples, found, hidden_boxes(home / "set/truth.csv"))
        rows.append({"peer": peer, "rate": rate, "seed": seed, "seconds": seconds, **told})
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(json.dumps(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown, a line a peer and rate."""
    out = [
        "| peer | hidden | sets | AP | recall | class right | s an image |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for peer, rate in sorted({(row["peer"], row["rate"]) for row in rows}):
        mine = [row for row in rows if (row["peer"], row["rate"]) == (peer, rate)]
        ap, recall, right, seconds = (
            np.mean([row[name] for row in mine]) for name in ("ap", "recall", "class_right", "seconds")
        )
        shown = f"{right:.3f}" if peer == "yolo" else ""
        out.append(
            f"| {peer} | {rate:.0%} | {len(mine)} | {ap:.3f} | {recall:.3f} | {shown} | {seconds:.1f} |"
        )
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[0, 1])
    parser.add_argument("--rates", type=lambda t: [float(s) for s in t.split(",")], default=[0.08, 0.2])
    parser.add_argument("--peers", type=lambda t: t.split(","), default=list(PEERS))
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("data/missing-benchmark"))
    parser.add_argument("--out", type=Path, default=HERE / "missing_peers.md")
    args = parser.parse_args()
    words = "`python -m benchmarks.missing_peers`, on pushin-pill, one image a source.\n\n"
    write_file(args.out, ("# Peers of the search for missing boxes\n\n" + words + table(run(args))).encode())


if __name__ == "__main__":
    main()
