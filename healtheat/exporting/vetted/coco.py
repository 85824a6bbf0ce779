"""A vetted batch as three COCO files, by what may be done with their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from healtheat.exporting.coco import write_coco
from healtheat.exporting.handoff import HandBox, HandImage, gather
from healtheat.exporting.vetted.gather import HELD, PARTLY, WHOLE, Vetted, VettedBox
from healtheat.findings.filters import Filters
from healtheat.vetting.batch import HELD_AS


def write_files(given: Vetted, accepted: Path, partly: Path, held: Path) -> None:
    """Write the images with every box accepted, the accepted boxes of other images, and the held boxes.

    Ids, categories and attributes are as `write_coco` has them; `score` and `reason` are those of the
    decision.
    """
    every = gather(given.index, Filters(flagged_only=False))
    by_id = {image.image_id: image for image in every.images}
    for part, to in ((WHOLE, accepted), (PARTLY, partly), (HELD, held)):
        images = [
            _image(by_id[image.image_id], boxes)
            for image, boxes in given.part(part)
            if image.image_id in by_id
        ]
        write_coco(replace(every, images=images), to)


def _image(image: HandImage, boxes: Sequence[VettedBox]) -> HandImage:
    decided = {box.box_id: box.decision for box in boxes}
    mine = [_box(box, decided[box.box_id]) for box in image.boxes if box.box_id in decided]
    return replace(image, boxes=mine)


def _box(box: HandBox, decision: Any) -> HandBox:
    found = {name: decision[name] for name in ("score", "reason", "suggestion")}
    why = decision["held_for"]
    return replace(box, finding=found, issues=(HELD_AS.get(why, why),) if why else ())
