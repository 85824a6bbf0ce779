"""What `apply` would do, planned and checked against the files; nothing is written here."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from healtheat.cleanup.check import Box, check_yolo, locate_coco
from healtheat.cleanup.decide import Decisions, Drop, HeldBack, Relabel, Removal, decide
from healtheat.cleanup.edits import without_annotations, without_lines
from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, is_folder, relative
from healtheat.findings.query import Filters
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.sources.yolo.data_yaml import load_data_yaml
from healtheat.sources.yolo.image_list import listed_images

MAX_FILE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Edit:
    """A file that loses lines (or annotations of a COCO JSON), or, with no lines, the whole file.

    `path` is as in the manifest: relative to the root, or absolute. `after` is the hash of what is left, ""
    where the file goes.
    """

    path: str
    kind: Literal["lines", "annotations", "file"]
    drop: tuple[int, ...]
    before: str
    after: str

    def result(self, data: bytes) -> bytes:
        """What is left of `data`."""
        cut = without_lines if self.kind == "lines" else without_annotations
        return cut(data, frozenset(self.drop))


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of the data set. Paths as in the manifest."""

    path: str
    file: str
    split: str
    label_path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """Everything `apply` does: `edits`, photos to take out, and the three lists that go with it."""

    kind: Literal["yolo", "coco"]
    root: Path
    data: Path
    names: Mapping[int, str]
    photos: list[Photo]
    edits: list[Edit]
    photos_out: frozenset[str]
    lists: list[str]  # image lists of data.yaml among the label files
    label_sha256: Mapping[str, str]
    removals: list[Removal]
    relabels: list[Relabel]
    held_back: list[HeldBack]
    places: Places  # where no copy may go
    boxes: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # class id → (kept, in all)
    emptied: list[str] = field(default_factory=list)  # photos that keep no box

    def summary(self) -> dict[str, object]:
        """The plan in figures, JSON-able."""
        return {
            "kind": self.kind,
            "lines_removed": sum(len(e.drop) for e in self.edits if e.path not in self.lists),
            "photos_removed": len(self.photos_out),
            "files_changed": len(self.edits),
            "relabel_advice": len(self.relabels),
            "held_back": len(self.held_back),
            "boxes": {
                "kept": sum(kept for kept, _ in self.boxes.values()),
                "of": sum(of for _, of in self.boxes.values()),
            },
            "photos_without_boxes_after": len(self.emptied),
        }


def plan_apply(
    index: Index, filters: Filters | None = None, *, flagged: bool = False, drop: Drop = "boxes"
) -> ApplyPlan:
    """Plan a cleanup from verdicts: boxes called `drop`, and with `flagged` those only flagged as well.

    `drop="photos"` takes out the whole photo of such a box. A `drop` on a finding about a whole photo takes
    the photo out. Every label file is compared with the manifest, and every line with the box that was
    judged: InputError if anything is not as it was, or if the index has no label files to act on.
    """
    source = index.manifest.source
    if source.kind not in ("yolo", "coco"):
        raise InputError(
            f"an index built from {source.kind} has no label files; there is nothing to clean up"
        )
    if source.kind == "coco" and drop == "photos":
        raise InputError("taking out whole photos works for YOLO label files only; leave --drop photos out")
    if changed := index.changed_label_files():
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(f"{changed[0]}{more} changed since the build, so lines may have moved; build again")
    root, data = Path(source.root), Path(source.data)
    decisions = decide(index, filters or Filters(), flagged=flagged, drop=drop, yolo=source.kind == "yolo")
    if source.kind == "coco":
        _hold_photos(decisions)
    photos = [
        Photo(r["path"], r["file"], r["split"], r["label_path"], r["sha256"] or "")
        for r in index.sql("select * from images order by image_id").to_pylist()
    ]
    label_sha256 = {path: entry.sha256 for path, entry in index.manifest.label_files.items()}
    rows = index.sql(
        "select i.path, i.label_path, b.line, b.class_id, b.cx, b.cy, b.w, b.h from boxes b "
        "join images i using (image_id) order by i.path, b.line"
    ).to_pylist()
    edits = (_yolo if source.kind == "yolo" else _coco)(decisions, rows, photos, root, data, label_sha256)
    lists = _lists(data, root) if source.kind == "yolo" else {}
    if decisions.photos:
        edits += _without_photos(decisions.photos, photos, lists, root, label_sha256)
    return ApplyPlan(
        kind="yolo" if source.kind == "yolo" else "coco",
        root=root,
        data=data,
        names=dict(index.names),
        photos=photos,
        edits=sorted(edits, key=lambda edit: edit.path),
        photos_out=frozenset(decisions.photos),
        lists=sorted(lists),
        label_sha256=label_sha256,
        removals=decisions.removals,
        relabels=decisions.relabels,
        held_back=decisions.held_back,
        places=Places.of(index),
        **_left(decisions, rows),
    )


def _hold_photos(decisions: Decisions) -> None:
    for row in [r for r in decisions.removals if r.removed == "photo"]:
        why = "whole photos are taken out of YOLO data sets only"
        decisions.held_back.append(
            HeldBack(row.image, row.line, row.class_id, row.label_file, row.issue, why)
        )
        decisions.removals.remove(row)
    decisions.photos.clear()


def _yolo(
    decisions: Decisions,
    rows: Sequence[Mapping[str, Any]],
    photos: Sequence[Photo],
    root: Path,
    data: Path,
    label_sha256: Mapping[str, str],
) -> list[Edit]:
    label_of = {photo.path: photo.label_path for photo in photos}
    boxes: defaultdict[str, dict[int, Box]] = defaultdict(dict)
    for row in rows:
        if row["path"] in decisions.lines:
            boxes[row["path"]][row["line"]] = _box(row)
    edits = []
    for image, lines in decisions.lines.items():
        path = label_of[image]
        content = _read(root / path, path, label_sha256[path])
        check_yolo(content, {n: boxes[image].get(n) for n in lines}, path)
        edits.append(_edit(path, "lines", lines, content))
    return edits


def _coco(
    decisions: Decisions,
    rows: Sequence[Mapping[str, Any]],
    photos: Sequence[Photo],
    root: Path,
    data: Path,
    label_sha256: Mapping[str, str],
) -> list[Edit]:
    wanted: dict[tuple[str, int], tuple[str, Box]] = {}
    for row in rows:
        if row["line"] in decisions.lines.get(row["path"], ()):
            wanted[row["path"], row["line"]] = (row["label_path"], _box(row))
    for image, lines in decisions.lines.items():
        if missing := [n for n in lines if (image, n) not in wanted]:
            raise InputError(f"{image}: annotation {min(missing)} is not in the index; build it again")
    drop: defaultdict[str, set[int]] = defaultdict(set)
    for file, at in locate_coco(data, root, wanted).values():
        drop[file].add(at)
    return [
        _edit(file, "annotations", at, _read(root / file, file, label_sha256[file]))
        for file, at in drop.items()
    ]


def _without_photos(
    out: set[str],
    photos: Sequence[Photo],
    lists: Mapping[str, Path],
    root: Path,
    label_sha256: Mapping[str, str],
) -> list[Edit]:
    """Photos, their label files, and their lines in lists of images."""
    staying = Counter(photo.label_path for photo in photos if photo.path not in out)
    edits: dict[str, Edit] = {}
    gone = set()
    for photo in photos:
        if photo.path not in out:
            continue
        gone.add(root / photo.file)
        content = _read(root / photo.file, photo.path, photo.sha256)
        edits[photo.file] = Edit(photo.file, "file", (), hashlib.sha256(content).hexdigest(), "")
        label = photo.label_path
        if label and not staying[label] and label in label_sha256:
            edits[label] = Edit(label, "file", (), label_sha256[label], "")
    for name, path in lists.items():
        lines = {line for image, line in listed_images(path, root, name).images if image in gone}
        if lines:
            edits[name] = _edit(name, "lines", lines, _read(path, name, label_sha256[name]))
    return list(edits.values())


def _lists(data: Path, root: Path) -> dict[str, Path]:
    """Lists of images that data.yaml names, by their path in the manifest."""
    if is_folder(data):
        return {}
    return {relative(s.path, root): s.path for s in load_data_yaml(data).splits if is_file(s.path)}


def _edit(path: str, kind: Literal["lines", "annotations"], drop: set[int], content: bytes) -> Edit:
    before = hashlib.sha256(content).hexdigest()
    cut = without_lines if kind == "lines" else without_annotations
    after = hashlib.sha256(cut(content, drop)).hexdigest()
    return Edit(path, kind, tuple(sorted(drop)), before, after)


def _read(file: Path, name: str, sha256: str) -> bytes:
    """The file's content. Raises InputError if it is not the one the index was built from."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB; split it")
    content = file.read_bytes()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{name}: changed since the build; build again")
    return content


def _box(row: Mapping[str, Any]) -> Box:
    return row["class_id"], (row["cx"], row["cy"], row["w"], row["h"])


def _left(decisions: Decisions, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    boxes_kept: Counter[str] = Counter()
    for row in rows:
        total[row["class_id"]] += 1
        stays = row["path"] not in decisions.photos and row["line"] not in decisions.lines.get(
            row["path"], ()
        )
        kept[row["class_id"]] += stays
        boxes_kept[row["path"]] += stays
    return {
        "boxes": {class_id: (kept[class_id], n) for class_id, n in sorted(total.items())},
        "emptied": [image for image in decisions.lines if not boxes_kept[image]],
    }
