"""A detector's predictions in one COCO results JSON, joined to images as label files are: by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from healtheat.core.boxes import Boxes
from healtheat.core.text import counted
from healtheat.signals.detector.predictions import FilePredictions, Joined, PredictionFolder, join, strongest
from healtheat.sources.coco.results import load_results
from healtheat.sources.find_image import loose_parts


class PredictionList(PredictionFolder):
    """Predictions of the results JSON `path`, whose image ids are those of the COCO labels at `labels`.

    Both are read here, once. InputError if either cannot be, or if no result is a box of an image.
    """

    def __init__(self, path: Path, labels: Path) -> None:
        self.folder = path.absolute()
        found = load_results(self.folder, labels)
        boxes = found.boxes
        home = self.folder.parent
        self._files = [home.joinpath(*loose_parts(image.file_name)) for image in found.coco.images]
        starts = np.searchsorted(boxes.image_id, np.arange(len(self._files) + 1)).tolist()
        self._of = {file: boxes[starts[n] : starts[n + 1]] for n, file in enumerate(self._files)}
        lost = f"{counted(len(found.problems), 'result')} cannot be used" if found.problems else ""
        self._flaw = f"its predictions may not be complete: {lost}; {found.problems[0]}" if lost else ""

    def join(self, images: Sequence[str]) -> Joined:
        """Which image of the COCO labels is which of `images`. InputError where none is."""
        return join(self.folder.parent, self._files, images)

    def _said(self, file: Path, names: Collection[int] | None) -> FilePredictions:
        boxes: Boxes = self._of[file]
        if names is not None:
            boxes = boxes[np.isin(boxes.class_id, list(names))]
        boxes = boxes[~np.isnan(boxes.confidence)]
        return FilePredictions(strongest(boxes), self._flaw)
