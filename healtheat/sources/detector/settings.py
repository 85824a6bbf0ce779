"""How a YOLO detector is run."""

from __future__ import annotations

from dataclasses import dataclass

from healtheat.core.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How the detector is run; the words are those of Ultralytics."""

    conf: float = 0.25  # boxes of less confidence are left out
    iou: float = 0.7  # two boxes of a class that overlap more are one (non-maximum suppression)
    imgsz: int | None = None  # pixels of the longer side; None: what the weights were trained with
    device: str | None = None  # "cpu", "0", "mps"; None: a GPU if there is one
    batch: int = 16

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"detector: {name} is {getattr(self, name)}; give a number from 0 to 1")
        if self.imgsz is not None and not 32 <= self.imgsz <= 8192:
            raise InputError(f"detector: imgsz is {self.imgsz}; give pixels from 32 to 8192")
        if not 1 <= self.batch <= 1024:
            raise InputError(f"detector: batch is {self.batch}; give a number from 1 to 1024")
