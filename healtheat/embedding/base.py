"""What every encoder promises, checked in one place: uint8 crops in, finite unit float32 rows out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import EncoderError
from healtheat.embedding.colour import colour_histogram
from healtheat.embedding.spec import EncoderSpec
from healtheat.embedding.views import turned


class Encoder(ABC):
    """Crops → unit vectors. A subclass only knows its network: `_encode` gets full batches."""

    spec: EncoderSpec

    @property
    def fingerprint(self) -> str:
        return self.spec.fingerprint

    @abstractmethod
    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(batch_size, tower_dim) features of exactly `spec.batch_size` crops; not normalised."""

    def text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        """label → (dim,) unit vector to multiply crop vectors with; {} where the encoder has no such
        question.
        """
        return {}

    def text_weights(self, question: str) -> dict[str, NDArray[np.float32]]:
        """answer → (dim,) weights whose product with a crop vector is the answer's logit (zero-shot chances
        are the softmax); {} where the encoder has no such question.
        """
        scale = self._logit_scale() / np.sqrt(1 - self.spec.colour_weight)  # the tower's share of the vector
        return {a: np.float32(scale) * v for a, v in self.text_vectors(question).items()}

    def _logit_scale(self) -> float:
        """What the cosine of a crop and a text is multiplied with."""
        return 1.0

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, dim) unit rows of (n, R, R, 3) crops, R = `spec.resolution_px`.

        Batches are padded to `spec.batch_size`, so a crop gets the same bits wherever it stands. Raises
        ValueError for a wrong shape, EncoderError where the network returns something that is no vector.
        """
        spec = self.spec
        shape = (spec.resolution_px, spec.resolution_px, 3)
        if crops.dtype != np.uint8 or crops.shape[1:] != shape:
            raise ValueError(f"crops: expected uint8 (n, {shape}), found {crops.dtype} {crops.shape}")
        vectors = np.empty((len(crops), spec.dim), np.float32)
        batch = np.zeros((spec.batch_size, *shape), np.uint8)
        for start in range(0, len(crops), spec.batch_size):
            part = crops[start : start + spec.batch_size]
            batch[: len(part)] = part
            batch[len(part) :] = 0
            vectors[start : start + len(part)] = self._one_batch(batch, len(part))
        return vectors

    def _one_batch(self, batch: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
        """(count, dim) of a full batch of which only the first `count` are crops."""
        spec = self.spec
        shape = (spec.batch_size, spec.tower_dim)
        total = np.zeros((count, spec.tower_dim), np.float32)
        for degrees in spec.views:
            features = self._encode(turned(batch, degrees, spec.fill))
            if features.shape != shape or features.dtype != np.float32:
                raise EncoderError(
                    f"encoder {spec.name}: expected float32 {shape}, found {features.dtype} {features.shape}"
                )
            total += self._unit(features[:count])
        vectors = self._unit(total)
        if not spec.colour_weight:
            return vectors
        colour = colour_histogram(batch[:count], spec.fill)
        share = np.float32(spec.colour_weight)
        return np.concatenate([vectors * np.sqrt(1 - share), colour * np.sqrt(share)], axis=1)

    def _normalised(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 3, R, R) channels first, minus mean, over std: what networks take."""
        spec = self.spec
        scale = (1 / (255 * np.array(spec.std))).astype(np.float32)
        shift = (-np.array(spec.mean) / np.array(spec.std)).astype(np.float32)
        planes = np.empty((len(batch), 3, *batch.shape[1:3]), np.float32)
        for channel in range(3):
            np.multiply(batch[..., channel], scale[channel], out=planes[:, channel], dtype=np.float32)
            planes[:, channel] += shift[channel]
        return planes

    def _unit(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        norms: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise EncoderError(
                f"encoder {self.spec.name}: the network returned NaN, infinite or zero vectors"
            )
        return np.asarray(rows / norms, np.float32)
