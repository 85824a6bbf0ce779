"""A vetted batch as its writers need it: images in three parts, each box with its decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from healtheat.core.errors import InputError
from healtheat.index.decisions import accepted_boxes
from healtheat.vetting.tables import listed, sound_images

if TYPE_CHECKING:
    import pyarrow as pa

    from healtheat.index import Index

# The parts of a batch, by the names of their files and folders.
WHOLE, PARTLY, HELD = "whole", "partly", "held"


@dataclass(frozen=True, slots=True)
class VettedBox:
    """A box and what was decided on it: `decision` is its row of `vetting.tables.listed`."""

    box_id: int
    line: int
    class_id: int
    xywhn: tuple[float, float, float, float]
    corners: Any  # (k, 2) float64 as shares of the image, None of an upright box
    accepted: bool
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VettedImage:
    """An image and its boxes; paths as in the catalog. `sound`: no box is missing and there is no problem."""

    image_id: int
    path: str
    file: str
    split: str
    label_path: str
    sha256: str
    boxes: tuple[VettedBox, ...]
    sound: bool

    @property
    def whole(self) -> bool:
        """Whether it can be trained on as it is."""
        return self.sound and all(box.accepted for box in self.boxes)


@dataclass(frozen=True, slots=True)
class Vetted:
    """A batch that was judged, as its index has it. `rows` are those of `vetting.tables.listed`."""

    index: Index
    images: tuple[VettedImage, ...]
    rows: pa.Table

    def part(self, name: str) -> list[tuple[VettedImage, tuple[VettedBox, ...]]]:
        """The images of a part, each with its boxes in it.

        whole: images that can be trained on as they are. partly: other images with an accepted box, with
        the accepted boxes alone. held: images with a held box, with the held boxes alone.
        """
        if name == WHOLE:
            return [(image, image.boxes) for image in self.images if image.whole]
        wanted = name == PARTLY
        parts = [
            (image, tuple(box for box in image.boxes if box.accepted is wanted))
            for image in self.images
            if not image.whole
        ]
        return [(image, boxes) for image, boxes in parts if boxes]


def gather_vetted(index: Index) -> Vetted:
    """The decisions of `index`, and what people said of its boxes since.

    Raises InputError where nobody judged its boxes, or label files changed since.
    """
    rows = listed(index)
    if not rows.num_rows:
        raise InputError(f"{index.path}: nobody judged its boxes; `healtheat vet` makes such an index")
    if changed := index.changed_label_files():
        raise InputError(f"{changed[0]} changed since it was vetted; vet it again")
    decided = {row["box_id"]: row for row in rows.to_pylist()}
    accepted = set(accepted_boxes(index).tolist())
    boxes = index.boxes()
    of_image: defaultdict[int, list[VettedBox]] = defaultdict(list)
    for at, box_id in enumerate(boxes.box_id.tolist()):
        row = decided[box_id]
        of_image[int(boxes.image_id[at])].append(
            VettedBox(
                box_id=box_id,
                line=row["line"],
                class_id=row["class_id"],
                xywhn=(row["cx"], row["cy"], row["w"], row["h"]),
                corners=boxes.corners[at],
                accepted=box_id in accepted,
                decision=row,
            )
        )
    sound = set(sound_images(index))
    columns = "image_id, path, file, split, label_path, sha256"
    images = tuple(
        VettedImage(**row, boxes=tuple(of_image[row["image_id"]]), sound=row["image_id"] in sound)
        for row in index.sql(
            f"SELECT {columns} FROM images WHERE status <> 'unreadable' ORDER BY image_id"
        ).to_pylist()
    )
    return Vetted(index, images, rows)
