"""The grey values of boxes, read again from the images of an index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from healtheat.core.errors import ImageError, InputError
from healtheat.crops.decode import open_image
from healtheat.crops.grey import grey_copies, grey_crops
from healtheat.index import Index


class IndexPixels:
    """`Pixels` of an opened index. An image that is gone, or not the one that was indexed, gives None."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._last: tuple[int, Image.Image | None] = (-1, None)

    def crops(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """(m, 64, 64) grey squares of the boxes (m, 4) of one image."""
        image = self._grey(image_id)
        return None if image is None else grey_crops(image, xywhn)

    def copies(self, image_id: int, xywhn: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """(m, 64, 64) the same on a copy of the image."""
        image = self._grey(image_id)
        return None if image is None else grey_copies(image, xywhn, seed=image_id)

    def _grey(self, image_id: int) -> Image.Image | None:
        if self._last[0] != image_id:  # boxes are asked for image by image
            try:
                image = open_image(self._index.image_bytes(image_id)).convert("L")
            except (InputError, ImageError):
                image = None
            self._last = (image_id, image)
        return self._last[1]
