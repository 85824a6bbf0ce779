"""Make the demo set: draw all images, plant the errors, write the folder in one go."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import yaml

from healtheat.core.atomic import replacing_folder, sha256_file
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import Missing, Unreadable, read_small
from healtheat.core.paths import yolo_label_path
from healtheat.core.progress import Progress, silent
from healtheat.drawing.plan import MIN_IMAGES, plan_scenes
from healtheat.drawing.plant import choose, image_path, label_file, noisy_lines, with_blur
from healtheat.drawing.products import PRODUCTS, Product
from healtheat.drawing.readme import readme
from healtheat.drawing.render import Rendered, recompress, render
from healtheat.drawing.truth import Truth, read_truth, write_truth

MARKER = ".healtheat-demo.json"
MAX_MARKER_BYTES = 64 << 20
VERSION = 2  # of the renderer and the planting: another one makes other images from the same seed
PARALLEL_FROM = 24  # images; below that, starting processes takes longer than drawing


@dataclass(frozen=True, slots=True)
class DemoSet:
    """A demo set on disk."""

    root: Path
    data_yaml: Path
    truth_csv: Path
    images: int
    boxes: int  # label lines that hold a box
    truth: tuple[Truth, ...]
    reused: bool  # the same set was already there, untouched


def make_demo(
    out: Path | str,
    *,
    seed: int = 0,
    images: int = 300,
    products: Sequence[Product] = PRODUCTS,
    workers: int | None = None,
    progress: Progress = silent,
) -> DemoSet:
    """Write a YOLO dataset of drawn pill images with planted errors to `out`.

    Same arguments, same bytes (for one version of Pillow and NumPy), whatever the number of `workers`
    (processes; default: one a core, at most 8). The folder appears complete or not at all. `out` must be
    absent, empty, or a demo set made before whose files nobody has changed; anything else raises
    InputError and stays as it is. `images` counts images of trays; a few copies and empty trays
    are added.
    """
    out = Path(out)
    if images < MIN_IMAGES:
        raise InputError(
            Argument("images"),
            f" {images}: a demo set needs at least {MIN_IMAGES} to hold every kind of error",
        )
    if len(products) < 8 or len({p.code for p in products}) < len(products):
        raise InputError(f"products: {len(products)} given; at least 8 with different codes are needed")
    settings = {
        "version": VERSION, "seed": seed, "images": images, "products": [p.code for p in products],
        "pillow": PIL.__version__, "numpy": np.__version__,
    }  # fmt: skip
    old = _check_target(out)
    if old and old["settings"] == settings:
        return _describe(out, reused=True)
    with replacing_folder(out) as staging:
        _write(staging, seed, images, products, workers, progress)
        files = {p: _sha256(staging / p) for p in _files(staging)}
        with (staging / MARKER).open("w", encoding="utf-8", newline="\n") as file:
            json.dump({"settings": settings, "files": files}, file, ensure_ascii=False, indent=1)
        _check_target(out)  # somebody may have put something there meanwhile
    return _describe(out, reused=False)


def _write(
    root: Path,
    seed: int,
    images: int,
    products: Sequence[Product],
    workers: int | None,
    progress: Progress,
) -> None:
    scenes = plan_scenes(seed, images, products)
    plan = choose(seed, scenes)
    truth: list[Truth] = []
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    drawn = _render([with_blur(s, plan) for s in scenes], workers)
    progress("draw", 0, len(scenes))
    for done, (scene, rendered) in enumerate(zip(scenes, drawn, strict=True), 1):
        image = image_path(scene)
        data = rendered.data
        if scene.index in plan.truncated:
            data = data[: int(0.4 * len(data))]
            truth.append(Truth("truncated_image", image, -1))
        (root / image).write_bytes(data)
        boxes = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in rendered.boxes_xyxy_px]
        label, found = label_file(scene, noisy_lines(scene, boxes, plan, products))
        truth += found
        if scene.labelled:
            yolo_label_path(root / image).write_bytes(label)
        copy = plan.copies.get(scene.index)
        if copy:  # every second copy was saved again, so that its bytes differ
            again = data if list(plan.copies).index(scene.index) % 2 == 0 else recompress(data)
            (root / copy).write_bytes(again)
            yolo_label_path(root / copy).write_bytes(label)
            truth.append(Truth("duplicate_image", copy, -1, twin=image))
        progress("draw", done, len(scenes))
    names = {p.class_id: p.name for p in sorted(products, key=lambda p: p.code)}
    spec: dict[str, Any] = {"train": "images/train", "val": "images/val", "names": names}
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    (root / "data.yaml").write_text(text, encoding="utf-8", newline="\n")
    rows = [f"{c},{c + 1:06d},{n}\n" for c, n in names.items()]
    (root / "classes.csv").write_text(
        "class_id,drug_code,name\n" + "".join(rows), encoding="utf-8", newline="\n"
    )
    truth.sort(key=lambda t: (t.image, t.line, t.kind))
    write_truth(root / "truth.csv", truth)
    (root / "README.txt").write_text(readme(seed, truth), encoding="utf-8", newline="\n")


def _render(scenes: Sequence[Any], workers: int | None) -> Iterator[Rendered]:
    """The images of `scenes`, in order; drawn in several processes where that pays."""
    count = min(8, os.cpu_count() or 1) if workers is None else workers
    done = 0
    if count > 1 and len(scenes) >= PARALLEL_FROM:
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(count, mp_context=context) as pool:
                try:
                    for rendered in pool.map(render, scenes, chunksize=4):
                        done += 1
                        yield rendered
                except GeneratorExit:
                    pool.shutdown(cancel_futures=True)
                    raise
        except BrokenProcessPool:
            # A script without a __main__ guard, or one read from standard input, cannot start processes.
            pass
    for scene in scenes[done:]:
        yield render(scene)


def _files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir())


def _sha256(path: Path) -> str:
    return sha256_file(path)


def _check_target(out: Path) -> dict[str, Any] | None:
    """What the marker of an earlier, untouched demo set says; None for an absent or empty folder."""
    advice = "choose another folder, or move it away"
    if not os.path.lexists(out):
        return None
    if out.is_symlink() or not out.is_dir():
        raise InputError(f"{out}: is not a folder; {advice}")
    if not any(out.iterdir()):
        return None
    try:
        marker: dict[str, Any] = json.loads(read_small(out / MARKER, MAX_MARKER_BYTES).data)
        known: dict[str, str] = dict(marker["files"])
        marker["settings"]["version"]
    except Missing:
        raise InputError(f"{out}: holds files that are not a demo set's; {advice}") from None
    except (Unreadable, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{out / MARKER}: cannot be read, so the folder is left alone; {advice}") from None
    present = set(_files(out)) - {MARKER}
    for path in sorted(present | set(known)):
        if path not in known:
            raise InputError(f"{out / path}: is not part of the demo set that was written here; {advice}")
        if path not in present or _sha256(out / path) != known[path]:
            raise InputError(f"{out / path}: was changed since the demo set was written; {advice}")
    return marker


def _describe(out: Path, reused: bool) -> DemoSet:
    truth = tuple(read_truth(out / "truth.csv"))
    broken = {(t.image, t.line) for t in truth if t.kind == "broken_line"}
    boxes = sum(
        1
        for path in sorted((out / "labels").rglob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ) - len(broken)
    images = sum(1 for p in (out / "images").rglob("*") if p.is_file())
    return DemoSet(out, out / "data.yaml", out / "truth.csv", images, boxes, truth, reused)
