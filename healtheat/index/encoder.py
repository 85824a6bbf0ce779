"""The encoder that an index was built with, for crops that the index does not hold."""

from __future__ import annotations

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
