"""Pictures of blank tablets in memory: alike in outline and shading, each with its own grain."""

from __future__ import annotations

import numpy as np
from PIL import Image

from healtheat.crops.grey import grey_copies, grey_crops


def tablet(seed: int, *, noise: float = 6.0, side_px: int = 120) -> Image.Image:
    """A white disc on grey, with the noise of its own exposure."""
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    grey = 90 + 120 / (1 + np.exp((np.hypot(x, y) - 0.38) * 60)) + 20 * x
    grey = grey + np.random.default_rng(seed).normal(0, noise, grey.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


class Photos:
    """`Pixels` over pictures in memory; None for an image whose picture is None."""

    def __init__(self, pictures: dict[int, Image.Image | None]) -> None:
        self.pictures = pictures
        self.asked = 0

    def crops(self, image_id: int, xywhn: np.ndarray) -> np.ndarray | None:
        self.asked += 1
        picture = self.pictures[image_id]
        return None if picture is None else grey_crops(picture, xywhn)

    def copies(self, image_id: int, xywhn: np.ndarray) -> np.ndarray | None:
        picture = self.pictures[image_id]
        return None if picture is None else grey_copies(picture, xywhn, seed=image_id)
