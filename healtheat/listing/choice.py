"""Which rule reads the names of images, as a user chose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from healtheat.listing.check import Listing, detect, listing
from healtheat.listing.classes import read_classes
from healtheat.listing.rule import AIHUB, open_rule

AUTO = "auto"


class ChosenRule:
    """The rule `rule`: `aihub`, a CSV file, a regular expression, or `auto`; `classes` is a CSV of codes.

    `auto` takes AI Hub's rule where at least 95 % of the names follow it and its codes lead to class ids, by
    `classes` (columns class_id and drug_code) or because class ids are AI Hub's category ids. Otherwise
    nothing is known. The files are read here, once; InputError where `rule` or `classes` cannot be used.
    """

    def __init__(self, rule: str = AUTO, classes: Path | None = None) -> None:
        if rule.lower().endswith(".csv"):
            rule = str(Path(rule).absolute())  # read again at the next scoring, from anywhere
        self.rule = rule
        self.classes = None if classes is None else classes.absolute()
        self._rule = None if rule == AUTO else open_rule(rule)
        self._classes = read_classes(self.classes, self._rule or AIHUB) if self.classes else None

    def listing(self, images: Sequence[str], names: Mapping[int, str]) -> Listing | None:
        """What the names of `images` (paths) list; None where `auto` finds no rule.

        InputError where no name follows a rule that was asked for, or no code leads to a class id.
        """
        if self._rule is None:
            return detect(images, names, self._classes)
        return listing(images, names, self._rule, self._classes)
