"""Encoders by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from healtheat.encoders.base import Encoder
from healtheat.encoders.onnx import OnnxEncoder, read_spec
from healtheat.encoders.open_clip import OpenClipEncoder
from healtheat.errors import EncoderError

DEFAULT = "imagenet"
EMBEDDED = ("imagenet", "pill")  # folders beside this file; work offline
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One line of `healtheat encoders`."""

    name: str
    kind: str  # "embedded" or "open_clip"
    dim: int | None
    resolution_px: int | None
    size_bytes: int | None  # of the weights
    note: str
    crops_per_s: float | None = None


def load_encoder(
    name: str = "default",
    *,
    views: Sequence[float] | None = None,
    colour_weight: float | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Encoder:
    """The encoder called `name`, ready to use.

    `name` is "default", an embedded encoder ("imagenet", "pill"), or an open_clip name: "MODEL/PRETRAINED",
    "hf-hub:USER/REPO", "local-dir:FOLDER". `views` (degrees) and `colour_weight` override the encoder's own
    policy. `device` is "auto", "cpu", "cuda" or "mps"; embedded encoders run on the CPU. `threads` limits the
    CPU threads. Raises EncoderError where it cannot be loaded exactly as asked for.
    """
    name = DEFAULT if name == "default" else name
    policy = {"views": None if views is None else tuple(views), "colour_weight": colour_weight}
    if name in EMBEDDED:
        if device not in ("auto", "cpu"):
            raise EncoderError(f"encoder {name} runs on the CPU; leave the device at auto, found {device}")
        return OnnxEncoder.load(_HERE / name, threads=threads, **policy)
    if "/" in name or name.startswith(("hf-hub:", "local-dir:")):
        return OpenClipEncoder.load(name, device=device, threads=threads, **policy)
    raise EncoderError(
        f"unknown encoder {name!r}: expected default, {', '.join(embedded())}, "
        "or an open_clip name (MODEL/PRETRAINED, hf-hub:…, local-dir:…)"
    )


def embedded() -> list[str]:
    """Names of the encoders whose files are installed."""
    return [name for name in EMBEDDED if (_HERE / name / "encoder.json").is_file()]


def list_encoders() -> list[EncoderInfo]:
    """What can be loaded here and now, without a network."""
    found = []
    for name in embedded():
        spec = read_spec(_HERE / name / "encoder.json")
        size = (_HERE / name / "image.onnx").stat().st_size
        note = "default" if name == DEFAULT else ""
        found.append(EncoderInfo(name, "embedded", spec.dim, spec.resolution_px, size, note))
    return found


def has_open_clip() -> bool:
    return importlib.util.find_spec("open_clip") is not None
