"""One image: what its name lists against the boxes it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from healtheat.core.boxes import NO_CLASS
from healtheat.core.text import counted

MISSING, UNEXPECTED = "missing_box", "unexpected_class"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement between an image's name and its boxes.

    `box` is the place of the box among the image's boxes, -1 for a box that is missing; `class_id` is the
    class of the box, or the class that is missing. `listed` and `found`: how often the name lists that class,
    and how many lines have it. `score` is the share of such boxes that must be wrong if the name is right:

    - a class that the name does not list: 1;
    - boxes of a class that has too many: (found - listed) / found each, since the name cannot say which;
    - a missing box: (missing - unreadable - others) / missing, where lines of unknown class could not be read
      and boxes of other classes may be it, wrongly labelled: these are told once, as unexpected.
    """

    issue: str
    box: int
    class_id: int
    listed: int
    found: int
    score: float
    suggestion: int


def compare(
    listed: Mapping[int, int],
    class_ids: Sequence[int],
    *,
    broken: Sequence[int] = (),
    complete: bool = True,
) -> list[Mismatch]:
    """All disagreements on one image: missing boxes by class id, then superfluous ones in box order.

    `listed`: class id → how often the name lists it. `broken`: the classes of lines that could not be read,
    NO_CLASS where even that is unknown: such a line is no box, but the pill it stands for is not overlooked
    either. `complete` is False where the name also lists codes without a class. A box too many gets the
    missing class as its suggestion where only one class is missing and nothing else could be meant.
    """
    boxes = Counter(class_ids)
    found = boxes + Counter(c for c in broken if c != NO_CLASS)
    missing = {c: n - found[c] for c, n in sorted(listed.items()) if n > found[c]}
    total, unknown = sum(missing.values()), sum(c == NO_CLASS for c in broken)
    others = sum((boxes - Counter(listed)).values())
    score = max(0.0, (total - unknown - others) / total) if total else 0.0
    result = []
    if score > 0:
        for class_id, n in missing.items():
            row = Mismatch(MISSING, -1, class_id, listed[class_id], found[class_id], score, NO_CLASS)
            result += [row] * n
    suggestion = next(iter(missing)) if len(missing) == 1 and complete and not unknown else NO_CLASS
    for box, class_id in enumerate(class_ids):
        expected = listed.get(class_id, 0)
        if boxes[class_id] > expected:
            score = (boxes[class_id] - expected) / boxes[class_id]
            result.append(Mismatch(UNEXPECTED, box, class_id, expected, boxes[class_id], score, suggestion))
    return result


def reason(mismatch: Mismatch, name: str) -> str:
    """The finding in words, `name` being the class's."""
    if mismatch.issue == MISSING:
        boxes = f"{mismatch.found} of them boxed" if mismatch.found else "no box has that class"
        return f"the image's name lists {mismatch.listed} × {name}; {boxes}"
    if not mismatch.listed:
        return f"the image's name does not list {name}"
    has = counted(mismatch.found, "box has", "boxes have")
    return f"the image's name lists {mismatch.listed} × {name}; {has} that class"
