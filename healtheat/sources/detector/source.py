"""A YOLO detector as a source: its boxes, class ids and confidences become the labels."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from healtheat.core.atomic import sha256_file
from healtheat.core.boxes import MAX_CLASS_ID, Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, is_folder, is_image, normal, relative
from healtheat.core.text import is_unicode, shown
from healtheat.sources.base import Edits, LabelFile, LabelFormat, LabelledImage, Record, Source, SourceOptions
from healtheat.sources.detector.process import DetectorProcess
from healtheat.sources.detector.settings import DetectorSettings
from healtheat.sources.files import split_of, walk

WEIGHTS_SUFFIXES = (".pt", ".onnx")


class DetectorSource:
    """Images of a folder, labelled by a YOLO detector (`.pt` or `.onnx`) through Ultralytics.

    **A `.pt` file is a program: loading it runs whatever code its maker put in. Load only weights of people
    you trust, or export them to `.onnx`, which holds data alone.** Ultralytics runs in a process of its own
    that may not open connections and may write only into a folder below `scratch` (default: the system's
    folder for temporary files), removed at the end. That keeps honest weights quiet; it is no cage for
    hostile ones.

    `line` is the rank of a box among those of its image, by falling confidence. There is no label file:
    `label_path` is "", and the weights are the one LabelFile.
    """

    kind = "detector"
    edits: Edits = "none"

    def __init__(
        self,
        data: Path,
        weights: Path,
        settings: DetectorSettings | None = None,
        *,
        scratch: Path | None = None,
    ) -> None:
        """Raises InputError if the folder, the weights or Ultralytics is not there; loads nothing yet."""
        self.data = data
        self.names: dict[int, str] = {}
        self.weights = normal(weights)
        self.settings = settings or DetectorSettings()
        self._scratch = scratch
        if not is_folder(data):
            raise InputError(f"{data}: not a folder; a detector needs the folder of the images")
        if self.weights.suffix.lower() not in WEIGHTS_SUFFIXES:
            raise InputError(f"{weights}: not weights of a YOLO detector; give a .pt or .onnx file")
        if not is_file(self.weights):  # Ultralytics would go and download a file of that name
            raise InputError(
                f"{weights}: weights not found; nothing is downloaded, give a file that is there"
            )
        if importlib.util.find_spec("ultralytics") is None:
            raise InputError(
                f"{weights}: needs Ultralytics, which is not installed; pip install 'healtheat[detector]'"
            )
        self.root = normal(data)

    def read(self) -> Iterator[Record]:
        """The weights, then images sorted by path, detected batch by batch. Raises InputError.

        An image that the detector cannot read is a problem, and "unlabelled".
        """
        bad: list[Problem] = []

        def on_bad(path: Path, reason: str) -> None:
            where = shown(relative(path, self.root), 1000)
            bad.append(Problem(ProblemCode.BAD_PATH, where, None, reason))

        images = (path for path in walk(self.root, on_bad) if is_image(path.name))
        batch = list(islice(images, self.settings.batch))
        if not batch:
            raise InputError(f"{self.data}: no image in it; give the folder of the images")
        yield LabelFile(relative(self.weights, self.root), _sha256(self.weights), self.weights.stat().st_size)
        with DetectorProcess(self.weights, self.settings, self._scratch) as detector:
            self.names.update(_checked_names(detector.names, self.weights))
            while batch:
                for path, found in zip(batch, detector.detect(batch), strict=True):
                    yield from bad
                    bad.clear()
                    yield from self._labelled(path, found)
                batch = list(islice(images, self.settings.batch))
        yield from bad

    def _labelled(self, path: Path, found: list[list[float]] | str) -> Iterator[Record]:
        image = relative(path, self.root)
        split = split_of(image.split("/")[:-1])
        if isinstance(found, str):
            reason = f"the detector cannot read the image: {shown(found, 200)}"
            yield Problem(ProblemCode.UNREADABLE_IMAGE, image, None, reason, image)
            yield LabelledImage(image, path, split, "unlabelled", "", Boxes.of([], [], []))
            return
        rows = np.array(found, np.float64).reshape(-1, 6)  # class, x, y, w, h, confidence
        good = np.isfinite(rows).all(1) & (rows[:, 1:] >= 0).all(1) & (rows[:, 1:] <= 1).all(1)
        good &= (rows[:, 3:5] > 0).all(1) & np.isin(rows[:, 0], list(self.names))
        for line in np.flatnonzero(~good):
            reason = f"detection {line + 1} is no box: {rows[line].tolist()}"
            yield Problem(ProblemCode.BAD_DETECTION, image, None, reason, image)
        boxes = Boxes.of(np.flatnonzero(good), rows[good, 0], rows[good, 1:5], rows[good, 5])
        yield LabelledImage(image, path, split, "labelled" if len(rows) else "empty", "", boxes)


def _checked_names(names: Any, weights: Path) -> dict[int, str]:
    """The names that the weights carry, ids as they are. Raises InputError."""
    try:
        checked = {int(ident): name for ident, name in names.items()}
        fine = all(
            isinstance(name, str) and name and is_unicode(name) and 0 <= ident <= MAX_CLASS_ID
            for ident, name in checked.items()
        )
    except (AttributeError, TypeError, ValueError):
        fine = False
    if not fine or not checked:
        raise InputError(f"{weights}: the weights carry no usable class names; export them again with names")
    return checked


def _sha256(path: Path) -> str:
    return sha256_file(path)


def _open(data: Path, options: SourceOptions) -> Source:
    assert options.weights is not None
    return DetectorSource(data, options.weights, options.detector, scratch=options.scratch)


DETECTOR = LabelFormat(
    kind=DetectorSource.kind,
    given="a folder of images together with the weights of a YOLO detector",
    recognises=lambda data: True,  # weights were given: DetectorSource says what is wrong with `data`
    open=_open,
    needs=frozenset({"weights"}),
    takes=frozenset({"weights"}),
)
