"""A trusted index and a new batch with wrong boxes, both small: what the tests of vetting run on."""

from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, write_set

# label file of the new batch → its line 1 (0-based), whose class is another than the disc's colour
WRONG = {"train/labels/사진 01.txt": 1, "train/labels/사진 06.txt": 1, "valid/labels/사진 04.txt": 1}

OTHER = {b"0": b"3", b"3": b"7", b"7": b"0"}


def write_sets(folder: Path) -> Path:
    """`trusted/` with its index `index/trusted`, and `new/` with the boxes of WRONG; returns its yaml."""
    build(
        YoloSource(write_set(folder / "trusted", images=24)), folder / "index/trusted", encoder=FakeEncoder()
    )
    data = write_set(folder / "new", images=12, seed=5)
    for name, line in WRONG.items():
        file = folder / "new" / name
        lines = file.read_bytes().splitlines()
        old, rest = lines[line].split(b" ", 1)
        lines[line] = OTHER[old] + b" " + rest
        file.write_bytes(b"\r\n".join(lines) + b"\r\n")
    return data


def without_encoders(patch: pytest.MonkeyPatch) -> None:
    """Let an index load the encoder that these sets are embedded with."""
    patch.setattr("healtheat.index.encoder.embedded", lambda: ("fake",))
    patch.setattr("healtheat.index.encoder.load_encoder", lambda name, **more: FakeEncoder())
