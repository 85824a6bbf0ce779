"""The self-test over an index: its own samples, crops and encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from healtheat.core.progress import Progress, silent
from healtheat.index import Index
from healtheat.index.encoder import encoder_of
from healtheat.planting.crops import IndexCrops
from healtheat.planting.run import SelftestReport, selftest
from healtheat.signals import samples_from


def selftest_index(
    index: Index,
    *,
    kinds: Sequence[str] = (),
    rate: float = 0.05,
    plantings: int = 3,
    budget: int | None = None,
    crops: int = 200,
    seed: int = 0,
    encoder: str | None = None,
    progress: Progress = silent,
) -> SelftestReport:
    """What would be found of errors planted in a copy of the samples of `index` (see `selftest`).

    `encoder` is the name of the one that the index was built with, needed where it is not embedded.
    With `crops` 0 the kinds that need new crops are left out, and no encoder is loaded. Raises InputError, or
    EncoderError where the encoder of the index cannot be had.
    """
    maker = IndexCrops(index, encoder_of(index, encoder)) if crops else None
    report = selftest(
        samples_from(index),
        maker,
        kinds=kinds,
        rate=rate,
        plantings=plantings,
        budget=budget,
        max_crops=crops,
        seed=seed,
        progress=progress,
    )
    return replace(report, unread=maker.unread if maker else 0)
