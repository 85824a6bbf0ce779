"""The encoder that an index was built with, for crops that the index does not hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import Argument, EncoderError
from healtheat.core.text import shown
from healtheat.embedding import Encoder, EncoderSpec, load_encoder
from healtheat.embedding.registry import embedded
from healtheat.index.store import Index


def check_given(index: Index, given: str | None) -> None:
    """Raises EncoderError where the encoder of `index` is not embedded and its name was not `given` again."""
    spec = EncoderSpec.model_validate(index.manifest.encoder)
    if given is None and spec.name not in embedded():
        raise EncoderError(
            f"encoder {shown(spec.name)}: {index.path} was built with it, and it is none of healtheat's own; "
            "give it again, as it was given to the build, with ",
            Argument("encoder"),
        )


def encoder_of(index: Index, given: str | None = None) -> Encoder:
    """The encoder that the index was built with; EncoderError where it cannot be had here.

    One that is not embedded is loaded only by the name `given` (see `load_encoder`): an index may not choose
    a folder to open or a download.
    """
    check_given(index, given)
    spec = EncoderSpec.model_validate(index.manifest.encoder)
    encoder = load_encoder(given or spec.name, views=spec.views, colour_weight=spec.colour_weight)
    if encoder.fingerprint != spec.fingerprint:
        raise EncoderError(
            f"encoder {shown(given or spec.name)}: not the one this index was built with "
            f"(expected {spec.fingerprint[:12]}, found {encoder.fingerprint[:12]}); give that one with ",
            Argument("encoder"),
            ", or build the index again",
        )
    return encoder


class EncoderWhenNeeded(Encoder):
    """The encoder of an index, loaded with the first crop; none is, where all vectors are known already."""

    def __init__(self, index: Index, given: str | None = None) -> None:
        """`given` as in `encoder_of`."""
        self.spec = EncoderSpec.model_validate(index.manifest.encoder)
        self._index, self._given = index, given
        self._own: Encoder | None = None

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Encoder`. Raises EncoderError as `encoder_of` does."""
        if self._own is None:
            self._own = encoder_of(self._index, self._given)
        return self._own.encode(crops)

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError  # `encode` leaves all to the loaded one
