"""Labels alone: images by name and their boxes, no pixels looked at."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from healtheat.core.boxes import NO_CLASS, Boxes, Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.paths import is_any_image, yolo_image_folder, yolo_label_path
from healtheat.core.text import bad_name, shown
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage
from healtheat.sources.coco import results
from healtheat.sources.coco.file import load_coco
from healtheat.sources.find_image import loose_parts
from healtheat.sources.named.ids import read_names
from healtheat.sources.open import format_of
from healtheat.sources.peek import kind_of_json
from healtheat.sources.yolo.labels import MAX_LABEL_BYTES, read_labels
from healtheat.sources.yolo.line import BadLine, LabelRules, class_id
from healtheat.sources.yolo.task import Shapes, rules_of

DATASET_SUFFIXES = {".yaml", ".yml", ".json"}
CLASS_LISTS = {"classes.txt"}  # what LabelImg leaves beside the label files


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Images, their boxes and the classes declared.

    `boxes.image_id` is the place of the image in `images`; boxes are in image order, then line order.
    `label_paths` and `statuses` go with `images`; statuses: labelled, empty, unlabelled (no label file).
    `broken`: place of an image → the classes of its lines that could not be read, NO_CLASS where unknown.
    """

    images: tuple[str, ...]
    boxes: Boxes
    names: Mapping[int, str]
    label_paths: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = self.boxes.image_id
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self.images) or np.any(np.diff(ids) < 0)):
            raise ValueError(
                f"LabelSet.boxes.image_id: expected ascending places in {len(self.images)} images"
            )


def label_set(
    pairs: Sequence[tuple[str, Boxes]], names: Mapping[int, str], problems: Sequence[Problem] = ()
) -> LabelSet:
    """The set of (path, boxes) pairs, boxes numbered in that order."""
    parts: list[Boxes] = []
    first = 0
    for place, (_, boxes) in enumerate(pairs):
        parts.append(boxes.numbered(first, place))
        first += len(boxes)
    return LabelSet(
        images=tuple(path for path, _ in pairs),
        boxes=Boxes.join(parts) if parts else Boxes.of([], [], np.empty((0, 4))),
        names=dict(names),
        problems=tuple(problems),
    )


def read_label_set(
    data: Path,
    *,
    names: Mapping[int, str] | None = None,
    image_suffix: str = "",
    against: Path | None = None,
    names_file: Path | None = None,
) -> LabelSet:
    """The labels of `data`: a folder of YOLO label files and nothing else, a COCO file, or a data set.

    A detector's results (COCO results JSON) name images by the ids of the COCO labels `against`.
    `names` are the classes where a bare folder cannot tell them; boxes of other classes stay boxes there.
    `names_file` has the class names in order of their ids, where `takes_names`; elsewhere it is passed over.
    InputError where there is nothing to read.
    """
    if names_file is not None and data.is_dir():
        names = read_names(names_file)
    if data.is_dir() and (files := _label_files(data)):
        return _read_folder(data, files, names or {}, image_suffix)
    kind = kind_of_json(data) if data.suffix.lower() == ".json" and data.is_file() else None
    if kind == results.KIND:
        if against is None:
            raise InputError(
                f"{data}: a detector's results, which name images by number; "
                "to judge them, give the COCO labels with ",
                Argument("against"),
            )
        return _read_results(data, against)
    if kind in ("", "coco"):
        return _read_coco(data)
    return _read_source(data, names_file)


def takes_names(data: Path) -> bool:
    """Whether `data` knows classes by name, or is label files alone, which have no names. InputError."""
    if data.is_dir() and _label_files(data):
        return True
    return not data.exists() or "names" in format_of(data).takes


def _label_files(folder: Path) -> list[Path]:
    """All label files under `folder` in sorted order; none if anything else of a dataset lies there too."""
    found: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            suffix = PurePosixPath(file).suffix.lower()
            if suffix in DATASET_SUFFIXES or is_any_image(file):
                return []
            if suffix == ".txt" and file.lower() not in CLASS_LISTS:
                found.append(Path(where, file))
    return found


def _read_folder(
    folder: Path, files: Sequence[Path], names: Mapping[int, str], image_suffix: str
) -> LabelSet:
    pairs: list[tuple[str, Boxes]] = []
    label_paths: list[str] = []
    statuses: list[str] = []
    problems: list[Problem] = []
    broken: dict[int, tuple[int, ...]] = {}
    find = _ImageFinder()
    rules = _rules(files)
    for file in files:
        label_path = file.relative_to(folder).as_posix()
        if (bad := bad_name(label_path)) is not None:
            problems.append(Problem(ProblemCode.BAD_PATH, shown(label_path), None, bad))
            continue
        boxes, more = read_labels(file, None, file=label_path, rules=rules)
        problems += more
        if classes := broken_classes(more, file):
            broken[len(pairs)] = classes
        pairs.append(
            (find(file) or str(PurePosixPath(label_path).with_suffix(image_suffix or ".txt")), boxes)
        )
        label_paths.append(label_path)
        statuses.append("labelled" if len(boxes) or more else "empty")
    labels = label_set(pairs, names, problems)
    return replace(labels, label_paths=tuple(label_paths), statuses=tuple(statuses), broken=broken)


def _rules(files: Sequence[Path]) -> LabelRules:
    """How label files without a data.yaml are to be read, told by all of them."""
    shapes = Shapes()
    for file in files:
        try:
            shapes.add(read_small(file, MAX_LABEL_BYTES).data)
        except Unreadable:
            continue  # told when it is read
    return rules_of(shapes)


def broken_classes(problems: Sequence[Problem], label_file: Path | None = None) -> tuple[int, ...]:
    """The classes of one image's lines that could not be read, NO_CLASS where that is unknown.

    A repeated line is none of them: its box is there. The class is read from `label_file` where one is given.
    """
    numbers = [p.line for p in problems if p.line is not None and p.is_lost_line]
    if not numbers or label_file is None:
        return (NO_CLASS,) * len(numbers)
    try:
        lines = read_small(label_file, MAX_LABEL_BYTES).data.splitlines()
    except Unreadable:
        return (NO_CLASS,) * len(numbers)
    return tuple(_class_of(lines[n]) if n < len(lines) else NO_CLASS for n in numbers)


def _class_of(line: bytes) -> int:
    fields = line.split(maxsplit=1)
    try:
        return class_id(fields[0].decode("ascii")) if fields else NO_CLASS
    except (BadLine, UnicodeDecodeError):
        return NO_CLASS


class _ImageFinder:
    """The image of a label file: the one that YOLO's rule leads from to that label file."""

    def __init__(self) -> None:
        self._seen: dict[Path, dict[Path, Path]] = {}

    def __call__(self, label: Path) -> str | None:
        """Path of the image relative to the folder that holds `images`; None where there is none."""
        label = label.absolute()
        folder = yolo_image_folder(label)
        if folder is None:
            return None
        if folder not in self._seen:
            self._seen[folder] = {yolo_label_path(image): image for image in _images(folder)}
        image = self._seen[folder].get(label)
        if image is None:
            return None
        at = len(image.parts) - 1 - image.parts[::-1].index("images")
        return PurePosixPath(*image.parts[at:]).as_posix()


def _images(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_any_image(path.name))
    except OSError:
        return []


def _read_coco(data: Path) -> LabelSet:
    coco = load_coco(data, file=data.name)
    of_image: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in coco.problems:
        of_image[problem.image].append(problem)
    written = [image.file_name for image in coco.images]
    paths = tuple("/".join(loose_parts(name)) for name in written)
    boxes = Boxes(
        box_id=np.arange(len(coco.boxes), dtype=np.int64),
        **{
            name: getattr(coco.boxes, name)
            for name in ("image_id", "line", "class_id", "xywhn", "confidence", "corners")
        },
    )
    return LabelSet(
        images=paths,
        boxes=boxes,
        names=coco.names,
        label_paths=(data.name,) * len(paths),
        statuses=tuple("labelled" if n else "empty" for n in coco.entries.tolist()),
        problems=tuple(coco.problems),
        broken={i: broken_classes(of_image[name]) for i, name in enumerate(written) if name in of_image},
    )


def _read_results(data: Path, against: Path) -> LabelSet:
    read = results.load_results(data, against)
    paths = tuple("/".join(loose_parts(image.file_name)) for image in read.coco.images)
    boxes = replace(read.boxes, box_id=np.arange(len(read.boxes), dtype=np.int64))
    return LabelSet(
        images=paths,
        boxes=boxes,
        names=read.coco.names,
        label_paths=(data.name,) * len(paths),
        statuses=("labelled",) * len(paths),
        problems=tuple(read.problems),
    )


def _read_source(data: Path, names_file: Path | None = None) -> LabelSet:
    pairs: list[tuple[str, Boxes]] = []
    label_paths: list[str] = []
    statuses: list[str] = []
    problems: list[Problem] = []
    of_image: defaultdict[str, list[Problem]] = defaultdict(list)
    names = names_file if names_file is not None and takes_names(data) else None
    source = open_source(data, labels_only=True, names=names)
    for item in source.read():
        if isinstance(item, Problem):
            problems.append(item)
            if item.image:
                of_image[item.image].append(item)
        elif isinstance(item, LabelledImage):
            pairs.append((item.path, item.boxes))
            label_paths.append(item.label_path)
            statuses.append(item.status)
    labels = label_set(pairs, source.names, problems)
    broken: dict[int, tuple[int, ...]] = {}
    for place, (path, _) in enumerate(pairs):
        if path in of_image:
            file = (
                source.root / label_paths[place] if source.edits == "lines" and label_paths[place] else None
            )
            broken[place] = broken_classes(of_image[path], file)
    return replace(labels, label_paths=tuple(label_paths), statuses=tuple(statuses), broken=broken)
