"""The rows of a cleanup's lists, and the words in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from healtheat.core.drop import DEFAULT_DROP, Drop
from healtheat.core.errors import Argument, InputError, Part

Place = tuple[float, float, float, float]  # centre x, y, width, height as shares of the upright image
# What a cleanup is for. labels: cleaned labels, where nothing goes but what somebody decided on; training:
# lists to train on, where everything that is in doubt is left out, since nothing is lost by that.
Goal = Literal["labels", "training"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out, and why: a box (a label line), a place without one that is greyed out, or an image.

    One row for each place, by its leading finding; `also` names the other issues that spoke against it.

    `line` is 0-based, -1 for a finding about no line; `line`, `class_id`, `score` and `status` are None, and
    `issue` is "", where no finding decided it. `status` is confirmed (by a person) or flagged.
    """

    image: str
    line: int | None
    class_id: int | None
    class_name: str | None
    label_file: str
    left_out: Literal["box", "place", "image"]
    issue: str
    also: str
    score: float | None
    status: str | None
    decided_by: str | None
    decided_at: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Relabel:
    """A class that a person wants for a box: advice. The label file keeps `class_id`."""

    image: str
    line: int | None
    class_id: int | None
    class_name: str | None
    relabel_to: int
    relabel_name: str | None
    label_file: str
    cx: float | None
    cy: float | None
    w: float | None
    h: float | None
    issue: str
    decided_by: str | None
    decided_at: str | None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What the verdicts or flags would take out, and why it stays."""

    image: str
    line: int | None
    class_id: int | None
    label_file: str
    issue: str
    why: str


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image of the data set and what becomes of it. Paths as in the index.

    `lines_out` are the 0-based lines (of COCO: annotations of the image) that go. `grey` are the places to
    grey out in a copy of the image, except where they overlap `visible`, the boxes that stay. `left_out` says
    why the whole image goes; "" where it stays.
    """

    path: str
    file: str
    split: str
    label_path: str
    sha256: str
    lines_out: frozenset[int] = frozenset()
    left_out: str = ""
    grey: tuple[Place, ...] = ()
    visible: tuple[Place, ...] = ()


def drop_for(given: Drop | None, edits: str, *, in_place: bool = False) -> Drop:
    """`given`, or the default: `DEFAULT_DROP`, and boxes where that cannot be done.

    `edits` says how label files of the data set are edited (see sources/base.py). Raises InputError for what
    is no mode, or cannot be done.
    """
    if given is not None and given not in get_args(Drop):
        raise InputError(f"drop {given!r}: choose from {', '.join(get_args(Drop))}")
    drop: Drop = given or DEFAULT_DROP
    if drop == "boxes":
        return drop
    why: tuple[Part, ...] = ()
    if edits != "lines":
        why = (
            Argument("drop", drop),
            " works for YOLO data sets only; take ",
            Argument("drop", "boxes"),
        )
    elif in_place and drop == "mask":
        why = (
            Argument("in_place"),
            " changes label files and never an image, so nothing can be greyed out: write a copy with ",
            Argument("to", "DIR"),
            ", or take ",
            Argument("drop", "boxes"),
        )
    if why and given is not None:
        raise InputError(*why)
    return "boxes" if why else drop
