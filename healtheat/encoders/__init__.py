"""Encoders: crops → unit vectors. One file a kind; `load_encoder` finds the right one by name."""

from healtheat.encoders.base import Encoder
from healtheat.encoders.prompts import QUESTIONS
from healtheat.encoders.registry import (
    DEFAULT,
    EncoderInfo,
    list_encoders,
    load_encoder,
)
from healtheat.encoders.spec import EncoderSpec

__all__ = [
    "DEFAULT",
    "QUESTIONS",
    "Encoder",
    "EncoderInfo",
    "EncoderSpec",
    "list_encoders",
    "load_encoder",
]
