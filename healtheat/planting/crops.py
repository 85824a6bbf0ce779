"""Crops of new boxes on the images of an index, made exactly as the index was built."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import ImageError, InputError
from healtheat.crops import CropPolicy, cut_and_measure, open_image
from healtheat.embedding import Encoder
from healtheat.index import Index


class IndexCrops:
    """A `CropMaker` over an index. `unread` counts images that are gone or have changed since."""

    def __init__(self, index: Index, encoder: Encoder) -> None:
        self._index = index
        self._encoder = encoder
        self._policy = CropPolicy.model_validate(index.manifest.crop_policy)
        self._image_id = index.images().image_id
        self.unread = 0

    def __call__(
        self, image_row: int, xywhn: NDArray[np.float64], corners: NDArray[np.object_]
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """See `CropMaker`. Images are read, never written."""
        try:
            data = self._index.image_bytes(int(self._image_id[image_row]))
            image = open_image(data)
        except (InputError, ImageError):
            self.unread += 1
            return None
        resolution_px = self._encoder.spec.resolution_px
        crops, measures = cut_and_measure(image, xywhn, self._policy, resolution_px, corners)
        return self._encoder.encode(crops), measures
