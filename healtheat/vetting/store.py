"""The model as a file of the index: arrays alone, in the safetensors format, which holds no code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from healtheat.core.files import Unreadable, read_small
from healtheat.index.manifest import MODEL_NAME
from healtheat.signals.evidence.classmodel import Discriminant, Logistic
from healtheat.signals.evidence.components import Axes
from healtheat.signals.evidence.ground import Ground
from healtheat.vetting.decide import Known
from healtheat.vetting.features import FEATURES, Scales
from healtheat.vetting.kinds import KINDS, KindModel
from healtheat.vetting.looks import Eyes
from healtheat.vetting.model import VetModel

MOST_BYTES = 256 << 20
_VERSION = 1  # of the meaning of these arrays; another one is fitted anew

Arrays = dict[str, NDArray[Any]]


def to_bytes(model: VetModel) -> bytes:
    """The file's content."""
    eyes = model.eyes
    arrays: Arrays = {
        "version": np.array([_VERSION], np.int64),
        "fitted_on": np.frombuffer(model.fitted_on.encode(), np.uint8),
        "crops": np.array([model.crops], np.int64),
        **{name: getattr(model, name) for name in _PLAIN},
        **_flat("axes", eyes.axes),
        **_flat("discriminant", eyes.discriminant),
        **_flat("scales", model.scales),
        **_flat("kinds", model.kinds),
        **_flat("known", model.known),
    }
    if eyes.logistic is not None:
        arrays |= _flat("logistic", eyes.logistic)
    if eyes.ground is not None and eyes.ground_axes is not None:
        arrays |= _flat("ground_axes", eyes.ground_axes) | _flat("ground", eyes.ground)
    return save({name: np.ascontiguousarray(value) for name, value in arrays.items()})


def from_bytes(data: bytes, dim: int) -> VetModel | None:
    """The model; None for one of another version. Raises ValueError for what is none for this `dim`."""
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from None
    if arrays.get("version", np.zeros(0)).tolist() != [_VERSION]:
        return None
    for name, value in arrays.items():
        if value.dtype.kind not in "iuf" or np.isnan(value.astype(np.float64)).any():
            raise ValueError(f"{name}: not a number")
    try:
        model = _model(arrays)
    except KeyError as error:
        raise ValueError(f"no array {error}") from None
    _check(model, dim)
    return model


def read(path: Path, dim: int) -> VetModel | None:
    """The model of the index in the folder `path`; None where there is none, or none of this version.

    That its bytes are those which were written is checked when the index is opened.
    """
    file = path / MODEL_NAME
    try:
        return from_bytes(read_small(file, MOST_BYTES).data, dim) if file.exists() else None
    except (Unreadable, ValueError):
        return None


_PLAIN = ("class_ids", "boxes", "sources", "nearest", "tiles", "reference")


def _flat(name: str, part: Any) -> Arrays:
    """The arrays of a part; a plain number is an array of one."""
    return {f"{name}.{f.name}": np.atleast_1d(getattr(part, f.name)) for f in fields(part)}


def _model(a: Arrays) -> VetModel:
    axes = Axes(a["axes.mean"], a["axes.axes"], a["axes.variances"])
    has_logistic, has_ground = "logistic.coef" in a, "ground.coef" in a
    eyes = Eyes(
        axes=axes,
        discriminant=Discriminant(a["discriminant.means"], a["discriminant.half"], a["discriminant.count"]),
        logistic=Logistic(
            a["logistic.coef"], a["logistic.intercept"], a["logistic.present"], _one(a["logistic.c"], int)
        )
        if has_logistic
        else None,
        ground_axes=Axes(a["ground_axes.mean"], a["ground_axes.axes"], a["ground_axes.variances"])
        if has_ground
        else None,
        ground=Ground(a["ground.coef"], _one(a["ground.intercept"], float)) if has_ground else None,
    )
    scales = Scales(
        vote=_one(a["scales.vote"], float),
        crop=a["scales.crop"],
        whole=a["scales.whole"],
        similar=a["scales.similar"],
        distance=_one(a["scales.distance"], float),
    )
    kinds = KindModel(*(a[f"kinds.{f.name}"] for f in fields(KindModel)))
    return VetModel(
        **{name: a[name] for name in _PLAIN},
        eyes=eyes,
        scales=scales,
        kinds=kinds,
        known=Known(a["known.log_likelihood"], a["known.kind"]),
        fitted_on=a["fitted_on"].astype(np.uint8).tobytes().decode("utf-8", "replace"),
        crops=_one(a["crops"], int),
    )


def _one(value: NDArray[Any], kind: type) -> Any:
    if value.shape != (1,):
        raise ValueError(f"expected one number, found {value.shape}")
    return kind(value[0])


def _check(model: VetModel, dim: int) -> None:
    """Shapes that fit each other and the vectors, finite numbers: a file is input."""
    c, k = len(model.class_ids), model.eyes.axes.axes.shape[-1]
    f, parts = len(FEATURES), len(model.scales.crop)
    d, kinds = model.eyes.discriminant, len(model.kinds.present)
    expected: list[tuple[NDArray[Any], tuple[int, ...]]] = [
        (model.eyes.axes.mean, (dim,)),
        (model.eyes.axes.axes, (dim, k)),
        (model.eyes.axes.variances, (k,)),
        (d.means, (c, k)),
        (d.half, (k, k)),
        (d.count, (c,)),
        (model.boxes, (c,)),
        (model.sources, (c,)),
        (model.scales.similar, (c,)),
        (model.scales.whole, (parts + 2,)),
        (model.kinds.mean, (f,)),
        (model.kinds.scale, (f,)),
        (model.kinds.coef, (kinds, f)),
        (model.kinds.intercept, (kinds,)),
        (model.known.log_likelihood, (len(model.known.kind), len(KINDS))),
        (model.tiles, (len(model.tiles), dim)),
    ]
    logistic, ground, wide = model.eyes.logistic, model.eyes.ground, model.eyes.ground_axes
    if logistic is not None:
        m = len(logistic.present)
        expected += [(logistic.coef, (max(m, 1), k)), (logistic.intercept, (max(m, 1),))]
        _within(logistic.present, c, "logistic.present")
    if ground is not None and wide is not None:
        g = wide.axes.shape[-1]
        expected += [(wide.mean, (dim,)), (wide.axes, (dim, g)), (wide.variances, (g,)), (ground.coef, (g,))]
    if parts != (2 if logistic is None else 3):
        raise ValueError(f"expected weights of the pieces of evidence, found {parts}")
    for value, shape in expected:
        if value.shape != shape:
            raise ValueError(f"expected {shape}, found {value.shape}")
    _within(model.kinds.present, len(KINDS), "kinds.present")
    _within(model.known.kind, len(KINDS), "known.kind")
    if c < 1 or (np.diff(model.class_ids) <= 0).any():
        raise ValueError("class_ids: expected ascending ids")


def _within(value: NDArray[Any], n: int, name: str) -> None:
    if value.ndim != 1 or value.dtype.kind != "i" or ((value < 0) | (value >= n)).any():
        raise ValueError(f"{name}: expected numbers from 0 to {n - 1}")
