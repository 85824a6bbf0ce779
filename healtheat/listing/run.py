"""The comparison of labels with image names, over files."""

from __future__ import annotations

from pathlib import Path

from healtheat.listing.check import ContentsReport, check, listing
from healtheat.listing.classes import read_classes
from healtheat.listing.rule import open_rule
from healtheat.sources.label_set import read_label_set


def contents(data: Path, *, rule: str = "aihub", classes: Path | None = None) -> ContentsReport:
    """What the names of the images of `data` list, against their labels. No image is read.

    `rule` says how a name lists what is on the image (see `open_rule`), `classes` is a CSV of codes.
    InputError where something cannot be read, or no name follows the rule.
    """
    reader = open_rule(rule)
    known = read_classes(classes, reader) if classes else None
    labels = read_label_set(data, names=known.names if known else None, image_suffix=reader.image_suffix)
    return check(labels, listing(labels.images, labels.names, reader, known))
