"""What is learned of an index once and judges every batch: models of its crops, and errors made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.vetting.decide import Known
from healtheat.vetting.features import Scales
from healtheat.vetting.kinds import KindModel
from healtheat.vetting.looks import Eyes

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VetModel:
    """Fitted on trusted boxes of the classes `class_ids` (c,).

    `boxes`, `sources` (c,): how many there are of each. `reference` are ids of images whose contents new
    images are compared with. `known` are trusted boxes and errors made of them that no model saw, `nearest`
    (n,) the cosine of such trusted boxes to the nearest crop of another source, `tiles` (m, d) background.
    `fitted_on` names the state of the index. `crops` were embedded to learn it.
    """

    class_ids: Ids
    boxes: Ids
    sources: Ids
    eyes: Eyes
    scales: Scales
    kinds: KindModel
    known: Known
    nearest: Floats
    tiles: NDArray[np.float32]
    reference: Ids
    fitted_on: str
    crops: int
