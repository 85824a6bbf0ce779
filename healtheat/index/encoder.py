"""The encoder that an index was built with, for crops that the index does not hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import EncoderError
from healtheat.embedding import Encoder, EncoderSpec, load_encoder
from healtheat.index.store import Index


def encoder_of(index: Index) -> Encoder:
    """The encoder that the index was built with; EncoderError where it cannot be had here."""
    spec = EncoderSpec.model_validate(index.manifest.encoder)
    encoder = load_encoder(spec.name, views=spec.views, colour_weight=spec.colour_weight)
    if encoder.fingerprint != spec.fingerprint:
        raise EncoderError(
            f"encoder {spec.name}: not the one this index was built with "
            f"(expected {spec.fingerprint[:12]}, found {encoder.fingerprint[:12]}); build the index again"
        )
    return encoder


class EncoderWhenNeeded(Encoder):
    """The encoder of an index, loaded with the first crop; none is, where all vectors are known already."""

    def __init__(self, index: Index) -> None:
        self.spec = EncoderSpec.model_validate(index.manifest.encoder)
        self._index = index
        self._own: Encoder | None = None

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Encoder`. Raises EncoderError as `encoder_of` does."""
        if self._own is None:
            self._own = encoder_of(self._index)
        return self._own.encode(crops)

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError  # `encode` leaves all to the loaded one
