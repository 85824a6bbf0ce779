"""Acting on findings and verdicts: one plan; lists to train on, a cleaned copy, or the data set itself."""

from healtheat.cleanup.act import Applied, apply
from healtheat.cleanup.copy import write_copy
from healtheat.cleanup.figures import Figures
from healtheat.cleanup.inplace import apply_in_place, finish, stale_caches
from healtheat.cleanup.plan import Plan, plan_labels, plan_training
from healtheat.cleanup.rollback import RolledBack, rollback
from healtheat.cleanup.rows import HeldBack, LeftOut, PlannedImage, Relabel
from healtheat.cleanup.run import pending
from healtheat.cleanup.training import write_training

__all__ = [
    "Applied",
    "Figures",
    "HeldBack",
    "LeftOut",
    "Plan",
    "PlannedImage",
    "Relabel",
    "RolledBack",
    "apply",
    "apply_in_place",
    "finish",
    "pending",
    "plan_labels",
    "plan_training",
    "rollback",
    "stale_caches",
    "write_copy",
    "write_training",
]
