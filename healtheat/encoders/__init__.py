"""Encoders: crops → unit vectors. One file a kind; `load_encoder` finds the right one by name."""

from healtheat.encoders.base import Encoder
from healtheat.encoders.registry import (
    DEFAULT,
    EncoderInfo,
    list_encoders,
    load_encoder,
    shipped_text_weights,
)
from healtheat.encoders.spec import EncoderSpec

__all__ = [
    "DEFAULT",
    "Encoder",
    "EncoderInfo",
    "EncoderSpec",
    "list_encoders",
    "load_encoder",
    "shipped_text_weights",
]
