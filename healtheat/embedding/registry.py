"""Encoders by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.core.errors import Argument, EncoderError, InputError
from healtheat.core.progress import Progress, silent
from healtheat.core.text import did_you_mean, shown
from healtheat.embedding.base import Encoder
from healtheat.embedding.files import NETWORK_FILE, SPEC_FILE, read_spec
from healtheat.embedding.hub import CONFIG, WEIGHTS
from healtheat.embedding.onnx import OnnxEncoder
from healtheat.embedding.open_clip import OpenClipEncoder
from healtheat.embedding.open_clip_source import cached_names
from healtheat.embedding.speed import crops_per_s

DEFAULT = "pill"
EMBEDDED = ("imagenet", "pill")  # folders beside this file; work offline
AUTO = "auto"  # stands for a choice by the data, which only a build can make
MEASURE_S = 2.0  # for the speed of one encoder
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One line of `healtheat encoders`."""

    name: str
    kind: str  # "embedded" or "open_clip"
    dim: int | None  # None where only loading it would tell
    resolution_px: int | None
    size_bytes: int | None  # of the weights
    note: str
    usable: bool = True  # False where it cannot be loaded; `note` says why
    crops_per_s: float | None = None  # with its own policy, all views included


def load_encoder(
    name: str = "default",
    *,
    views: Sequence[float] | None = None,
    colour_weight: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Encoder:
    """The encoder called `name`, ready to use.

    `name` is "default", an embedded encoder ("imagenet", "pill"), "onnx-dir:FOLDER" (encoder.json beside
    image.onnx), or an open_clip name: "MODEL/PRETRAINED", "hf-hub:USER/REPO", "local-dir:FOLDER". `views`
    (degrees) and `colour_weight` override the encoder's own policy. `device` is "auto", "cpu", "cuda" or
    "mps"; `precision` "auto", "fp32", "bf16" or "fp16": 16 bits on CUDA and on CPUs that multiply them. ONNX
    encoders run in fp32 on the CPU. `threads` limits the CPU threads. Raises EncoderError where it cannot be
    loaded exactly as asked for.
    """
    name = DEFAULT if name == "default" else name
    policy: dict[str, Any] = {
        "views": None if views is None else tuple(views),
        "colour_weight": colour_weight,
    }
    if name in EMBEDDED or name.startswith("onnx-dir:"):
        if device not in ("auto", "cpu"):
            raise EncoderError(f"encoder {name} runs on the CPU; leave the device at auto, found {device}")
        if precision not in ("auto", "fp32"):
            raise EncoderError(
                f"encoder {name} computes in fp32; leave the precision at auto, found {precision}"
            )
        folder = _HERE / name if name in EMBEDDED else Path(name.removeprefix("onnx-dir:")).expanduser()
        return OnnxEncoder.load(folder, threads=threads, **policy)
    if "/" in name or name.startswith(("hf-hub:", "local-dir:")):
        return OpenClipEncoder.load(name, device=device, precision=precision, threads=threads, **policy)
    if name == AUTO:
        raise EncoderError(
            f"encoder auto: only a build can choose by its data; name one of {', '.join(embedded())}"
        )
    raise EncoderError(
        f"unknown encoder {shown(name)!r}: expected auto (the default of a build), default, "
        f"{', '.join(embedded())}, onnx-dir:FOLDER or an open_clip name (MODEL/PRETRAINED, hf-hub:USER/REPO, "
        "local-dir:FOLDER)" + did_you_mean(name, (AUTO, "default", *embedded()))
    )


def embedded() -> list[str]:
    """Names of the encoders whose files are installed."""
    return [name for name in EMBEDDED if (_HERE / name / SPEC_FILE).is_file()]


def candidates() -> tuple[str, ...]:
    """The embedded encoders that a build chooses among, the default first."""
    return (DEFAULT, *(name for name in embedded() if name != DEFAULT))


def list_encoders(
    *,
    folders: Sequence[Path] = (),
    measure: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> list[EncoderInfo]:
    """What can be loaded here and now, without a network: embedded ones, those in `folders` and the folders
    in them, and open_clip weights in the hub's cache.

    `measure` loads each one and times it on this machine, which takes some seconds an encoder. Raises
    EncoderError for a folder that is not there.
    """
    infos = []
    for name in embedded():
        spec = read_spec(_HERE / name / SPEC_FILE)
        size = (_HERE / name / NETWORK_FILE).stat().st_size
        note = "default" if name == DEFAULT else ""
        infos.append(EncoderInfo(name, "embedded", spec.dim, spec.resolution_px, size, note))
    clip = importlib.util.find_spec("open_clip") is not None
    for folder in folders:
        infos += _in_folder(folder, clip)
    if clip:
        for name, size in cached_names():
            infos.append(EncoderInfo(name, "open_clip", None, None, size, "downloaded"))
    if not measure:
        return infos
    measured = []
    for done, info in enumerate(infos):
        progress("measuring", done, len(infos))
        measured.append(_measured(info, threads))
    progress("measuring", len(infos), len(infos))
    return measured


ENCODER_COLUMNS = pa.schema(
    [
        ("name", pa.string()),
        ("kind", pa.string()),
        ("dim", pa.int64()),
        ("resolution_px", pa.int64()),
        ("size_bytes", pa.int64()),
        ("note", pa.string()),
        ("usable", pa.bool_()),
        ("crops_per_s", pa.float64()),
    ]
)


def encoder_table(infos: Sequence[EncoderInfo]) -> pa.Table:
    """One row per encoder: the fields of EncoderInfo as columns."""
    return pa.Table.from_pylist([asdict(info) for info in infos], schema=ENCODER_COLUMNS)


def parse_views(views: str | Sequence[float] | None) -> tuple[float, ...] | None:
    """Rotations in degrees, also from a text such as "0,90,180,270". Raises InputError for another text.

    >>> parse_views("0,90")
    (0.0, 90.0)
    """
    if views is None:
        return None
    try:
        return tuple(float(part) for part in (views.split(",") if isinstance(views, str) else views))
    except ValueError:
        raise InputError(
            Argument("views"), f" {views!r}: give degrees with commas between, such as 0,90,180,270"
        ) from None


def _in_folder(folder: Path, clip: bool) -> list[EncoderInfo]:
    """The folder itself and those in it that hold an encoder, by name."""
    if not folder.is_dir():
        raise EncoderError(f"{folder}: no such folder")
    infos = []
    for place in (folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())):
        if (place / SPEC_FILE).is_file() and (place / NETWORK_FILE).is_file():
            size, name = (place / NETWORK_FILE).stat().st_size, f"onnx-dir:{place}"
            try:
                spec = read_spec(place / SPEC_FILE)
                infos.append(EncoderInfo(name, "onnx", spec.dim, spec.resolution_px, size, ""))
            except EncoderError as error:
                why = f"cannot be loaded: {error}"
                infos.append(EncoderInfo(name, "onnx", None, None, size, why, usable=False))
        if (place / CONFIG).is_file():
            weights = next((place / file for file in WEIGHTS if (place / file).is_file()), None)
            size_bytes = weights.stat().st_size if weights else None
            note = "" if clip else "needs the extra clip"
            name = f"local-dir:{place}"
            infos.append(EncoderInfo(name, "open_clip", None, None, size_bytes, note, usable=clip))
    return infos


def _measured(info: EncoderInfo, threads: int | None) -> EncoderInfo:
    if not info.usable:
        return info
    try:
        encoder = load_encoder(info.name, threads=threads)
        rate = crops_per_s(encoder, MEASURE_S)
    except (EncoderError, MemoryError) as error:
        return replace(info, note=f"cannot be loaded: {error}", usable=False)
    return replace(info, dim=encoder.spec.dim, resolution_px=encoder.spec.resolution_px, crops_per_s=rate)
