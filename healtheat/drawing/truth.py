"""The kinds of planted errors, and the file that lists them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("kind", "image", "line", "true_class", "given_class", "twin")
# What each kind is, and the issues that name it rightly.
KINDS: dict[str, tuple[str, frozenset[str]]] = {
    "flips": ("class id of any other product", frozenset({"mislabel", "unexpected_class"})),
    "confuse": ("class id of a look-alike", frozenset({"mislabel", "unexpected_class"})),
    "swap": ("two boxes of one image have exchanged their class ids", frozenset({"mislabel"})),
    "whole_image": ("box around the whole image", frozenset({"bad_box"})),
    "shifted": ("box moved off its pill", frozenset({"bad_box", "background", "outlier"})),
    "missing": ("pill without a box", frozenset({"missing_box"})),
    "spurious": ("box on bare ground", frozenset({"background", "bad_box", "outlier", "unexpected_class"})),
    "duplicate_box": ("second box on one pill", frozenset({"duplicate"})),
    "duplicate_image": ("copy of an image under another name, in the other split", frozenset({"duplicate"})),
    "blurred": ("pill out of focus: a view to sort by, not flagged", frozenset({"low_quality", "outlier"})),
    "broken_line": ("label line that cannot be read", frozenset({"unreadable"})),
    "truncated_image": ("image file cut short", frozenset({"unreadable"})),
}
# No label is wrong there: such an image is a hint, so nobody is asked about it and nothing is missed.
HINTED = frozenset({"blurred"})


@dataclass(frozen=True, slots=True)
class Truth:
    """One planted error. `line` is the 0-based line in the noisy label file, -1 where no line is left.

    `twin` names the innocent other half of a duplicate: an image, or `image#line` for a box.
    """

    kind: str
    image: str
    line: int
    true_class: int | None = None
    given_class: int | None = None
    twin: str = ""


def write_truth(path: Path, rows: Iterable[Truth]) -> None:
    """Write truth.csv: kind,image,line,true_class,given_class,twin; UTF-8, "\\n" line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for r in rows:
            classes = ("" if c is None else c for c in (r.true_class, r.given_class))
            out.writerow((r.kind, r.image, r.line, *classes, r.twin))


def read_truth(path: Path) -> list[Truth]:
    """The rows of a truth.csv; the column `twin` may be absent."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Truth(
                r["kind"],
                r["image"],
                int(r["line"]),
                int(r["true_class"]) if r["true_class"] else None,
                int(r["given_class"]) if r["given_class"] else None,
                r.get("twin") or "",
            )
            for r in csv.DictReader(file)
        ]
