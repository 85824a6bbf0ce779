"""What a vetting starts from: the boxes of the batch, and the folder that its index goes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from healtheat.building.open_data import check_conf, open_data
from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.paths import is_any_image, relative
from healtheat.index import Index
from healtheat.index.batches import name_after
from healtheat.index.decisions import is_vetted
from healtheat.index.manifest import MANIFEST_NAME, Manifest
from healtheat.index.staging import first_index
from healtheat.signals.detector.predictions import PredictionFolder
from healtheat.sources.base import Edits, LabelFile, LabelledImage, Record, Source
from healtheat.sources.files import walk
from healtheat.sources.yolo.labels import MAX_LABEL_BYTES, parse_labels

VETTED_ROOT = Path("vetted")


def batch_folder(new: Path, to: Path | None = None) -> Path:
    """Where the index of the batch `new` goes: `to`, or ./vetted/NAME."""
    return to or VETTED_ROOT / name_after(new)


def same_folder(a: Path, b: Path) -> bool:
    """Whether both lead to one folder, through links too."""
    try:
        return a.resolve() == b.resolve()
    except (OSError, RuntimeError):
        return False


def open_batch(
    new: Path,
    against: Path,
    *,
    to: Path | None = None,
    weights: Path | None = None,
    conf: float | None = None,
    predictions: Path | None = None,
    images: Path | None = None,
    task: str | None = None,
    names: Path | None = None,
) -> tuple[Source, Path]:
    """The source of the batch `new` and the folder of its index, ./vetted/NAME unless `to` is given.

    Raises InputError, also where `to` is the index that it is judged by, or that of another data set.
    """
    folder = batch_folder(new, to)
    if same_folder(folder, against):
        raise InputError(f"{folder} is the index to judge by; give another folder with ", Argument("to"))
    if predictions is not None and weights is not None:
        raise InputError("give either ", Argument("weights"), " or ", Argument("predictions"))
    if weights is None and predictions is None and first_index([new]) is not None:
        raise InputError(f"{new}: is an index; give the labels that it was built from")
    source: Source
    if predictions is not None:
        check_conf(weights, conf)
        if not new.is_dir():
            raise InputError(
                f"{new} is no folder of images, which is what ", Argument("predictions"), " needs"
            )
        with Index.open(against) as index:
            source = PredictedSource(new.absolute(), PredictionFolder(predictions), dict(index.names))
    else:
        source, _ = open_data(
            new, index=folder, images=images, weights=weights, conf=conf, task=task, names=names
        )
    if (folder / MANIFEST_NAME).is_file():
        check_replaced(folder, source, named=to is not None)
    return source, folder


def check_replaced(folder: Path, source: Source, *, named: bool) -> None:
    """Raises InputError where the index in `folder` is of other data, unless it was `named`, or of no batch:
    the decisions would replace it.
    """
    data = None if named else Manifest.read(folder / MANIFEST_NAME, older=True).source.data
    if data is not None and data != source.data.absolute().as_posix():
        raise InputError(f"{folder} holds {data}; name another folder with ", Argument("to"))
    with suppress(BadIndex), Index.open(folder) as index:
        if not is_vetted(index):
            raise InputError(
                f"{folder} is an index that was built, not a vetted batch; give another folder with ",
                Argument("to"),
            )


def unlabelled_images(root: Path) -> tuple[list[LabelledImage], list[Problem]]:
    """The images below the folder `root`, without labels, and the folders that cannot be looked into."""
    problems: list[Problem] = []

    def unread(path: Path, reason: str) -> None:
        problems.append(Problem(ProblemCode.UNREADABLE_IMAGE, relative(path, root), None, reason))

    files = [path for path in walk(root, unread) if is_any_image(path.name)]
    nothing = Boxes.of([], [], np.empty((0, 4)))
    return [LabelledImage(relative(f, root), f, "", "unlabelled", "", nothing) for f in files], problems


@dataclass(frozen=True)
class PredictedSource:
    """The images below the folder `root`, with the boxes that text files of a detector give them."""

    root: Path
    folder: PredictionFolder
    names: Mapping[int, str]
    kind: str = "predictions"
    edits: Edits = "none"

    @property
    def data(self) -> Path:
        """See Source."""
        return self.folder.folder

    def read(self) -> Iterator[Record]:
        """See Source. Images without a prediction file are unlabelled."""
        images, problems = unlabelled_images(self.root)
        yield from problems
        paths = [image.path for image in images]
        for image, labels in zip(images, self.folder.join(paths).file, strict=True):
            if labels is None:
                yield image
            else:
                yield from self._one(image.file, image.path, labels)

    def _one(self, image: Path, path: str, labels: Path) -> Iterator[Record]:
        name = relative(labels, self.root)
        try:
            content = read_small(labels, MAX_LABEL_BYTES)
        except Unreadable as error:
            yield Problem(ProblemCode.BAD_LABEL_FILE, name, None, f"label file {error}", path)
            return
        yield LabelFile(name, content.sha256, len(content.data))
        found = parse_labels(content, set(self.names), file=name, image=path, trained=False)
        yield from found.problems
        status = "labelled" if len(found.boxes) else "empty"
        yield LabelledImage(path, image, "", status, name, found.boxes)
