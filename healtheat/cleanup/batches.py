"""What a cleanup makes of batches that were added to an index: YOLO ones go along, others are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from healtheat.cleanup.rows import PlannedImage
from healtheat.cleanup.yolo_set import YoloSet
from healtheat.core.errors import Argument, InputError
from healtheat.index import Index
from healtheat.index.batches import Batch, batches_of, names_of

TRAIN = "train"


def check_batches(index: Index, edits: str) -> None:
    """Raises InputError, which names the batch, where the label files of one cannot be cleaned with the rest.

    That needs YOLO label files (`edits` "lines") on both sides, and a batch that holds all boxes in its own.
    """
    for batch in batches_of(index):
        if why := _why_not(batch, edits):
            out = f"take it out first (`healtheat remove {batch.name}`)"
            raise InputError(f"{index.path}: batch {batch.name}: {why}; {out}")


def check_in_place(index: Index) -> None:
    """Raises InputError where there are batches: their label files are not those of the data set."""
    if batches := batches_of(index):
        raise InputError(
            f"{index.path} holds {names_of(batches)}, whose label files lie elsewhere, so the data set "
            "cannot be changed in place; write a copy with ",
            Argument("to", "DIR"),
            " or take what was added out first (`healtheat remove`)",
        )


def _why_not(batch: Batch, edits: str) -> str:
    if edits != "lines":
        return "a cleanup of other label files than YOLO's takes no batch along"
    if batch.edits != "lines":
        return f"it was read from {batch.kind} and has no YOLO label files"
    if batch.left_out:
        return f"its label files hold {batch.left_out} more boxes, which were not accepted"
    return ""


def with_batches(index: Index, yolo: YoloSet, images: Sequence[PlannedImage]) -> YoloSet:
    """`yolo` whose splits name the images of batches too, in their order; one without a split joins train.

    Where the data set names no images of splits, nothing needs to be named.
    """
    rows = index.sql("SELECT path FROM images WHERE batch_id > 0")["path"].to_pylist()
    if not rows or not yolo.named:
        return yolo
    added = set(rows)
    named: Mapping[str, list[str]] = {split: list(paths) for split, paths in yolo.named.items()}
    more: dict[str, list[str]] = {split: [] for split in named}
    for image in images:
        if image.path in added:
            more.setdefault(image.split or TRAIN, []).append(image.path)
    return replace(yolo, named={split: [*named.get(split, []), *paths] for split, paths in more.items()})
