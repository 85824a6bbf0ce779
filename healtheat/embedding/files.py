"""Reading an encoder's files with a limit: they may come from strangers."""

from __future__ import annotations

import json
from pathlib import Path

from healtheat.core.errors import EncoderError
from healtheat.core.files import Unreadable, read_small
from healtheat.embedding.spec import EncoderSpec, first_reason

MAX_TEXT_BYTES = 20_000_000
MAX_NETWORK_BYTES = 2_000_000_000  # protobuf's own limit
_OWN = Path(__file__).resolve().parent  # an installer may have linked the files of this package
SPEC_FILE, NETWORK_FILE, QUESTIONS_FILE = "encoder.json", "image.onnx", "questions.json"


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a file of an encoder's folder; of a stranger's folder no link out of it is followed.

    Raises EncoderError where it cannot be read or is bigger than `limit`.
    """
    try:
        return read_small(path, limit, within=None if path.is_relative_to(_OWN) else path.parent).data
    except Unreadable as error:
        raise EncoderError(f"{path}: {error}") from None


def read_spec(path: Path) -> EncoderSpec:
    """The spec in an `encoder.json`. Raises EncoderError naming the file and the field."""
    try:
        return EncoderSpec.model_validate(json.loads(read_bytes(path, MAX_TEXT_BYTES)))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: {first_reason(error)}") from None
