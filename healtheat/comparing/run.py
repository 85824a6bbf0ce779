"""`diff` as one call."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from healtheat.comparing.changes import KINDS, compare
from healtheat.comparing.classes import Matching, match_classes
from healtheat.comparing.match import ImagePairs, pair_paths
from healtheat.comparing.settled import STATES, settle
from healtheat.comparing.sides import Side, read_side, takes_names
from healtheat.core.boxes import Problem
from healtheat.core.errors import Argument, InputError
from healtheat.core.text import counted
from healtheat.index import Index

NO_INDEX = "new findings need an index of it; run `healtheat build` on it and compare the two indexes"
TOLERANCE = 0.001  # share of the image: a pixel of 1,000, which tools round to


@dataclass(frozen=True, slots=True)
class DiffReport:
    """What changed between two versions of labels.

    `changes` has the columns of `changes.CHANGES_SCHEMA`, one row for each change of a box on an image that
    both have; `findings` those of `settled.FINDINGS_SCHEMA`, None where the old version is no index.
    `only_old` and `only_new` are images that the other lacks, `unclear` those of `only_old` whose file name
    several images have. `same` counts boxes without a change, `rounded` those of them whose place differs by
    less than `tolerance`. `problems` are those of reading the new version.
    """

    old: str
    new: str
    matched_by: str  # id or name
    notes: tuple[str, ...]
    tolerance: float
    images: int
    renamed: int  # images of another path
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    unclear: tuple[str, ...]
    same: int
    rounded: int
    changes: pa.Table
    findings: pa.Table | None
    knows_new: bool  # whether `findings` holds new ones: both versions are indexes
    problems: tuple[Problem, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind → changes, every kind."""
        found = Counter(self.changes["kind"].to_pylist())
        return {kind: found[kind] for kind in KINDS}

    @property
    def states(self) -> dict[str, int]:
        """State → findings; without `new` where nobody knows it, {} where the old version is no index."""
        if self.findings is None:
            return {}
        found = Counter(self.findings["state"].to_pylist())
        return {state: found[state] for state in STATES if state != "new" or self.knows_new}

    @property
    def unasked(self) -> int:
        """Changes that no finding and no verdict asked for; 0 where the old version is no index."""
        return sum(asked is False for asked in self.changes["asked_for"].to_pylist())

    @property
    def undone(self) -> int:
        """Verdicts that nothing was done about."""
        rows = [] if self.findings is None else self.findings.select(["state", "status"]).to_pylist()
        return sum((row["state"], row["status"]) == ("open", "confirmed") for row in rows)

    @property
    def gates(self) -> dict[str, int]:
        """What a gate may ask for → how many there are."""
        images = {"image-added": len(self.only_new), "image-removed": len(self.only_old)}
        more = (
            {} if self.findings is None else {**self.states, "undone": self.undone, "unasked": self.unasked}
        )
        return {**self.counts, **images, **more}

    def by_class(self) -> dict[str, dict[str, int]]:
        """Class → kind → changes; a relabelled box counts for the class that it had."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in self.changes.to_pylist():
            prefix = "new_" if row["class_id"] is None else ""
            found[f"{row[f'{prefix}class_id']} {row[f'{prefix}class_name']}".strip()][row["kind"]] += 1
        return {name: dict(kinds) for name, kinds in sorted(found.items())}

    def by_image(self) -> dict[str, dict[str, int]]:
        """Image (its path in the old version) → kind → changes."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for image, kind in zip(
            self.changes["image"].to_pylist(), self.changes["kind"].to_pylist(), strict=True
        ):
            found[image][kind] += 1
        return {image: dict(kinds) for image, kinds in found.items()}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: everything."""
        return {
            "old": self.old,
            "new": self.new,
            "matched_by": self.matched_by,
            "notes": list(self.notes),
            "images": {
                "compared": self.images,
                "renamed": self.renamed,
                "only_old": list(self.only_old),
                "only_new": list(self.only_new),
                "unclear": list(self.unclear),
            },
            "boxes": {"same": self.same, "rounded": self.rounded, **self.counts},
            "by_class": self.by_class(),
            "by_image": self.by_image(),
            "findings_by_state": self.states,
            "knows_new": self.knows_new,
            "undone": self.undone,
            "unasked": self.unasked,
            "changes": self.changes.to_pylist(),
            "findings": [] if self.findings is None else self.findings.to_pylist(),
            "problems": [
                {"code": p.code, "file": p.file, "line": p.line, "reason": p.reason} for p in self.problems
            ],
        }


def diff(
    old: Index | str | os.PathLike[str],
    new: Index | str | os.PathLike[str],
    *,
    classes: Matching = "auto",
    tolerance: float = TOLERANCE,
    names: Path | None = None,
) -> DiffReport:
    """Compare two versions of labels; either may be an index. Nothing is written.

    `names` is a file with the class names in order of their ids, for labels that know classes by name.

    Raises InputError where one cannot be read, where they share no image, or where nobody can tell which
    class is which; BadIndex.
    """
    if classes not in get_args(Matching):
        raise InputError(Argument("classes", classes), f": choose from {', '.join(get_args(Matching))}")
    if not 0 <= tolerance < 1:
        raise InputError(Argument("tolerance"), f" {tolerance}: a share of the image, from 0 to 1")
    if names is not None and not (takes_names(old) or takes_names(new)):
        raise InputError(Argument("names"), ": both versions know their class ids; leave it out")
    with ExitStack() as stack:
        before, after = read_side(old, stack, names), read_side(new, stack, names)
        return _compared(before, after, classes, tolerance)


def _compared(before: Side, after: Side, matching: Matching, tolerance: float) -> DiffReport:
    old, new = before.labels, after.labels
    images = pair_paths(old.images, new.images)
    if not (images.partner >= 0).any():
        first = [paths[0] if paths else "no image" for paths in (old.images, new.images)]
        raise InputError(f"no image in common: {before.name} has {first[0]}, {after.name} has {first[1]}")
    named = before.is_named and after.is_named
    matched = match_classes(old.names, new.names, matching, named=named)
    compared = compare(old, new, images, matched, tolerance)
    findings = settle(before, after, images, matched, compared)
    notes = list(matched.notes)
    if compared.crowded:
        notes.append(
            f"{counted(compared.crowded, 'image has', 'images have')} too many boxes to look at every pair"
        )
    only_old, only_new = _left(images, old.images, new.images)
    return DiffReport(
        old=before.name,
        new=after.name,
        matched_by=matched.by,
        notes=tuple(notes),
        tolerance=tolerance,
        images=int((images.partner >= 0).sum()),
        renamed=images.renamed,
        only_old=only_old,
        only_new=only_new,
        unclear=tuple(old.images[n] for n in sorted(images.unclear)),
        same=compared.same,
        rounded=compared.rounded,
        changes=compared.table(),
        findings=findings,
        knows_new=findings is not None and after.index is not None,
        problems=new.problems,
    )


def _left(images: ImagePairs, old: tuple[str, ...], new: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    taken = set(images.partner.tolist())
    return (
        tuple(old[n] for n in np.flatnonzero(images.partner < 0)),
        tuple(path for n, path in enumerate(new) if n not in taken),
    )


def check_gates(report: DiffReport, wanted: Sequence[str]) -> dict[str, int]:
    """The gates of `wanted` that are not met, with their counts. Raises InputError for one that is none."""
    failed = {}
    for name in wanted:
        if name == "new" and report.findings is not None and not report.knows_new:
            raise InputError(f"{report.new}: {NO_INDEX}")
        if name not in report.gates:
            raise InputError(
                f"no {name!r} to fail on; choose from {', '.join(report.gates)}"
                + ("" if report.findings is not None else " (findings need an index as the old version)")
            )
        if report.gates[name]:
            failed[name] = report.gates[name]
    return failed
