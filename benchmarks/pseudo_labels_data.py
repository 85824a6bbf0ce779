"""Sets, boxes and tables of pseudo_labels.py; nothing is trained here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.end_to_end_data import link_or_copy, split_sources, write_yaml
from healtheat.core.overlap import iou
from healtheat.core.paths import yolo_label_path
from healtheat.drawing.plan import plan_scenes
from healtheat.drawing.plant import ErrorPlan, image_path, label_file, noisy_lines
from healtheat.drawing.products import PRODUCTS
from healtheat.drawing.render import render
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage

PARTS = ("labelled", "rest", "held_out")
HEADING = "| arm | round |"

Box = tuple[int, float, float, float, float]  # class id; centre, width and height as shares of the image


@dataclass(frozen=True, slots=True)
class Found:
    """A box that a detector found on an image (its name); `accepted` by whoever chose among them."""

    image: str
    box: Box
    confidence: float
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class OneImage:
    """An image with a label file, and its boxes in file order."""

    file: Path
    boxes: tuple[Box, ...]


def draw(out: Path, images: int, seed: int = 0) -> Path:
    """The demo set without planted errors, its classes numbered 0 … n-1 as Ultralytics wants them.

    Returns its data.yaml, which is written last: a set that was cut off is drawn again.
    """
    if (out / "data.yaml").is_file():
        return out / "data.yaml"
    shutil.rmtree(out, ignore_errors=True)
    names = {p.class_id: p.name for p in sorted(PRODUCTS, key=lambda p: p.code)}
    number = {class_id: at for at, class_id in enumerate(names)}
    for scene in plan_scenes(seed, images, PRODUCTS):
        if not scene.labelled:
            continue
        drawn = render(scene)
        corners = [(float(a), float(b), float(c), float(d)) for a, b, c, d in drawn.boxes_xyxy_px]
        text, _ = label_file(scene, noisy_lines(scene, corners, ErrorPlan(), PRODUCTS))
        lines = (line.split(maxsplit=1) for line in text.decode().splitlines() if line)
        image = out / image_path(scene)
        _write(image, "".join(f"{number[int(given)]} {place}\n" for given, place in lines))
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(drawn.data)
    spec = {"train": "images/train", "val": "images/val", "names": list(names.values())}
    write_yaml(out / "data.yaml", spec)
    return out / "data.yaml"


def read_set(data: Path) -> tuple[dict[str, OneImage], dict[int, str]]:
    """Images with a label file (path in the set → its boxes), and the class names.

    SystemExit where Ultralytics could not train on it: class ids other than 0 … n-1, one name for two images.
    """
    source = open_source(data)
    found = {}
    for record in source.read():
        if isinstance(record, LabelledImage) and record.status != "unlabelled":
            places = zip(record.boxes.class_id.tolist(), record.boxes.xywhn.tolist(), strict=True)
            boxes = tuple((int(given), *map(float, place)) for given, place in places)
            found[record.path] = OneImage(record.file, boxes)  # type: ignore[arg-type]
    names = dict(source.names)
    if sorted(names) != list(range(len(names))):
        raise SystemExit(f"{data}: class ids are not 0 … {len(names) - 1}, as Ultralytics wants them")
    stems = [Path(image).stem for image in found]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise SystemExit(f"{data}: two images are called {twice}; rename one")
    return found, names


def split_parts(
    images: Sequence[str], labelled: float, held_out: float, seed: int
) -> dict[str, tuple[str, ...]]:
    """Part → its images. `held_out` of the sources are to test on; of the others `labelled` have labels.

    A source is whole in one part. SystemExit where a part would be empty.
    """
    others, tested = split_sources(images, held_out, seed)
    rest, known = split_sources(others, labelled, seed)
    parts = dict(zip(PARTS, (tuple(known), tuple(rest), tuple(tested)), strict=True))
    if empty := [part for part, names in parts.items() if not names]:
        raise SystemExit(f"no image would be {empty[0]}: the set has too few sources for such shares")
    return parts


def write_parts(
    images_of: Mapping[str, OneImage],
    parts: Mapping[str, Sequence[str]],
    names: Mapping[int, str],
    out: Path,
) -> None:
    """Folders in `out`: labelled/, true/ and held_out/ with labels, rest/ (images of true/) without any.

    labelled/data.yaml is the set that is trusted; held_out/test.yaml is what is measured on.
    """
    shutil.rmtree(out, ignore_errors=True)
    for part, folder in zip(PARTS, ("labelled", "true", "held_out"), strict=True):
        for path in parts[part]:
            one = images_of[path]
            add_image(out / folder, one.file, one.boxes)
            if part == "rest":
                (out / "rest").mkdir(exist_ok=True)
                link_or_copy(one.file, out / "rest" / one.file.name)
    common = {"names": dict(names)}
    write_yaml(out / "labelled" / "data.yaml", {"train": "images/train", **common})
    test = out / "held_out" / "images" / "train"
    write_yaml(out / "held_out" / "test.yaml", {"train": str(test), "val": str(test), **common})


def add_image(folder: Path, file: Path, boxes: Iterable[Box]) -> None:
    """A link to (or copy of) the image `file` in folder/images/train, with a label file of its own."""
    target = folder / "images" / "train" / file.name
    _write(target, "".join(" ".join([str(box[0]), *(f"{v:.6f}" for v in box[1:])]) + "\n" for box in boxes))
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(file, target)


def _write(image: Path, labels: str) -> None:
    label = yolo_label_path(image)
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text(labels, encoding="utf-8", newline="\n")


def write_arm_yaml(parts: Path, folder: Path, more: Sequence[Path]) -> None:
    """folder/data.yaml: training on the labelled part and `more` (folders of images, or lists of them)."""
    spec = yaml.safe_load((parts / "held_out" / "test.yaml").read_text(encoding="utf-8"))
    train = [parts / "labelled" / "images" / "train", *(path for path in more if not _is_empty(path))]
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "data.yaml", {**spec, "train": [os.fspath(path) for path in train]})


def _is_empty(path: Path) -> bool:
    if path.is_dir():
        return not any(path.iterdir())
    return not path.is_file() or not path.read_text(encoding="utf-8").strip()


def write_predictions(found: Iterable[Found], folder: Path) -> None:
    """A text file an image as `yolo predict save_txt save_conf` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {}
    for one in found:
        values = (f"{value:.6f}" for value in (*one.box[1:], one.confidence))
        lines.setdefault(Path(one.image).stem, []).append(" ".join([str(one.box[0]), *values]) + "\n")
    for stem, text in lines.items():
        (folder / f"{stem}.txt").write_text("".join(text), encoding="utf-8", newline="\n")


def most_confident(found: Sequence[Found], count: int) -> list[Found]:
    """The `count` boxes of which the detector was surest; of equals the first."""
    return sorted(found, key=lambda one: -one.confidence)[:count]


def count_right(found: Sequence[Found], truth: Mapping[str, Sequence[Box]], least: float = 0.5) -> int:
    """How many of the boxes have a true box of their class and image at an IoU of `least` or more.

    A true box answers for one box: the surest comes first and takes the one it overlaps most.
    """
    right, taken = 0, set[tuple[str, int]]()
    for one in most_confident(found, len(found)):
        true = truth.get(one.image, ())
        overlap = iou(_corners([one.box]), _corners(true))[0]
        free = [
            at
            for at, box in enumerate(true)
            if box[0] == one.box[0] and overlap[at] >= least and (one.image, at) not in taken
        ]
        if free:
            taken.add((one.image, max(free, key=lambda at: float(overlap[at]))))
            right += 1
    return right


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(n, 4) left, top, right and bottom."""
    places = np.array([box[1:] for box in boxes], np.float64).reshape(-1, 4)
    return np.hstack([places[:, :2] - places[:, 2:] / 2, places[:, :2] + places[:, 2:] / 2])


def judged(found: Sequence[Found], truth: Mapping[str, Sequence[Box]]) -> dict[str, int]:
    """Counts: boxes, those accepted, right ones of these, and right ones of as many of the most confident."""
    accepted = [one for one in found if one.accepted]
    return {
        "boxes": len(found),
        "true": sum(map(len, truth.values())),
        "accepted": len(accepted),
        "right": count_right(accepted, truth),
        "right_of_confident": count_right(most_confident(found, len(accepted)), truth),
    }


def tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: mAP50 per arm and round, and what was accepted of the pseudo-labels.

    `results` have `seed`, `arm`, `round` and `map50`; those of pseudo-labels also what `judged` counts.
    """
    seeds = sorted({result["seed"] for result in results})
    by = {(result["arm"], result["round"], result["seed"]): result for result in results}
    rows = list(dict.fromkeys((result["arm"], result["round"]) for result in results))
    lines = [f"{HEADING} {' | '.join(f'seed {seed}' for seed in seeds)} | mean |"]
    lines.append("|---|--:|" + "--:|" * (len(seeds) + 1))
    for arm, turn in rows:
        values = [by[arm, turn, seed]["map50"] if (arm, turn, seed) in by else None for seed in seeds]
        known = [value for value in values if value is not None]
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"| {arm} | {turn or ''} | {' | '.join(cells)} | {np.mean(known):.3f} |")
    chosen = [result for result in results if "accepted" in result]
    if not chosen:
        return "\n".join(lines) + "\n"
    lines += ["", "| arm | round | seed | boxes | of true ones | accepted | precision | most confident |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for r in chosen:
        shares = [_share(r[name], r["accepted"]) for name in ("right", "right_of_confident")]
        counts = [str(r[name]) for name in ("round", "seed", "boxes", "true", "accepted")]
        lines.append(f"| {r['arm']} | {' | '.join([*counts, *shares])} |")
    return "\n".join(lines) + "\n"


def _share(part: int, of: int) -> str:
    return f"{part / of:.3f}" if of else ""
