"""Whether a proposed relabelling collapses classes."""

from healtheat.guarding.judge import judge
from healtheat.guarding.report import Check, Comparison, Flow, GuardReport, NameAgreement
from healtheat.guarding.run import Guarded, guard
from healtheat.guarding.shares import Shares, shares

__all__ = [
    "Check",
    "Comparison",
    "Flow",
    "GuardReport",
    "Guarded",
    "NameAgreement",
    "Shares",
    "guard",
    "judge",
    "shares",
]
