"""Training sets of end_to_end.py: pushin-pill split by source, errors planted, boxes dropped."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.planter import plant as plant_errors
from benchmarks.quality import GROUPS
from healtheat.building.build import build
from healtheat.cleanup import Plan, write_training
from healtheat.core.atomic import sha256_file
from healtheat.core.paths import yolo_label_path
from healtheat.embedding import load_encoder
from healtheat.index import Index
from healtheat.sources import open_source
from healtheat.sources.groups import group_key

Lines = set[tuple[str, int]]  # image as in the planted set, 0-based line of its label file


def split_sources(images: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Images to train on and to test on: `share` of the sources, whole, are for testing."""
    sources = sorted({group_key(image) for image in images})
    random.Random(seed).shuffle(sources)
    held_out = set(sources[: round(share * len(sources))])
    ordered = sorted(images)
    train = [image for image in ordered if group_key(image) not in held_out]
    return train, [image for image in ordered if group_key(image) in held_out]


def label_of(image: str) -> Path:
    """Label file of an image, relative to the data set as the image is."""
    return Path(image.replace("images/", "labels/", 1)).with_suffix(".txt")


def write_split(pushin: Path, out: Path, share: float, seed: int) -> None:
    """`out` gets images/train and images/test with their labels; train.yaml (to plant in) and test.yaml."""
    found = [p.relative_to(pushin).as_posix() for p in sorted(pushin.glob("images/*/*.jpg"))]
    for split, images in zip(("train", "test"), split_sources(found, share, seed), strict=True):
        for image in images:
            target = f"images/{split}/{Path(image).name}"
            for source, copy in ((Path(image), Path(target)), (label_of(image), label_of(target))):
                (out / copy).parent.mkdir(parents=True, exist_ok=True)
                if (out / copy).exists():
                    raise SystemExit(f"{image}: a second image of this name")
                shutil.copyfile(pushin / source, out / copy)
    names = yaml.safe_load((pushin / "data.yaml").read_text(encoding="utf-8"))["names"]
    write_yaml(out / "train.yaml", {"path": ".", "train": "images/train", "names": names})
    test = {"path": str(out), "train": "images/train", "val": "images/test", "names": names}
    write_yaml(out / "test.yaml", test)


def counts(split: Path) -> dict[str, int]:
    """Images, sources and boxes of both parts."""
    out = {}
    for part in ("train", "test"):
        images = [p.name for p in sorted((split / "images" / part).iterdir())]
        out[f"{part}_images"] = len(images)
        out[f"{part}_sources"] = len({group_key(name) for name in images})
        out[f"{part}_boxes"] = len(all_lines(split, part))
    return out


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(
        yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8", newline="\n"
    )


def plant(split: Path, out: Path, rate: float, seed: int) -> None:
    """The training part of `split` with `mixed` errors; test is not touched."""
    plant_errors(split / "train.yaml", out, profile="mixed", rate=rate, seed=seed, groups=GROUPS)


def planted(dirty: Path) -> tuple[Lines, int]:
    """Lines that are planted errors, and how many lines were taken away."""
    with (dirty / "truth.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["image"], int(row["line"])) for row in csv.DictReader(file)]
    return {row for row in rows if row[1] >= 0}, sum(line < 0 for _, line in rows)


def index_of(dirty: Path, index_dir: Path, encoder: str) -> Index:
    """The index of `dirty`, built with default settings and open."""
    report = build(open_source(dirty / "data.yaml"), index_dir, encoder=load_encoder(encoder))
    if report.failures:
        raise SystemExit(f"signals crashed: {', '.join(map(str, report.failures))}")
    return Index.open(index_dir, verify=False)


def lines_gone(plan: Plan, data: Path) -> Lines:
    """Lines of the data set that a plan takes away, alone or with their image."""
    whole = {image.path for image in plan.images if image.left_out}
    gone = {(image.path, line) for image in plan.images for line in image.lines_out}
    return gone | {(image, line) for image, line in all_lines(data) if image in whole}


def by_issue(plan: Plan) -> dict[str, list[tuple[str, int]]]:
    """Leading issue → lines that a plan leaves out for it."""
    found: dict[str, list[tuple[str, int]]] = {}
    for row in plan.left_out:
        if row.line is not None and row.line >= 0:
            found.setdefault(row.issue, []).append((row.image, row.line))
    return found


def all_lines(data: Path, part: str = "train") -> list[tuple[str, int]]:
    """Every label line of the images in images/`part`."""
    images = [p.relative_to(data).as_posix() for p in sorted(data.glob(f"images/{part}/*"))]
    return [
        (image, line)
        for image in images
        for line in range(len((data / label_of(image)).read_text(encoding="utf-8").splitlines()))
    ]


def at_random(data: Path, count: int, seed: int) -> list[tuple[str, int]]:
    """`count` different lines of the set, each as likely as any other."""
    return sorted(random.Random(f"drop {seed}").sample(all_lines(data), count))


def write_arm(data: Path, out: Path, test: Path, drop: Iterable[tuple[str, int]]) -> str:
    """A copy of the training set `data` without the lines `drop`; returns the SHA-256 over it."""
    gone = set(drop)
    missing = gone - set(all_lines(data))
    if missing:
        raise SystemExit(f"no such line: {sorted(missing)[0]}")
    shutil.rmtree(out, ignore_errors=True)
    for file in sorted(data.glob("images/train/*")):
        image = file.relative_to(data).as_posix()
        text = (data / label_of(image)).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for number, line in enumerate(text) if (image, number) not in gone)
        _add(out, file, kept)
    return _finished(out, test)


def write_cleaned(plan: Plan, out: Path, test: Path) -> str:
    """What `healtheat export --format yolo` writes, by itself in one folder; returns the SHA-256 over it."""
    shutil.rmtree(out, ignore_errors=True)
    write_training(plan, out / "lists")
    for line in (out / "lists" / "train.txt").read_text(encoding="utf-8").splitlines():
        label = yolo_label_path(Path(line))
        _add(out, Path(line), label.read_text(encoding="utf-8") if label.is_file() else "")
    return _finished(out, test)


def _add(out: Path, image: Path, labels: str) -> None:
    target = out / "images" / "train" / image.name
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(image, target)
    label = yolo_label_path(target)
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text(labels, encoding="utf-8", newline="\n")


def _finished(out: Path, test: Path) -> str:
    """Write data.yaml; returns the SHA-256 over images and labels."""
    digest = hashlib.sha256()
    for image in sorted((out / "images" / "train").iterdir()):
        labels = yolo_label_path(image).read_text(encoding="utf-8")
        digest.update(f"{image.name}\n{sha256_file(image)}\n{labels}\n".encode())
    spec = yaml.safe_load((test / "test.yaml").read_text(encoding="utf-8"))
    write_yaml(out / "data.yaml", {**spec, "path": str(out), "val": str(test / "images" / "test")})
    return digest.hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
