"""What the search found on one image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ends:
    """Boxes (b, 4), where they were `moved` (b, 4) to by the ends of their objects, and the boxes of `masks`
    (b, 4) there, NaN where is none.
    """

    boxes: Floats = field(default_factory=lambda: np.empty((0, 4)))
    moved: Floats = field(default_factory=lambda: np.empty((0, 4)))
    masks: Floats = field(default_factory=lambda: np.empty((0, 4)))

    def to_masks(self) -> Ends:
        """Moved to the masks, where there are some."""
        return replace(self, moved=np.where(np.isnan(self.masks), self.moved, self.masks))


@dataclass(slots=True)
class OneImage:
    """Places on an image: `xyxyn` (m, 4), `logit` (m,) that an object of the set is there, and its IoU with
    the nearest labelled box. `boxes` are the labelled boxes (b), and `loose` those that were made loose on
    purpose, from the labelled ones in the rows `made` (p,). `sure` (b,) are logits that an object of the set
    is where a labelled box was moved to. `read` says whether the image could be read.
    """

    xyxyn: Floats = field(default_factory=lambda: np.empty((0, 4)))
    logit: Floats = field(default_factory=lambda: np.empty(0))
    overlap: Floats = field(default_factory=lambda: np.empty(0))
    boxes: Ends = field(default_factory=Ends)
    sure: Floats = field(default_factory=lambda: np.empty(0))
    loose: Ends = field(default_factory=Ends)
    made: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    read: bool = False
