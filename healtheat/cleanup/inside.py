"""Where files of a data set land in a new folder."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from healtheat.cleanup.edits import edited
from healtheat.cleanup.rows import PlannedImage
from healtheat.core.errors import Argument, ImageError, InputError
from healtheat.core.files import open_regular, read_whole
from healtheat.core.paths import yolo_label_path

_BLOCK_BYTES = 1 << 20


def inside(path: str) -> PurePosixPath:
    """The place of a file in the new folder: its whole path, so that equal names in two folders stay apart.

    What lies beside the data set (`../more/a.jpg`) or elsewhere lands in the folder too.
    """
    parts = PurePosixPath(path).parts
    plain = ["_up" if part == ".." else part.replace(":", "_").strip("/\\") or "_root" for part in parts]
    return PurePosixPath(*plain)


def label_place(to: Path, image: PurePosixPath) -> Path:
    """Where training will look for the labels of an image at `image` in the folder `to`, relative to it.

    Raises InputError where that is outside of `to`.
    """
    label = yolo_label_path(to / image)
    if to not in label.parents:
        raise InputError(f"{to}: training would look for labels in {label}; give a folder not under `images`")
    return label.relative_to(to)


def copy_image(root: Path, image: PlannedImage, target: Path) -> None:
    """Copy the image file, with what the plan greys out in it greyed out.

    Raises InputError if it is not the one the index was built from, or cannot be greyed out.
    """
    if image.grey:
        _copy_greyed(root, image, target)
        return
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_regular(root / image.file) as source, target.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            out.write(block)
    _check(image, digest.hexdigest())


def write_new_labels(image: PlannedImage, target: Path) -> None:
    """Write the label file `target` of an image that has none: the boxes that a person added."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        out.write(edited(b"", (), {}, image.new_lines))


def _copy_greyed(root: Path, image: PlannedImage, target: Path) -> None:
    from healtheat.crops import grey_out  # Pillow is needed for this alone

    data = read_whole(root / image.file)
    _check(image, hashlib.sha256(data).hexdigest())
    try:
        greyed = grey_out(data, image.grey, image.visible, image.path)
    except ImageError as error:
        raise InputError(
            f"{image.path}: cannot be greyed out: {error}; take ",
            Argument("drop", "images"),
            " or ",
            Argument("drop", "boxes"),
        ) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        out.write(greyed)


def _check(image: PlannedImage, sha256: str) -> None:
    if image.sha256 and sha256 != image.sha256:
        raise InputError(f"{image.path}: the image changed since the build; build again")
