"""Is the batch as a whole fit to be judged? The guard's checks, and its class shares against the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.core.text import counted, shown
from healtheat.guarding.judge import MIN_BOXES
from healtheat.guarding.report import Check, GuardReport
from healtheat.guarding.run import guard
from healtheat.guarding.shares import Shares, shares

SINK_GROWTH = 0.5  # of all boxes, that one class gains beside its share in the index
EFFECTIVE_KEPT = 1 / 3  # effective classes, batch / index


def check_names(batch: Mapping[int, str], index: Mapping[int, str], index_path: Path) -> None:
    """Raises InputError where one class id has two names: then ids do not mean the same."""
    for class_id, name in sorted(batch.items()):
        there = index.get(class_id)
        plain = {"", str(class_id), f"class {class_id}"}
        if there is not None and there != name and not {there, name} & plain:
            raise InputError(
                f"class {class_id} is {shown(name)} in the batch and {shown(there)} in {index_path}: class "
                "ids must mean the same in both"
            )


def collapse_of(data: Path, *, rule: str, classes: Path | None) -> GuardReport | None:
    """What the guard says of the labels of `data`, before an image is read, where a check of its fails."""
    try:
        guarded = guard(data, rule=rule, classes=classes)
    except InputError:
        return None  # the build says what is wrong, if anything is
    return guarded.report if guarded.collapse else None


def check_shares(
    class_id: Sequence[int], index: Mapping[int, int], names: Mapping[int, str]
) -> tuple[Check, ...]:
    """Failed checks of how the boxes of a batch spread over classes; `index` has the boxes of each class.

    A batch may hold one product alone. A collapse is told from it by what is left of the others: one class
    has gained half of all boxes, and many are still there beside it.
    """
    new, old = shares(Counter(class_id), index), shares(index)
    if new.boxes < MIN_BOXES or not old.boxes or new.alive < 2:
        return ()
    top = new.top_class
    gain = new.top_share - old.counts.get(top, 0) / old.boxes
    kept = new.effective_classes / old.effective_classes
    failed = gain > SINK_GROWTH and kept < EFFECTIVE_KEPT and _scattered(new)
    if not failed:
        return ()
    name = names.get(top, str(top))
    text = (
        f"{new.top_share:.0%} of {counted(new.boxes, 'box')} are {name}, {gain:.0%} more than in the index; "
        f"effective classes: {new.effective_classes:.1f}, {old.effective_classes:.1f} in the index"
    )
    return (Check("sink", gain, SINK_GROWTH, True, text),)


def _scattered(new: Shares) -> bool:
    """Whether at least a fifth of the boxes lie in many other classes."""
    return new.alive >= 4 and new.top_share <= 0.95
