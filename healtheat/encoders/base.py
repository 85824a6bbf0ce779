"""What every encoder promises, checked in one place: uint8 crops in, finite unit float32 rows out."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from healtheat.crops import CropPolicy
from healtheat.crops.cut import Resample
from healtheat.encoders.colour import COLOUR_DIM, colour_histogram
from healtheat.encoders.views import turned
from healtheat.errors import EncoderError

Rgb = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class EncoderSpec(BaseModel):
    """Everything that decides what vector a crop gets. Part of the manifest and, as a hash, of every
    crop's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    backend: str = "onnx"
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    precision: str = "fp32"
    tower_dim: int = Field(ge=1, le=65536)  # features of the network alone
    dim: int = Field(ge=1, le=65536)  # length of a vector, colour block included
    resolution_px: int = Field(ge=8, le=2048)
    mean: Rgb  # of the channels, as shares of 255
    std: Rgb
    resample: Resample = "bilinear"
    fill: tuple[int, int, int] = CropPolicy().fill
    padding: float = Field(default=CropPolicy().padding, ge=0, le=1)
    views: tuple[FiniteFloat, ...] = Field(
        default=(0.0,), min_length=1, max_length=64
    )  # degrees; vectors are averaged
    colour_weight: float = Field(
        default=0.0, ge=0, lt=1
    )  # share of the colour histogram in the cosine; 0 = none
    batch_size: int = Field(default=16, ge=1, le=4096)
    source: dict[str, str] = {}  # where the weights come from and their licence; does not change a vector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        expected = self.tower_dim + (COLOUR_DIM if self.colour_weight else 0)
        if self.dim != expected:
            raise ValueError(f"dim: expected {expected} (tower and colour block), found {self.dim}")
        if min(self.std) <= 0:
            raise ValueError(f"std: expected positive numbers, found {self.std}")
        return self

    @property
    def fingerprint(self) -> str:
        """64 hex digits of all that decides a vector: not the name, which may hold a folder that moves."""
        content = self.model_dump(mode="json", exclude={"name", "source"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def crop_policy(self) -> CropPolicy:
        """How crops for this encoder are cut."""
        return CropPolicy(padding=self.padding, fill=self.fill, resample=self.resample)

    def changed(
        self,
        *,
        views: tuple[float, ...] | None = None,
        colour_weight: float | None = None,
        batch_size: int | None = None,
    ) -> EncoderSpec:
        """The same network under another policy; None keeps what it has. Raises EncoderError for
        senseless values.
        """
        weight = self.colour_weight if colour_weight is None else colour_weight
        changes: dict[str, Any] = {
            "views": self.views if views is None else tuple(views),
            "colour_weight": weight,
            "dim": self.tower_dim + (COLOUR_DIM if weight else 0),
            "batch_size": self.batch_size if batch_size is None else batch_size,
        }
        try:
            return EncoderSpec.model_validate(self.model_dump() | changes)
        except ValueError as error:
            raise EncoderError(f"encoder {self.name}: {first_reason(error)}") from None


class Encoder(ABC):
    """Crops → unit vectors. A subclass only knows its network: `_encode` gets full batches."""

    spec: EncoderSpec

    @property
    def fingerprint(self) -> str:
        return self.spec.fingerprint

    @abstractmethod
    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(batch_size, tower_dim) features of exactly `spec.batch_size` crops; not normalised."""

    def _text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        """(tower_dim,) vectors a label; {} where this encoder has no text for the question."""
        return {}

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

    def text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        """label → (dim,) vector to multiply crop vectors with; {} where the encoder knows no such question.

        The colour block is zero: text says nothing to it.
        """
        spec = self.spec
        answer = {}
        for label, vector in self._text_vectors(question).items():
            padded = np.zeros(spec.dim, np.float32)
            padded[: spec.tower_dim] = self._unit(vector[None])[0]
            answer[label] = padded
        return answer

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


def first_reason(error: ValueError) -> str:
    """One line for the first thing pydantic (or json) found wrong."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return " ".join(str(error).split())[:200]
    first = errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])
