"""What a cleanup would do, planned and checked against the files; nothing is written here.

There is one plan, with three writers: lists to train on (`training`), a cleaned copy (`copy`) and the data
set itself (`inplace`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from healtheat.cleanup.batches import check_batches, with_batches
from healtheat.cleanup.check import Box, check_yolo, locate_coco
from healtheat.cleanup.decide import Decisions, Facts, asked_for, called_wrong, decide, deciding
from healtheat.cleanup.edits import edited, without_annotations, without_lines
from healtheat.cleanup.rows import Goal, HeldBack, LeftOut, Place, PlacedBox, PlannedImage, Relabel, drop_for
from healtheat.cleanup.yolo_set import YoloSet, read_set
from healtheat.core.boxes import ProblemCode
from healtheat.core.drop import Drop
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import read_whole
from healtheat.findings.filters import Filters, words
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.sources.yolo.image_list import listed_images
from healtheat.sources.yolo.trainer import Ignored, why_ignored

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Edit:
    """A file that loses lines (or annotations of a COCO JSON), or, with no lines, the whole file.

    In a copy `moved` lines get a box at another place, and `added` lines follow at its end.
    `path` is as in the manifest: relative to the root, or absolute. `after` is the hash of what is left, ""
    where the file goes.
    """

    path: str
    kind: Literal["lines", "annotations", "file"]
    drop: tuple[int, ...]
    before: str
    after: str
    moved: tuple[tuple[int, Place], ...] = ()
    added: tuple[str, ...] = ()

    def result(self, data: bytes) -> bytes:
        """What is left of `data`."""
        if self.kind == "annotations":
            return without_annotations(data, frozenset(self.drop))
        return edited(data, frozenset(self.drop), dict(self.moved), self.added)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a cleanup does. `edits` are the files that change: of the data set itself where the goal is
    labels, of copies where it is training.
    """

    goal: Goal
    drop: Drop
    by: Literal["lines", "annotations"]  # what a label file consists of
    root: Path
    data: Path
    names: Mapping[int, str]
    images: list[PlannedImage]
    edits: list[Edit]
    image_lists: list[str]  # lists of images that data.yaml names, among the label files
    label_sha256: Mapping[str, str]
    findings: pa.Table  # what it was decided by, with the columns of `query`
    left_out: list[LeftOut]
    relabels: list[Relabel]
    placed: list[PlacedBox]
    held_back: list[HeldBack]
    boxes: Mapping[int, tuple[int, int]]  # class id → (boxes kept and trained on, boxes in all)
    emptied: list[str]  # images that stay but keep no box
    relabelled_out: int  # boxes that go because a person wants another class for them
    places: Places  # where nothing may be written
    untrained: Mapping[str, str]  # images that stay, though the trainer ignores or misreads them → why
    untrained_boxes: int  # boxes on them that stay
    set: YoloSet

    @property
    def kept(self) -> list[PlannedImage]:
        """The images that stay."""
        return [image for image in self.images if not image.left_out]

    def by_split(self) -> dict[str, tuple[int, int]]:
        """Split → (images kept and trained on, images in all)."""
        total = Counter(image.split for image in self.images)
        kept = Counter(image.split for image in self.kept if image.path not in self.untrained)
        return {split: (kept[split], n) for split, n in total.items()}

    def splits(self) -> dict[str, list[PlannedImage]]:
        """Split → the images that stay in it, each as often as the split names it, in that order.

        A split that has no image of its own (`val` is `train`) keeps those of the other.
        """
        kept = {image.path: image for image in self.kept}
        if not self.set.named:
            found: dict[str, list[PlannedImage]] = {}
            for image in self.kept:
                found.setdefault(image.split, []).append(image)
            return found
        splits = {split: [kept[p] for p in paths if p in kept] for split, paths in self.set.named.items()}
        return {split: images for split, images in splits.items() if images}

    def listed(self, split: str) -> list[PlannedImage]:
        """The images that stay in `split`."""
        return self.splits().get(split, [])

    def emptied_splits(self) -> list[str]:
        """train and val, where one has images and keeps none: nobody could train on what is left."""
        had = {image.split for image in self.images} | self.set.named.keys()
        left = self.splits()
        return [split for split in ("train", "val") if split in had and split not in left]


def plan_labels(
    index: Index,
    filters: Filters | None = None,
    *,
    flagged: bool = False,
    drop: Drop | None = None,
    copied: bool = False,
) -> Plan:
    """Plan cleaned labels: without the boxes called `drop`, and with `flagged` those only flagged as well.

    `copied`: for a copy, from which also goes, whatever the filters are, each box that a person wants
    relabelled, for nobody should train on its old class. In place it waits for the person.

    `drop="images"` takes out the whole image of such a box, `drop="mask"` its line and its pixels. A `drop`
    on a finding about a whole image takes the image out. Every label file is compared with the manifest, and
    every line with the box that was judged: InputError if anything is not as it was, or if the index has no
    label files to act on.
    """
    source = index.manifest.source
    if source.edits == "none":
        raise InputError(
            f"an index built from {source.kind} has no label files; there is nothing to clean up"
        )
    index.check_source()
    chosen = drop_for(drop, source.edits)
    check_batches(index, source.edits)
    if changed := index.changed_label_files():
        raise InputError(f"{_first(changed)} changed since the build, so lines may have moved; build again")
    filters = filters or Filters()
    findings = asked_for(index, filters, flagged=flagged)
    if copied:
        findings = called_wrong(index, findings)
    named = words(filters.issues)
    return _plan(index, findings, goal="labels", drop=chosen, by=source.edits, named=named, copied=copied)


def plan_training(
    index: Index, filters: Filters | None = None, *, drop: Drop | None = None, force: bool = False
) -> Plan:
    """Plan lists to train on: without what is flagged or confirmed, and without what cannot be trained on.

    `drop="boxes"` removes the lines of the findings from a copy of the label file and leaves the image out
    where that cannot help: a finding about no line (a missing box), or no line left. `drop="mask"` greys them
    out in the copy of the image as well, and a missing box whose place is known. `drop="images"` leaves out
    every image with a finding. Raises InputError if the index was not built from YOLO label files, if
    label files changed since the build (with `force` the images of changed files are left out instead), or if
    the filters ask for what nobody would leave out.
    """
    source, filters = index.manifest.source, filters or Filters()
    if source.edits != "lines":
        raise InputError(
            f"a YOLO cleanup needs an index of YOLO label files, this one was built from {source.kind}; "
            "use another ",
            Argument("format"),
        )
    if not filters.flagged_only and not (filters.verdicts or filters.statuses):
        raise InputError(
            Argument("all_"), " would leave out every image; a YOLO cleanup takes flagged samples only"
        )
    if {"cleared", "unflagged"} & set(words(filters.statuses)):
        raise InputError(
            "a YOLO cleanup leaves out what is confirmed or flagged; ",
            Argument("status"),
            " takes these two here",
        )
    index.check_source()
    check_batches(index, source.edits)
    changed = index.changed_label_files()
    if changed and not force:
        raise InputError(
            f"{_first(changed)} changed since the build, so lines may have moved; build again, or add ",
            Argument("force", True),
            " to leave the images of changed files out",
        )
    return _plan(
        index,
        called_wrong(index, deciding(index, filters)),
        goal="training",
        drop=drop_for(drop, source.edits),
        by=source.edits,
        named=words(filters.issues),
        changed=changed,
    )


def _plan(
    index: Index,
    findings: pa.Table,
    *,
    goal: Goal,
    drop: Drop,
    by: Literal["lines", "annotations"],
    named: Collection[str],
    changed: Collection[str] = (),
    copied: bool = False,
) -> Plan:
    source = index.manifest.source
    root, data = Path(source.root), Path(source.data)
    found = index.manifest.settings.get("task")
    task = found if isinstance(found, str) else None
    facts = Facts(index, named=named, changed=changed, whole_images=by == "lines", task=task)
    label_sha256 = {path: entry.sha256 for path, entry in index.manifest.every_label_file().items()}
    yolo = read_set(data, task) if by == "lines" else YoloSet()

    def left_ignored(label: str, lines: Collection[int]) -> Ignored | None:
        return _why_ignored(root / label, lines, facts, yolo) if by == "lines" and label else _NO_LINES

    decisions = decide(
        facts, findings.to_pylist(), goal=goal, drop=drop, copied=copied, why_ignored=left_ignored
    )
    yolo = with_batches(index, yolo, decisions.images)
    boxes = index.sql(
        "select i.path, i.label_path, b.line, b.class_id, b.cx, b.cy, b.w, b.h from boxes b "
        "join images i using (image_id) order by i.path, b.line"
    ).to_pylist()
    if by == "lines":
        edits = _lines(decisions, boxes, root, label_sha256)
    else:
        edits = _annotations(decisions, boxes, root, data, label_sha256)
    lists: dict[str, Path] = {}
    lists_apply = by == "lines" and goal == "labels"
    if lists_apply:
        lists = dict(yolo.lists)
        edits += _without_images(decisions.images, lists, root, label_sha256)
    untrained = _untrained(decisions, facts, root, yolo) if lists_apply else {}
    kept, emptied, untrained_boxes = _left(decisions, boxes, untrained)
    return Plan(
        goal=goal,
        drop=drop,
        by=by,
        root=root,
        data=data,
        names=dict(index.names),
        images=decisions.images,
        edits=sorted(edits, key=lambda edit: edit.path),
        image_lists=sorted(lists),
        label_sha256=label_sha256,
        findings=findings,
        left_out=decisions.left_out,
        relabels=decisions.relabels,
        placed=decisions.placed,
        held_back=decisions.held_back,
        boxes=kept,
        emptied=emptied,
        relabelled_out=decisions.relabelled_out,
        places=Places.of(index),
        untrained=untrained,
        untrained_boxes=untrained_boxes,
        set=yolo,
    )


def _lines(
    decisions: Decisions,
    rows: Sequence[Mapping[str, Any]],
    root: Path,
    label_sha256: Mapping[str, str],
) -> list[Edit]:
    """Label files without the lines that go, each line compared with the box that was judged."""
    boxes: defaultdict[str, dict[int, Box]] = defaultdict(dict)
    changed = {
        image.path: image
        for image in decisions.images
        if image.lines_out or (image.label_path and (image.added or image.moved))
    }
    for row in rows:
        if row["path"] in changed:
            boxes[row["path"]][row["line"]] = _box(row)
    edits: dict[str, Edit] = {}
    for image in changed.values():
        label = image.label_path
        content = _read(root / label, label, label_sha256[label])
        lines = (*image.lines_out, *(line for line, _ in image.moved))
        check_yolo(content, {n: boxes[image.path].get(n) for n in lines}, label)
        edit = Edit(label, "lines", tuple(sorted(image.lines_out)), "", "", image.moved, image.new_lines)
        before, after = (hashlib.sha256(data).hexdigest() for data in (content, edit.result(content)))
        edits[label] = replace(edit, before=before, after=after)  # of two images that share it, once
    return list(edits.values())


def _annotations(
    decisions: Decisions,
    rows: Sequence[Mapping[str, Any]],
    root: Path,
    data: Path,
    label_sha256: Mapping[str, str],
) -> list[Edit]:
    """COCO files without the annotations that go."""
    lines = {image.path: image.lines_out for image in decisions.images if image.lines_out}
    wanted: dict[tuple[str, int], tuple[str, Box]] = {}
    for row in rows:
        if row["line"] in lines.get(row["path"], ()):
            wanted[row["path"], row["line"]] = (row["label_path"], _box(row))
    for image, drop in lines.items():
        if missing := [n for n in drop if (image, n) not in wanted]:
            raise InputError(f"{image}: annotation {min(missing)} is not in the index; build it again")
    files: defaultdict[str, set[int]] = defaultdict(set)
    for file, at in locate_coco(data, root, wanted).values():
        files[file].add(at)
    return [
        _edit(file, "annotations", at, _read(root / file, file, label_sha256[file]))
        for file, at in files.items()
    ]


def _without_images(
    images: Sequence[PlannedImage], lists: Mapping[str, Path], root: Path, label_sha256: Mapping[str, str]
) -> list[Edit]:
    """Images that go, their label files, and their lines in lists of images."""
    staying = Counter(image.label_path for image in images if not image.left_out)
    edits: dict[str, Edit] = {}
    gone = set()
    for image in images:
        if not image.left_out:
            continue
        gone.add(root / image.file)
        content = _read(root / image.file, image.path, image.sha256)
        edits[image.file] = Edit(image.file, "file", (), hashlib.sha256(content).hexdigest(), "")
        label = image.label_path
        if label and not staying[label] and label in label_sha256:
            edits[label] = Edit(label, "file", (), label_sha256[label], "")
    for name, path in lists.items() if gone else ():
        lines = {line for image, line in listed_images(path, root, name).images if image in gone}
        if lines:
            edits[name] = _edit(name, "lines", lines, _read(path, name, label_sha256[name]))
    return list(edits.values())


def _edit(path: str, kind: Literal["lines", "annotations"], drop: Collection[int], content: bytes) -> Edit:
    before = hashlib.sha256(content).hexdigest()
    cut = without_lines if kind == "lines" else without_annotations
    after = hashlib.sha256(cut(content, frozenset(drop))).hexdigest()
    return Edit(path, kind, tuple(sorted(drop)), before, after)


def _read(file: Path, name: str, sha256: str) -> bytes:
    """The file's content. Raises InputError if it is not the one the index was built from."""
    content = read_whole(file)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{name}: changed since the build; build again")
    return content


def _box(row: Mapping[str, Any]) -> Box:
    return row["class_id"], (row["cx"], row["cy"], row["w"], row["h"])


def _untrained(decisions: Decisions, facts: Facts, root: Path, yolo: YoloSet) -> dict[str, str]:
    """Images that stay as they are, though the trainer ignores or misreads them → why."""
    found: dict[str, str] = {}
    for row, image in zip(facts.images, decisions.images, strict=True):
        told, label = facts.untrained.get(row["image_id"]), image.label_path
        if image.left_out:
            continue
        if row["status"] == "unreadable":
            found[image.path] = "the image cannot be read"
        elif told is not None and (told.file != label or told.code == ProblemCode.MISREAD_LABELS):
            found[image.path] = told.reason
        elif problem := facts.unreadable_label(label):
            found[image.path] = problem
        elif (told is not None or facts.bad_lines(label)) and (
            why := _why_ignored(root / label, image.lines_out, facts, yolo)
        ) is not None:
            found[image.path] = f"line {why.line + 1}: {why.reason}"
    return found


_NO_LINES = Ignored(0, "its labels are no lines of a file")


def _why_ignored(label: Path, gone: Collection[int], facts: Facts, yolo: YoloSet) -> Ignored | None:
    """Why the trainer ignores the image of a label file once these lines are gone; None where it does not."""
    classes = max(facts.names, default=-1) + 1 if yolo.has_names else None
    return why_ignored(without_lines(read_whole(label), gone), yolo.rules, classes)


def _left(
    decisions: Decisions, rows: Sequence[Mapping[str, Any]], untrained: Collection[str]
) -> tuple[dict[int, tuple[int, int]], list[str], int]:
    """Class id → (boxes kept and trained on, boxes in all); images that stay without a box; how many boxes
    stay on images that are not trained on.
    """
    of = {image.path: image for image in decisions.images}
    total: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    boxes_kept: Counter[str] = Counter()
    for row in rows:
        image = of[row["path"]]
        stays = not image.left_out and row["line"] not in image.lines_out
        total[row["class_id"]] += 1
        kept[row["class_id"]] += stays and image.path not in untrained
        boxes_kept[image.path] += stays
    emptied = [
        image.path
        for image in decisions.images
        if image.lines_out and not image.added and not boxes_kept[image.path]
    ]
    other = sum(boxes_kept[path] for path in untrained)
    return {class_id: (kept[class_id], n) for class_id, n in sorted(total.items())}, emptied, other


def _first(files: Collection[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{min(files)}{more}"
