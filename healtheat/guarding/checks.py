"""The limits: none that an honest relabelling of 3 % of the boxes could reach. docs/guard.md shows why."""

from __future__ import annotations

from healtheat.core.text import counted
from healtheat.guarding.report import Check, Comparison, NameAgreement
from healtheat.guarding.shares import Shares

MIN_EFFECTIVE_KEPT = 2 / 3  # effective classes, proposed / present
MAX_GROWTH = 0.20  # share of all boxes that one class may gain
ESTABLISHED = 5  # boxes a class has now for its death to count; fewer may all be honestly wrong
MAX_DYING_CLASSES = 0.20  # share of the established classes that may die …
MAX_DYING_BOXES = 0.05  # … where they hold more than this share of all boxes
MIN_BOXES_KEPT = 0.50  # share of the present boxes that the proposal still has, on the images of both
MAX_CHANGED = 0.50  # share of the boxes found again that get another class
MIN_AGREEMENT = 0.50  # share of boxes whose class the name of their image lists
MAX_AGREEMENT_LOST = 0.20  # fall of that share, present → proposed
MAX_SINK = 0.20  # share of boxes that carry one class their image's name does not list
ALONE_TOP, ALONE_LEAD, ALONE_DEAD, ALONE_EFFECTIVE = 0.50, 5.0, 0.25, 0.25  # together: see `alone`
ALONE_MIN_CLASSES, ALONE_BOXES_A_CLASS = 4, 10


def against_names(proposed: NameAgreement, current: NameAgreement | None) -> list[Check]:
    """Checks against what the names of the images list."""
    checks = [
        Check(
            "agreement",
            proposed.share,
            MIN_AGREEMENT,
            proposed.share < MIN_AGREEMENT,
            f"{proposed.share:.1%} of boxes carry a class that their image's name lists "
            f"(at least {MIN_AGREEMENT:.0%})",
        )
    ]
    sink = proposed.sink_boxes / proposed.boxes if proposed.boxes else 0.0
    checks.append(
        Check(
            "sink",
            sink,
            MAX_SINK,
            sink > MAX_SINK,
            f"{sink:.1%} of boxes carry one class where their image's name does not list it "
            f"(at most {MAX_SINK:.0%})",
        )
    )
    if current is not None and current.boxes:
        lost = current.share - proposed.share
        checks.append(
            Check(
                "agreement_lost",
                lost,
                MAX_AGREEMENT_LOST,
                lost > MAX_AGREEMENT_LOST,
                f"agreement with the images' names goes from {current.share:.1%} to {proposed.share:.1%} "
                f"(a fall of at most {100 * MAX_AGREEMENT_LOST:.0f} points)",
            )
        )
    return checks


def against_current(c: Comparison) -> list[Check]:
    """Checks against the present class ids."""
    before, after = c.current, c.proposed
    if not before.boxes:
        return []
    boxes_kept = after.boxes / before.boxes
    checks = [
        Check(
            "boxes_kept",
            boxes_kept,
            MIN_BOXES_KEPT,
            boxes_kept < MIN_BOXES_KEPT,
            f"{after.boxes} of {counted(before.boxes, 'box')} left: {boxes_kept:.0%} "
            f"(at least {MIN_BOXES_KEPT:.0%})",
        )
    ]
    if not after.boxes:
        return checks  # nothing is left to compare
    changed = c.changed / c.matched if c.matched else 0.0
    kept = after.effective_classes / before.effective_classes
    gains = {
        k: after.counts.get(k, 0) / after.boxes - before.counts.get(k, 0) / before.boxes for k in after.counts
    }
    gain = max(gains.values(), default=0.0)
    established = sum(n >= ESTABLISHED for n in before.counts.values())
    dying_classes = len(c.dying) / established if established else 0.0
    dying_boxes = sum(c.dying.values()) / before.boxes
    return [
        *checks,
        Check(
            "changed",
            changed,
            MAX_CHANGED,
            changed > MAX_CHANGED,
            f"{changed:.1%} of the boxes found again get another class (at most {MAX_CHANGED:.0%})",
        ),
        Check(
            "effective_classes",
            kept,
            MIN_EFFECTIVE_KEPT,
            kept < MIN_EFFECTIVE_KEPT,
            f"effective number of classes goes from {before.effective_classes:.1f} "
            f"to {after.effective_classes:.1f}: {kept:.0%} (at least {MIN_EFFECTIVE_KEPT:.0%})",
        ),
        Check(
            "growth",
            gain,
            MAX_GROWTH,
            gain > MAX_GROWTH,
            f"the class that grows most gains {gain:.1%} of all boxes (at most {MAX_GROWTH:.0%})",
        ),
        Check(
            "dying_classes",
            dying_classes,
            MAX_DYING_CLASSES,
            dying_classes > MAX_DYING_CLASSES and dying_boxes > MAX_DYING_BOXES,
            f"{len(c.dying)} of {established} established classes die, with {dying_boxes:.1%} of all boxes "
            f"(at most {MAX_DYING_CLASSES:.0%} of the classes, or {MAX_DYING_BOXES:.0%} of the boxes)",
        ),
    ]


def alone(s: Shares) -> list[Check]:
    """One check of the spread alone: dominance, dead classes and low diversity all at once.

    Skewed sets are normal, and so are declared classes that a small set lacks; only all of it together is
    not: half of all boxes in one class, five times as many as in the next (power laws up to exponent 2, the
    natural kind of skew, have at most 2² = 4), a quarter of the classes dead, and at most a quarter as many
    effective classes as classes. Needs four classes and ten boxes a class, or else nothing is said.
    """
    if s.classes < ALONE_MIN_CLASSES or s.boxes < ALONE_BOXES_A_CLASS * s.classes:
        return []
    dead, effective = len(s.dead) / s.classes, s.effective_classes / s.classes
    second = max((n for c, n in s.counts.items() if c != s.top_class), default=0)
    lead = s.top_share * s.boxes / second if second else float(s.boxes)
    failed = (
        s.top_share >= ALONE_TOP
        and lead >= ALONE_LEAD
        and dead >= ALONE_DEAD
        and effective <= ALONE_EFFECTIVE
    )
    return [
        Check(
            "spread",
            s.top_share,
            ALONE_TOP,
            failed,
            f"{s.top_share:.1%} of boxes in one class, {lead:.1f} × the next; {dead:.0%} of classes dead; "
            f"{s.effective_classes:.1f} effective classes of {s.classes} "
            f"(a collapse: at least {ALONE_TOP:.0%}, {ALONE_LEAD:.0f} times, {ALONE_DEAD:.0%}, "
            f"and at most {ALONE_EFFECTIVE:.0%} of them)",
        )
    ]
