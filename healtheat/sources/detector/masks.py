"""What a Segment Anything model sees on an image, as boxes: run like a detector, in a process of its own."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import InputError
from healtheat.core.paths import is_file, normal
from healtheat.sources.detector.mask_worker import WHO
from healtheat.sources.detector.process import WorkerProcess

_SIDE_PX = 1024  # what these models were trained with
_LEAST = 1e-6


class MaskProcess(WorkerProcess):
    """A loaded model; use as a context manager."""

    def boxes(self, pixels: NDArray[np.uint8], smallest: float) -> NDArray[np.float64]:
        """(m, 4) left, top, right, bottom of the masks on an RGB image (height, width, 3), as its shares.

        `smallest`: the side of the smallest objects that matter, as a share of the image's. Raises
        InputError where the model fails.
        """
        height, width = pixels.shape[:2]
        request = {"shape": [height, width], "smallest": smallest}
        found = self.ask(request, np.ascontiguousarray(pixels).tobytes()).get("boxes")
        try:
            rows = np.array(found, np.float64).reshape(-1, 4)
        except (TypeError, ValueError):
            raise InputError(f"{self.weights}: {WHO} answered nonsense") from None
        rows = np.clip(rows[np.isfinite(rows).all(axis=1)], 0, 1)
        return np.asarray(rows[(rows[:, 2:] - rows[:, :2] > _LEAST).all(axis=1)])


@dataclass(frozen=True, slots=True)
class MaskModel:
    """Weights of a model that finds masks of anything: SAM, SAM 2, MobileSAM or FastSAM of Ultralytics.

    A `.pt` file is a program, see DetectorSource; it runs under the same limits. `conf`: masks of less
    confidence are left out. `imgsz`: pixels of the longer side that the model looks at.
    """

    weights: Path
    scratch: Path | None = None
    conf: float = 0.25
    imgsz: int = _SIDE_PX

    @classmethod
    def of(cls, weights: Path) -> MaskModel:
        """Raises InputError where the file or Ultralytics is not there, or it is no such model."""
        model = cls(normal(weights))
        if model.weights.suffix != ".pt":
            raise InputError(f"{weights}: not weights of a Segment Anything model; give a .pt file")
        if not is_file(model.weights):  # Ultralytics would go and download a file of that name
            raise InputError(
                f"{weights}: weights not found; nothing is downloaded, give a file that is there"
            )
        if importlib.util.find_spec("ultralytics") is None:
            raise InputError(
                f"{weights}: needs Ultralytics, which is not installed; pip install 'healtheat[detector]'"
            )
        with model.started():  # what is wrong with it is said before the work begins
            return model

    def started(self) -> MaskProcess:
        """The model in its process; InputError on entering it where it cannot be loaded."""
        settings: dict[str, Any] = {"conf": self.conf, "imgsz": self.imgsz}
        worker = "healtheat.sources.detector.mask_worker"
        return MaskProcess(self.weights, worker, settings, self.scratch, called=WHO)
