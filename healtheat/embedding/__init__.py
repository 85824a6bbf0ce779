"""Encoders: crops → unit vectors. One file a kind; `load_encoder` finds the right one by name."""

from healtheat.embedding.base import Encoder
from healtheat.embedding.prompts import QUESTIONS
from healtheat.embedding.registry import (
    AUTO,
    DEFAULT,
    EncoderInfo,
    candidates,
    encoder_table,
    list_encoders,
    load_encoder,
    parse_views,
)
from healtheat.embedding.spec import EncoderSpec

__all__ = [
    "AUTO",
    "DEFAULT",
    "QUESTIONS",
    "Encoder",
    "EncoderInfo",
    "EncoderSpec",
    "candidates",
    "encoder_table",
    "list_encoders",
    "load_encoder",
    "parse_views",
]
