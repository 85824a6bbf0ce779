"""An encoder without a network, for indexes of which only the number of boxes matters."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from healtheat.embedding import Encoder, EncoderSpec


class PixelEncoder(Encoder):
    """A fixed random projection of the crop's pixels less `centre`: fast, alike crops get alike vectors."""

    def __init__(
        self, name: str = "pixels", *, dim: int, batch_size: int, resolution_px: int = 16, centre: float = 0
    ) -> None:
        self.spec = EncoderSpec(
            name=name,
            backend=name,
            weights_sha256=hashlib.sha256(name.encode()).hexdigest(),
            tower_dim=dim,
            dim=dim,
            resolution_px=resolution_px,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            batch_size=batch_size,
        )
        pixels = resolution_px * resolution_px * 3
        self._projection = np.random.default_rng(5).normal(size=(pixels, dim)).astype(np.float32)
        self._centre = np.float32(centre)

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = batch.reshape(len(batch), -1).astype(np.float32) - self._centre
        return np.asarray(rows @ self._projection + np.float32(1))
