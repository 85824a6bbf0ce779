"""The rows of a cleanup's lists, and the words in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Drop = Literal["boxes", "images"]  # what goes for a box: its line alone, or the whole image
# What a cleanup is for. labels: cleaned labels, where nothing goes but what somebody decided on; training:
# lists to train on, where everything that is in doubt is left out, since nothing is lost by that.
Goal = Literal["labels", "training"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out, and why: a box (a label line) or a whole image, one row for each finding.

    `line` is 0-based, -1 for a finding about no line; `line`, `class_id`, `score` and `status` are None, and
    `issue` is "", where no finding decided it. `status` is confirmed (by a person) or flagged.
    """

    image: str
    line: int | None
    class_id: int | None
    class_name: str | None
    label_file: str
    left_out: Literal["box", "image"]
    issue: str
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

    `lines_out` are the 0-based lines (of COCO: annotations of the image) that go. `left_out` says why the
    whole image goes; "" where it stays.
    """

    path: str
    file: str
    split: str
    label_path: str
    sha256: str
    lines_out: frozenset[int] = frozenset()
    left_out: str = ""
