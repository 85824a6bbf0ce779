"""Reading an encoder's files with a limit: they may come from strangers."""

from __future__ import annotations

import json
from pathlib import Path

from healtheat.core.errors import EncoderError
from healtheat.embedding.spec import EncoderSpec, first_reason

MAX_TEXT_BYTES = 20_000_000
MAX_NETWORK_BYTES = 2_000_000_000  # protobuf's own limit
SPEC_FILE, NETWORK_FILE, QUESTIONS_FILE = "encoder.json", "image.onnx", "questions.json"


def read_bytes(path: Path, limit: int) -> bytes:
    """The file's bytes. Raises EncoderError where it cannot be read or is bigger than `limit`."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise EncoderError(f"{path}: {size:,} bytes are more than the limit of {limit:,}")
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path}: {error.strerror or error}") from None


def read_spec(path: Path) -> EncoderSpec:
    """The spec in an `encoder.json`. Raises EncoderError naming the file and the field."""
    try:
        return EncoderSpec.model_validate(json.loads(read_bytes(path, MAX_TEXT_BYTES)))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: {first_reason(error)}") from None
