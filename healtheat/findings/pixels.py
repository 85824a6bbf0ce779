"""The grey values of boxes, read again from the images of an index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.core.errors import ImageError, InputError
from healtheat.crops import CropPolicy, cut_and_measure, open_image
from healtheat.crops.grey import grey_copies, grey_crops
from healtheat.embedding import Encoder
from healtheat.index import Index
from healtheat.index.encoder import EncoderWhenNeeded


class IndexPixels:
    """`Pixels` of an opened index. An image that is gone, or not the one that was indexed, gives None."""

    def __init__(self, index: Index, encoder: Encoder | None = None) -> None:
        """`encoder`: that of the index, loaded when it is needed unless given."""
        self._index = index
        self._encoder = encoder or EncoderWhenNeeded(index)
        self._last: tuple[int, Image.Image | None] = (-1, None)

    def crops(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """(m, 64, 64) grey squares of the boxes (m, 4) of one image."""
        image = self._grey(image_id)
        return None if image is None else grey_crops(image, xywhn)

    def copies(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """(m, 64, 64) the same on a copy of the image."""
        image = self._grey(image_id)
        return None if image is None else grey_copies(image, xywhn, seed=image_id)

    def rgb(self, image_id: int) -> NDArray[np.uint8] | None:
        """(height, width, 3) of the whole image, upright."""
        try:
            return np.asarray(open_image(self._index.image_bytes(image_id)))
        except (InputError, ImageError):
            return None

    def vectors(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.float32] | None:
        """(m, d) embeddings of boxes (m, 4), cut as the index was.

        Raises EncoderError where the encoder of the index cannot be had.
        """
        cut = self._cut(image_id, xywhn)
        return None if cut is None else self._encoder.encode(cut[0])

    def sharpness(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """(m,) of boxes (m, 4), measured as those of the index were."""
        cut = self._cut(image_id, xywhn)
        return None if cut is None else cut[1]["sharpness"].astype(np.float64)

    def _cut(
        self, image_id: int, xywhn: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[Any]] | None:
        policy = CropPolicy.model_validate(self._index.manifest.crop_policy)
        try:
            image = open_image(self._index.image_bytes(image_id))
            return cut_and_measure(image, xywhn, policy, self._encoder.spec.resolution_px)
        except (InputError, ImageError):
            return None

    def _grey(self, image_id: int) -> Image.Image | None:
        if self._last[0] != image_id:  # boxes are asked for image by image
            try:
                image = open_image(self._index.image_bytes(image_id)).convert("L")
            except (InputError, ImageError):
                image = None
            self._last = (image_id, image)
        return self._last[1]
