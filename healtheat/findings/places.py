"""Which findings are one question to a person: a place is one box, or one spot where a box is missing.

Several places become one where one answer settles them: two boxes of an image whose classes are exchanged,
and copies of one source (augmented copies, camera positions) with the same finding on the same object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from healtheat.core.boxes import NO_CLASS

# Which reason leads where two are about equally strong: the one that explains the others. A box on background
# has a wrong class as well, but giving it another class helps nobody.
_EXPLAINS = (
    "unreadable",
    "background",
    "duplicate",
    "bad_box",
    "mislabel",
    "unexpected_class",
    "missing_box",
    "low_quality",
    "outlier",
)
_ABOUT_EQUAL = 0.1  # difference of two scores
_ABOUT_CLASSES = ("mislabel", "unexpected_class")

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Copies:
    """What is the same on several images: box id → object, image id → source. Unknown ids stand alone."""

    objects: Mapping[int, int] = field(default_factory=dict)
    sources: Mapping[int, int] = field(default_factory=dict)


def units_of(rows: Columns) -> list[int]:
    """A number per row, equal for the rows about one box; a row about no box is a unit of its own."""
    numbers: dict[tuple[int, int], int] = {}
    return [
        numbers.setdefault((box, at if box < 0 else -1), len(numbers))
        for at, box in enumerate(rows["box_id"])
    ]


def leading(rows: Columns, among: Iterable[int], units: Sequence[int]) -> dict[int, int]:
    """Unit → the row `among` these with its strongest reason; units without such a row are left out."""
    of_unit: defaultdict[int, list[int]] = defaultdict(list)
    for at in among:
        of_unit[units[at]].append(at)
    score, issue = rows["score"], rows["issue"]
    found = {}
    for unit, members in of_unit.items():
        least = max(score[at] for at in members) - _ABOUT_EQUAL
        near = [at for at in members if score[at] >= least]
        found[unit] = min(near, key=lambda at: (_EXPLAINS.index(issue[at]), -score[at], at))
    return found


def exchanged(rows: Columns, leaders: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of leading rows about classes, on one image: each box should have the class of the other.

    A box is in one pair at most; pairs are made in the order of the rows.
    """
    waiting: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    pairs = []
    for at in sorted(leaders):
        if rows["box_id"][at] < 0 or rows["issue"][at] not in _ABOUT_CLASSES:
            continue
        image, own, other = rows["image_id"][at], rows["class_id"][at], rows["suggestion"][at]
        if other == NO_CLASS or own == other:
            continue
        partners = waiting[image, other, own]
        if partners:
            pairs.append((partners.pop(0), at))
        else:
            waiting[image, own, other].append(at)
    return pairs


def place_ids(
    rows: Columns, units: Sequence[int], leaders: Mapping[int, int], copies: Copies
) -> tuple[list[int], list[tuple[int, int]]]:
    """A number per row, equal for the rows of one place, and the `exchanged` pairs among the leaders.

    Places are numbered from 0 in the order of the rows.
    """
    parent = list(range(max(units, default=-1) + 1))

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    pairs = exchanged(rows, leaders.values())
    for one, other in pairs:
        parent[root(units[other])] = root(units[one])
    first: dict[tuple[Any, ...], int] = {}
    seen: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    for at in sorted(leaders.values()):
        key = _copy_key(rows, at, copies)
        if key is None:
            continue
        if (
            rows["box_id"][at] < 0
        ):  # of two pills missing on one image the first belongs to the first elsewhere
            on_image = (*key, rows["image_id"][at])
            seen[on_image] += 1
            key = (*key, seen[on_image])
        parent[root(units[at])] = root(units[first.setdefault(key, at)])
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(unit), len(numbers)) for unit in units], pairs


def _copy_key(rows: Columns, at: int, copies: Copies) -> tuple[Any, ...] | None:
    """What a leading row has in common with its like on copies of the source; None where it has no copies."""
    what = (rows["issue"][at], rows["class_id"][at], rows["suggestion"][at])
    box = rows["box_id"][at]
    if box >= 0:
        return ("object", copies.objects[box], *what) if box in copies.objects else None
    if rows["issue"][at] == "missing_box" and rows["cx"][at] is not None:
        return None  # each copy has its own place, which nobody can tell from another's
    image = rows["image_id"][at]
    if rows["issue"][at] == "missing_box" and image in copies.sources:
        return ("source", copies.sources[image], *what)
    return None
