"""Encoders: crops → unit vectors. One file a kind; `load_encoder` finds the right one by name."""

from healtheat.embedding.base import Encoder
from healtheat.embedding.prompts import QUESTIONS
from healtheat.embedding.registry import (
    DEFAULT,
    EncoderInfo,
    list_encoders,
    load_encoder,
)
from healtheat.embedding.spec import EncoderSpec

__all__ = [
    "DEFAULT",
    "QUESTIONS",
    "Encoder",
    "EncoderInfo",
    "EncoderSpec",
    "list_encoders",
    "load_encoder",
]
