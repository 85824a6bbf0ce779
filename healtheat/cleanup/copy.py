"""A cleaned copy of a data set: a new folder, whole or not at all; the data set itself is only read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from healtheat.cleanup.inside import copy_image, inside, label_place, write_new_labels
from healtheat.cleanup.lists import write_lists
from healtheat.cleanup.plan import Edit, Plan
from healtheat.cleanup.yolo_set import data_yaml
from healtheat.core.atomic import replacing_folder
from healtheat.core.errors import InputError
from healtheat.core.files import read_whole
from healtheat.core.lines import write_lines
from healtheat.core.paths import is_folder
from healtheat.core.portable import check_places
from healtheat.core.progress import Progress, silent

LISTS_FOLDER = "healtheat-apply"


def write_copy(plan: Plan, to: Path, *, progress: Progress = silent) -> None:
    """Write the cleaned data set into the new folder `to`, with its lists in `healtheat-apply/`.

    Every image and label file keeps its path, so equal names in two folders stay apart; label files that lose
    nothing are copied byte for byte. For COCO only the JSON files are copied: images stay where they are. A
    killed run leaves nothing at `to`, and the same command starts over. Raises InputError if `to` is not
    empty, lies inside the data set's folders or an index, or a file changed since the build.
    """
    to = Path(os.path.abspath(to))  # noqa: PTH100 - links stay links
    _check_target(plan, to)
    with replacing_folder(to) as staged:
        write = _yolo if plan.by == "lines" else _coco
        write(plan, staged, to, progress)
        (staged / LISTS_FOLDER).mkdir()
        write_lists(plan, staged / LISTS_FOLDER)
        _check_target(plan, to)  # somebody may have put something there meanwhile


def _check_target(plan: Plan, to: Path) -> None:
    plan.places.check_folder(to)
    if to.exists() and not to.is_dir():
        raise InputError(f"{to}: is a file; give a new folder")
    if to.is_dir() and any(to.iterdir()):
        raise InputError(f"{to}: is not empty; give a new folder")


def _yolo(plan: Plan, staged: Path, to: Path, progress: Progress) -> None:
    edits = {edit.path: edit for edit in plan.edits if edit.kind == "lines"}
    lines: dict[str, str] = {}
    images = [inside(image.path) for image in plan.kept]
    check_places({*images, *(PurePosixPath(label_place(to, place)) for place in images)}, staged)
    for done, image in enumerate(plan.kept, 1):
        place = inside(image.path)
        label = staged / label_place(to, place)
        copy_image(plan.root, image, staged / place)
        if image.label_path and not label.exists():  # two images may share it
            _copy_label(plan, image.label_path, label, edits)
        elif image.added and not image.label_path:
            write_new_labels(image, label)
        line = f"./{place.as_posix()}"
        # Ultralytics replaced every "./" of such a line in older versions, not only the first
        lines[image.path] = line if line.count("./") == 1 else (to / place).as_posix()
        progress("copy", done, len(plan.kept))
    if not is_folder(plan.data):
        _write_data(plan, staged, lines)


def _coco(plan: Plan, staged: Path, to: Path, progress: Progress) -> None:
    edits = {edit.path: edit for edit in plan.edits}
    for done, path in enumerate(plan.label_sha256, 1):
        _copy_label(plan, path, staged / inside(path), edits)
        progress("copy", done, len(plan.label_sha256))


def _copy_label(plan: Plan, path: str, target: Path, edits: Mapping[str, Edit]) -> None:
    file = plan.root / path
    if path not in plan.label_sha256:
        return  # a file that could not be read when the index was built; it is a problem there
    data = read_whole(file)
    if hashlib.sha256(data).hexdigest() != plan.label_sha256[path]:
        raise InputError(f"{path}: changed since the build; build again")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        out.write(edits[path].result(data) if path in edits else data)


def _write_data(plan: Plan, staged: Path, lines: Mapping[str, str]) -> None:
    splits = plan.splits()
    for split, images in splits.items():
        write_lines(staged / f"{split}.txt", [lines[image.path] for image in images])
    text = data_yaml(plan.names, plan.set.keys, list(splits))
    (staged / "data.yaml").write_text(f"# A cleaned copy.\n{text}", encoding="utf-8", newline="\n")
