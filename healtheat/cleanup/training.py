"""Lists to train on: a new folder for Ultralytics, whole or not at all; the data set itself is only read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from healtheat.cleanup.inside import copy_image, inside, label_place, write_new_labels
from healtheat.cleanup.lists import write_figures, write_rows, write_table_csv
from healtheat.cleanup.plan import Edit, Plan
from healtheat.cleanup.rows import HeldBack, LeftOut, PlacedBox, PlannedImage
from healtheat.cleanup.yolo_set import data_yaml
from healtheat.core.atomic import replacing_folder
from healtheat.core.errors import InputError
from healtheat.core.files import read_whole
from healtheat.core.lines import listable, write_lines
from healtheat.core.portable import check_places

SUMMARY = "cleanup.json"  # marks a folder as one of ours
EDITED = "edited"


def write_training(plan: Plan, to: Path, *, overwrite: bool = False) -> list[str]:
    """Write the lists into the new folder `to` and return what lies in it; source files are only read.

    `to` may be there if it is empty, or with `overwrite` if it holds an earlier cleanup, which is replaced.
    Raises InputError if `to` holds anything else, lies among the data set's images or labels or in an index,
    or if a file that must be copied changed since the build.
    """
    to = Path(os.path.abspath(to))  # noqa: PTH100 - resolve() would follow links, which training does not
    check_target(plan, to, overwrite=overwrite)
    edits = {edit.path: edit for edit in plan.edits}
    with replacing_folder(to) as staged:
        root = Path(os.path.realpath(plan.root))  # as the trainer resolves it
        check_places(_copies(plan, to), staged)
        files: dict[str, Path] = {}
        for image in plan.kept:
            files[image.path] = (
                _edited(image, plan, edits, staged, to) if image.changed else root / image.file
            )
        splits = plan.splits()
        for split, images in splits.items():
            write_lines(staged / f"{split or 'images'}.txt", [files[im.path].as_posix() for im in images])
        text = data_yaml(plan.names, plan.set.keys, [split for split in splits if split])
        comment = "# The data set without what left_out.csv lists.\n"
        (staged / "data.yaml").write_text(comment + text, encoding="utf-8", newline="\n")
        out = [image for image in plan.images if image.left_out and listable(image.path)]
        write_lines(staged / "left_out_images.txt", [(plan.root / image.file).as_posix() for image in out])
        write_rows(staged / "left_out.csv", LeftOut, plan.left_out)
        write_rows(staged / "boxes.csv", PlacedBox, plan.placed)
        write_rows(staged / "held_back.csv", HeldBack, plan.held_back)
        write_table_csv(staged / "findings.csv", plan.findings)
        write_figures(staged / SUMMARY, plan)
        names = sorted(path.name for path in staged.iterdir())
        check_target(plan, to, overwrite=overwrite)  # somebody may have put something there meanwhile
    return names


def check_target(plan: Plan, to: Path, *, overwrite: bool = False) -> None:
    """Raises InputError unless the lists may be written to the folder `to`."""
    plan.places.check_marked(to, SUMMARY, "an earlier cleanup", overwrite=overwrite)


def _copies(plan: Plan, to: Path) -> Iterator[PurePosixPath]:
    """Where copies of images and their labels go, relative to `to`."""
    for image in plan.kept:
        if image.changed:
            place = PurePosixPath(EDITED) / inside(image.path)
            yield place
            yield PurePosixPath(label_place(to, place))


def _edited(image: PlannedImage, plan: Plan, edits: Mapping[str, Edit], staged: Path, to: Path) -> Path:
    """Copy the image, and its label file without the lines that go; returns the image's path in `to`."""
    place = PurePosixPath(EDITED) / inside(image.path)
    label = staged / label_place(to, place)
    copy_image(plan.root, image, staged / place)
    if (
        image.label_path not in plan.label_sha256
    ):  # an image without labels, where a missing box is greyed out
        if image.added:
            write_new_labels(image, label)
        return to / place
    data = read_whole(plan.root / image.label_path)
    if hashlib.sha256(data).hexdigest() != plan.label_sha256[image.label_path]:
        raise InputError(f"{image.label_path}: changed since the build; build again")
    label.parent.mkdir(parents=True, exist_ok=True)
    with label.open("xb") as file:  # no two images have one place: their whole path is kept
        file.write(edits[image.label_path].result(data) if image.label_path in edits else data)
    return to / place
