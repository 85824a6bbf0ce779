"""The look-alike matrix: of the classes that this encoder mixes up or cannot be sure of, who with whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from healtheat.signals.evidence.trust import Trust

MOST_CLASSES = 40
SHADES = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One pair. `agreement` is how often the two are told apart: 0.5 is a coin, 1 is always."""

    agreement: float
    verdict: str
    shade: int  # 0 (told apart) to SHADES (a coin or worse)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows and columns are `class_ids`, look-alikes beside each other; None on the diagonal."""

    class_ids: tuple[int, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    left_out: int  # classes that every other class is told apart from, and those beyond MOST_CLASSES
    groups: tuple[tuple[int, ...], ...]


def matrix(trust: Trust) -> Matrix:
    """The part of the pair table that says something."""
    mean, _, _ = trust.pair_interval
    verdict = trust.pair_verdict
    groups = trust.look_alikes()
    place = {int(c): i for i, c in enumerate(trust.class_ids)}
    worst = np.where(verdict == "few", 1.0, mean)
    np.fill_diagonal(worst, 1.0)
    chosen = [place[c] for group in groups for c in group]
    doubtful = [i for i in np.argsort(worst.min(axis=1), kind="stable") if worst[i].min() < trust.apart]
    chosen += [int(i) for i in doubtful if i not in set(chosen)]
    chosen = chosen[:MOST_CLASSES]
    cells = tuple(
        tuple(None if i == j else _cell(float(mean[i, j]), str(verdict[i, j])) for j in chosen)
        for i in chosen
    )
    ids = tuple(int(trust.class_ids[i]) for i in chosen)
    return Matrix(ids, cells, len(trust.class_ids) - len(ids), tuple(groups))


def _cell(agreement: float, verdict: str) -> Cell:
    alike = 0.0 if verdict == "few" or np.isnan(agreement) else min(1.0, max(0.0, (1 - agreement) * 2))
    return Cell(agreement, verdict, round(alike * SHADES))
