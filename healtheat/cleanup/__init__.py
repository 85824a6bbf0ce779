"""Acting on verdicts: a cleaned copy of a data set, or the data set itself with a way back."""

from healtheat.cleanup.copy import write_copy
from healtheat.cleanup.decide import HeldBack, Relabel, Removal
from healtheat.cleanup.inplace import apply_in_place, finish, stale_caches
from healtheat.cleanup.plan import ApplyPlan, plan_apply
from healtheat.cleanup.rollback import rollback
from healtheat.cleanup.run import pending

__all__ = [
    "ApplyPlan",
    "HeldBack",
    "Relabel",
    "Removal",
    "apply_in_place",
    "finish",
    "pending",
    "plan_apply",
    "rollback",
    "stale_caches",
    "write_copy",
]
