"""How fast an encoder is on this machine."""

from __future__ import annotations

import time

import numpy as np

from healtheat.embedding.base import Encoder


def crops_per_s(encoder: Encoder, seconds: float) -> float:
    """Crops a second of `encode` alone, full batches of noise, all views included, over `seconds`."""
    spec = encoder.spec
    shape = (spec.batch_size, spec.resolution_px, spec.resolution_px, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    encoder.encode(crops)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        encoder.encode(crops)
        done += len(crops)
    return done / (time.perf_counter() - started)
