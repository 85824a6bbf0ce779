"""The rows of a cleanup's lists, and the words in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from healtheat.cleanup.edits import box_line
from healtheat.core.drop import DEFAULT_DROP, Drop
from healtheat.core.errors import Argument, InputError, Part
from healtheat.core.verdicts import Place as Place

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
class PlacedBox:
    """A box that a person wants: one that is `missing`, or another place (`to_`) of one that is `there`.

    `line` is that of the box, -1 of a missing one. `written`: a copy has it; label files in place never do.
    """

    image: str
    line: int
    class_id: int
    class_name: str | None
    verdict: str
    cx: float | None
    cy: float | None
    w: float | None
    h: float | None
    to_cx: float
    to_cy: float
    to_w: float
    to_h: float
    label_file: str
    issue: str
    decided_by: str | None
    decided_at: str | None
    written: bool

    @property
    def to(self) -> Place:
        """Where the box should be."""
        return self.to_cx, self.to_cy, self.to_w, self.to_h


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

    `added` are boxes that its copy gets at the end, with their class ids, `moved` lines whose box gets
    another place there. `lines_out` are the 0-based lines (of COCO: annotations of the image) that go. `grey`
    are the places to grey out in a copy of the image, except where they overlap `visible`, the boxes that
    stay. `left_out` says why the whole image goes; "" where it stays.
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
    added: tuple[tuple[int, Place], ...] = ()
    moved: tuple[tuple[int, Place], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether its copy differs from the data set."""
        return bool(self.lines_out or self.grey or self.added or self.moved)

    @property
    def new_lines(self) -> tuple[str, ...]:
        """The label lines of `added`."""
        return tuple(box_line(class_id, place) for class_id, place in self.added)


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
