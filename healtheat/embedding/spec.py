"""What decides the vector of a crop."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from healtheat.core.errors import EncoderError
from healtheat.core.validation import what_is_wrong
from healtheat.crops import CropPolicy
from healtheat.crops.cut import Resample
from healtheat.embedding.colour import COLOUR_DIM

Level = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


MAX_BATCH_PIXELS = 2**26  # 805 MB as float32: more than any network needs, less than a small machine has


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
    fill: tuple[Level, Level, Level] = CropPolicy().fill
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
        if self.batch_size * self.resolution_px**2 > MAX_BATCH_PIXELS:
            raise ValueError(
                f"batch_size × resolution_px²: expected at most {MAX_BATCH_PIXELS:,}, found "
                f"{self.batch_size} × {self.resolution_px}²"
            )
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


def first_reason(error: Exception) -> str:
    """One line for the first thing pydantic (or json) found wrong."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:200]
    where, what = what_is_wrong(error)
    return f"{where}: {what}" if where else what
