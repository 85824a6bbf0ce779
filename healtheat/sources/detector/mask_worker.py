"""The child process of a Segment Anything model: `python -m healtheat.sources.detector.mask_worker`.

Speaks with its parent as worker.py does. The pixels of an image follow its request.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.sources.detector.worker import first_line, main

WHO = "the Segment Anything model"
MOST_BOXES = 500  # of an image, the most confident ones
_POINTS = (8, 32)  # along a side, on which a SAM is asked what is there
_AT_ONCE = 16  # points: each gives three masks of the whole image
_NAMES = "a SAM keeps the name Ultralytics knows it by, such as sam_b.pt, mobile_sam.pt or sam2.1_t.pt"


class MaskWorker:
    """A loaded model: SAM, SAM 2 and MobileSAM by the name of the file, as Ultralytics does; else FastSAM."""

    def __init__(self, request: dict[str, Any]) -> None:
        weights, self._imgsz = request["weights"], int(request["imgsz"])
        if "'" in weights:  # Ultralytics would leave it out, and go and download the file
            raise ValueError("Ultralytics opens no file with ' in its path; move it")
        names = import_module("ultralytics.models.sam.build").sam_model_map
        self._points = any(weights.endswith(name) for name in names)
        classes = import_module("ultralytics")
        try:
            model = classes.SAM(weights) if self._points else classes.FastSAM(weights)
        except Exception as error:  # whatever the file makes Ultralytics or pickle raise
            said = f"{type(error).__name__}: {first_line(error)}"
            raise ValueError(f"no weights of such a model ({said[:150]}); {_NAMES}") from None
        if model.task != "segment":
            raise ValueError(f"a model for {model.task}, which gives no masks; {_NAMES}")
        options = {"imgsz": self._imgsz, "conf": request["conf"], "iou": 0.7, "mode": "predict", "rect": True}
        options |= {"task": "segment", "verbose": False, "save": False}
        self._predictor = model.task_map["segment"]["predictor"](overrides=options)
        self._predictor.setup_model(model.model, verbose=False)

    def hello(self) -> dict[str, Any]:
        """What the parent is told of the model: nothing."""
        return {}

    def answer(self, request: dict[str, Any], requests: BinaryIO) -> dict[str, Any]:
        """Boxes around the masks on the RGB image that follows."""
        height, width = (int(side) for side in request["shape"])
        content = requests.read(height * width * 3)
        pixels = np.frombuffer(content, np.uint8).reshape(height, width, 3)
        return {"boxes": self.boxes(pixels, float(request["smallest"]))}

    def boxes(self, pixels: NDArray[np.uint8], smallest: float) -> list[list[float]]:
        """Left, top, right, bottom as shares of an RGB image (height, width, 3), most confident first.

        `smallest`: the side of the smallest objects that matter, as a share of the image's.
        """
        image = Image.fromarray(pixels)
        image.thumbnail((self._imgsz, self._imgsz))  # masks are as large as the image, and there are many
        bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        more: dict[str, Any] = {}
        if self._points:
            side = int(np.clip(np.ceil(1 / max(smallest, 1e-3)), *_POINTS))
            more = {"points_stride": side, "points_batch_size": _AT_ONCE}
        found = self._predictor(bgr, **more)[0].boxes
        if found is None or not len(found):
            return []
        found = found.cpu().numpy()
        best = np.argsort(-found.conf, kind="stable")[:MOST_BOXES]
        size = np.array([image.width, image.height] * 2, np.float64)
        rows: list[list[float]] = (found.xyxy[best] / size).tolist()
        return rows


if __name__ == "__main__":
    main(MaskWorker, WHO)
