"""The guard over files: reads the labels and what the images' names list, and judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from healtheat.core.boxes import Problem
from healtheat.core.errors import Argument, InputError
from healtheat.guarding.judge import judge
from healtheat.guarding.report import GuardReport
from healtheat.listing import AIHUB, Listing, detect, listing, open_rule, read_classes
from healtheat.sources.label_set import LabelSet, read_label_set, takes_names


@dataclass(frozen=True, slots=True)
class Guarded:
    """The guard's `report`, and the `problems` of the files that were read, by path.

    `codes_unused`: the images' names look like AI Hub's, but no class is known for their codes.
    """

    report: GuardReport
    problems: dict[Path, tuple[Problem, ...]]
    codes_unused: bool

    @property
    def collapse(self) -> bool:
        """Whether any check failed."""
        return self.report.verdict == "collapse"


def guard(
    proposed: Path,
    against: Path | None = None,
    *,
    rule: str = "auto",
    classes: Path | None = None,
    names: Path | None = None,
) -> Guarded:
    """Judge the labels in `proposed`, beside those in `against` where given.

    `rule` says how an image's name lists what is on it (see `open_rule`), or is "none", or "auto": AI Hub's
    names where nearly all follow them and class ids can be told. `classes` is a CSV of codes, `names` a file
    with the class names in order of their ids, for labels that know classes by name. InputError where
    something cannot be read or there is nothing to judge.
    """
    if names is not None and not (takes_names(proposed) or (against and takes_names(against))):
        raise InputError(Argument("names"), f": the labels of {proposed} know their class ids; leave it out")
    reader = AIHUB if rule in ("auto", "none") else open_rule(rule)
    known = read_classes(classes, reader) if classes else None
    given = known.names if known else None
    suffix = reader.image_suffix
    new = read_label_set(proposed, names=given, image_suffix=suffix, against=against, names_file=names)
    old = read_label_set(against, names=given, image_suffix=suffix, names_file=names) if against else None
    what: Listing | None = None
    if rule == "auto":
        what = detect(new.images, new.names, known)
    elif rule != "none":
        what = listing(new.images, new.names, reader, known)
    read = [(proposed, new), *([(against, old)] if against and old else [])]
    return Guarded(
        report=judge(new, old, what.listed if what else None),
        problems={path: tuple(labels.problems) for path, labels in read if labels.problems},
        codes_unused=rule == "auto" and what is None and _looks_like_aihub(new),
    )


def _looks_like_aihub(labels: LabelSet) -> bool:
    return bool(labels.images) and AIHUB.codes(labels.images[0]) is not None
