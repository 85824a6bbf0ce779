"""Whether a proposed relabelling collapses classes."""

from healtheat.guarding.judge import judge
from healtheat.guarding.report import Agreement, Check, Comparison, Flow, GuardReport
from healtheat.guarding.run import Guarded, guard
from healtheat.guarding.shares import Shares, shares

__all__ = [
    "Agreement",
    "Check",
    "Comparison",
    "Flow",
    "GuardReport",
    "Guarded",
    "Shares",
    "guard",
    "judge",
    "shares",
]
