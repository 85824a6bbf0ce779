"""Encoders: crops → unit vectors. One file a kind; `load_encoder` finds the right one by name."""

from healtheat.embedding.base import Encoder
from healtheat.embedding.prompts import QUESTIONS
from healtheat.embedding.registry import (
    DEFAULT,
    EncoderInfo,
    encoder_table,
    list_encoders,
    load_encoder,
    parse_views,
)
from healtheat.embedding.spec import EncoderSpec

__all__ = [
    "DEFAULT",
    "QUESTIONS",
    "Encoder",
    "EncoderInfo",
    "EncoderSpec",
    "encoder_table",
    "list_encoders",
    "load_encoder",
    "parse_views",
]
