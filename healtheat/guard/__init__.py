"""Whether a proposed relabelling collapses classes."""

from healtheat.guard.judge import judge
from healtheat.guard.report import Agreement, Check, Comparison, Flow, GuardReport
from healtheat.guard.shares import Shares, shares

__all__ = ["Agreement", "Check", "Comparison", "Flow", "GuardReport", "Shares", "judge", "shares"]
