"""Writing a YOLO cleanup: lists for Ultralytics in a new folder, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath

import pyarrow as pa
import yaml

from healtheat.core.atomic import replacing_folder
from healtheat.core.errors import InputError
from healtheat.core.paths import yolo_label_path
from healtheat.core.table import write_csv
from healtheat.exporting.yolo import CleanupPlan, LeftOut, Photo, listable

SUMMARY = "cleanup.json"  # marks a folder as one of ours
EDITED = "edited"


def write_cleanup(plan: CleanupPlan, to: Path, *, overwrite: bool = False) -> list[str]:
    """Write the lists into the new folder `to` and return their names; no source file is opened for writing.

    `to` may be there if it is empty, or with `overwrite` if it holds an earlier cleanup, which is replaced.
    Raises InputError if `to` holds anything else, lies among the data set's photos or labels or in an index,
    or if a file that must be copied changed since the build.
    """
    to = Path(os.path.abspath(to))  # noqa: PTH100 - resolve() would follow links, which training does not
    check_target(plan, to, overwrite=overwrite)
    with replacing_folder(to) as staged:
        listed: dict[str, list[str]] = {}
        for photo in plan.kept:
            file = _edit(photo, plan, staged, to) if photo.drop_lines else photo.file
            listed.setdefault(photo.split or "images", []).append(file.as_posix())
        names = [_write_lines(staged / f"{split}.txt", paths) for split, paths in listed.items()]
        names.append(_write_data(staged / "data.yaml", plan, [s for s in listed if s != "images"]))
        out = [p.file.as_posix() for p in plan.photos if p.left_out and listable(p.path)]
        names.append(_write_lines(staged / "left_out_images.txt", out))
        rows = {f.name: [getattr(row, f.name) for row in plan.left_out] for f in fields(LeftOut)}
        names.append(_write_csv(staged / "left_out.csv", pa.table(rows)))
        names.append(_write_csv(staged / "findings.csv", plan.decided_by))
        summary = json.dumps(summarise(plan), ensure_ascii=False, indent=1)
        names.append(_write_lines(staged / SUMMARY, [summary]))
        check_target(plan, to, overwrite=overwrite)  # somebody may have put something there meanwhile
    return names


def summarise(plan: CleanupPlan) -> dict[str, object]:
    """The plan in figures, JSON-able."""
    issues: dict[str, int] = {}
    for issue in plan.decided_by["issue"].to_pylist():
        issues[issue] = issues.get(issue, 0) + 1
    return {
        "drop": plan.drop,
        "photos": {split or "images": {"kept": k, "of": n} for split, (k, n) in plan.by_split().items()},
        "boxes": {
            "kept": sum(kept for kept, _ in plan.boxes.values()),
            "of": sum(n for _, n in plan.boxes.values()),
        },
        "findings": issues,
        "classes": {
            str(class_id): {"name": plan.names.get(class_id, ""), "kept": kept, "of": n}
            for class_id, (kept, n) in plan.boxes.items()
        },
    }


def check_target(plan: CleanupPlan, to: Path, *, overwrite: bool = False) -> None:
    """Raises InputError unless the cleanup may be written to the folder `to`."""
    plan.places.check_folder(to, replaced=(to / SUMMARY).is_file())
    if to.exists() and not to.is_dir():
        raise InputError(f"{to}: is a file; give a folder")
    if to.is_dir() and any(to.iterdir()):
        if not (to / SUMMARY).is_file():
            raise InputError(f"{to}: is not empty; give a new folder")
        if not overwrite:
            raise InputError(f"{to}: holds an earlier cleanup; give a new folder or add --overwrite")


def _edit(photo: Photo, plan: CleanupPlan, staged: Path, to: Path) -> Path:
    """Copy the photo and its label file without `drop_lines`; returns the photo's path once `to` is there."""
    inside = PurePosixPath(EDITED, *(_plain(part) for part in PurePosixPath(photo.path).parts))
    image, label = to / inside, yolo_label_path(to / inside)
    if to not in label.parents:
        raise InputError(f"{to}: training would look for labels in {label}; give a folder not under `images`")
    data = photo.label_file.read_bytes()
    if hashlib.sha256(data).hexdigest() != plan.label_sha256.get(photo.label_path):
        raise InputError(f"{photo.label_path}: changed since the build; build again")
    pixels = photo.file.read_bytes()
    if hashlib.sha256(pixels).hexdigest() != photo.sha256:
        raise InputError(f"{photo.path}: the photo changed since the build; build again")
    lines = data.splitlines(keepends=True)  # as the reader counts them; kept lines stay as they are
    kept = b"".join(line for number, line in enumerate(lines) if number not in photo.drop_lines)
    for target, content in ((image, pixels), (label, kept)):
        target = staged / target.relative_to(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:  # two photos never share a name: their whole path is kept
            file.write(content)
    return image


def _plain(part: str) -> str:
    # A photo beside the data set (`../more/a.jpg`) must not land outside the folder.
    return "_up" if part == ".." else part.replace(":", "_").strip("/\\") or "_root"


def _write_lines(path: Path, lines: Sequence[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path.name


def _write_data(path: Path, plan: CleanupPlan, splits: Sequence[str]) -> str:
    content: dict[str, object] = {split: f"{split}.txt" for split in splits}
    content["names"] = dict(plan.names)  # sparse ids stay sparse
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    path.write_text(
        f"# The data set without what left_out.csv lists.\n{text}", encoding="utf-8", newline="\n"
    )
    return path.name


def _write_csv(path: Path, table: pa.Table) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(table, file)
    return path.name
