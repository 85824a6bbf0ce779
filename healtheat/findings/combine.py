"""Where two signals judge one issue of a box, and one of them knows more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from healtheat.signals.base import Scores

_NEVER_SURE = 1e-6


def tempered(scores: Scores, better: Scores) -> Scores:
    """`scores`, lower where `better`, about the same issue, finds a box less suspicious than the average one.

    The odds are multiplied by what `better` says (odds of the box over odds of the share of errors; Bayes,
    the two as independent given the truth), never by more than 1: that a crop lacks nothing that words can
    tell is no evidence against another class. Boxes that `better` abstains on stay as they are.
    """
    if np.isnan(better.share):
        return scores
    at = {box: row for row, box in enumerate(better.box_id.tolist())}
    rows = [at.get(box, -1) for box in scores.box_id.tolist()]
    says = np.array([better.score[row] if row >= 0 else np.nan for row in rows])
    less = np.nan_to_num(np.minimum(_log_odds(says) - _log_odds(better.share), 0), nan=0.0)
    return replace(scores, score=expit(_log_odds(scores.score) + less))


def _log_odds(p: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(p, _NEVER_SURE, 1 - _NEVER_SURE)))
