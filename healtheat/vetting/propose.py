"""Boxes with classes for images without labels: what an index knows of places and classes, on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy.special import expit

from healtheat.core.boxes import Boxes, xyxy_to_xywh
from healtheat.core.errors import ImageError, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.progress import Progress, silent
from healtheat.crops import CropPolicy, cut_and_measure, open_image
from healtheat.embedding import Encoder
from healtheat.findings.inputs import samples_of
from healtheat.index import Index
from healtheat.index.store import MAX_IMAGE_BYTES
from healtheat.listing import Listing
from healtheat.signals.detector.rates import Plateau, plateau
from healtheat.signals.regions.classes import Classes
from healtheat.signals.regions.masks import MaskBoxes
from healtheat.signals.regions.search import ON, Search, clear, too_few
from healtheat.sources.base import LabelledImage

_NONE = Boxes.of([], [], np.empty((0, 4)))


@dataclass(frozen=True, slots=True)
class Proposer:
    """What was learned from the labelled images of an index. `rates`: what a logit of the search is worth."""

    search: Search
    rates: Plateau
    classes: Classes
    policy: CropPolicy
    encoder: Encoder
    conf: float

    @classmethod
    def learn(
        cls,
        index: Index,
        encoder: Encoder,
        conf: float,
        progress: Progress = silent,
        seed: int = 0,
        *,
        masks: MaskBoxes | None = None,
    ) -> Proposer:
        """From `index`, opened, with its own `encoder`; `conf` is the least chance of a place, `masks` finds
        more places.

        Raises InputError where there is too little to learn from.
        """
        samples = samples_of(index)
        if why := too_few(samples):
            raise InputError(f"{index.path}: {why}; label more images and build it again")
        assert samples.pixels is not None
        search = Search(samples, samples.pixels, progress, seed, outside=True, masks=masks)
        found = search.run(search.taught)
        if not found:
            raise InputError(
                f"{index.path}: objects cannot be told from the rest of its images; label more images, and "
                "check that its data set is where it was"
            )
        overlap = np.concatenate([one.overlap for one in found.values()])
        logit = np.concatenate([one.logit for one in found.values()])
        told = clear(overlap)
        rates = plateau(overlap[told] >= ON, expit(logit[told]))
        policy = CropPolicy.model_validate(index.manifest.crop_policy)
        return cls(search, rates, Classes.of(samples), policy, encoder, conf)

    def label(
        self, images: Sequence[LabelledImage], listing: Listing | None, progress: Progress = silent
    ) -> list[LabelledImage]:
        """The same images with the boxes proposed for them; one that cannot be read stays as it is.

        `listing`: what their names list, which the likeliest places are taken for. Raises EncoderError.
        """
        out = []
        for row, record in enumerate(images):
            progress("prelabel: images", row, len(images))
            image = _read(record)
            if image is not None:
                boxes = self.boxes(image, {} if listing is None else listing.listed[row] or {})
                record = replace(record, status="labelled" if len(boxes) else "empty", boxes=boxes)
            out.append(record)
        progress("prelabel: images", len(images), len(images))
        return out

    def boxes(self, image: Image.Image, listed: Mapping[int, int]) -> Boxes:
        """Boxes on an upright RGB image, likeliest first; `confidence` is the chance that an object is there.

        Each has the likeliest class, however likely that is. `listed`: class id → how many there should be.
        """
        one = self.search.outside(np.asarray(image))
        chance = self.rates.usual(expit(one.logit))
        sides = one.xyxyn[:, 2:] - one.xyxyn[:, :2]
        kept = np.flatnonzero((chance >= self.conf) & (sides > 0).all(axis=1))
        kept = kept[np.argsort(-chance[kept], kind="stable")]
        if not len(kept):
            return _NONE
        xywhn = xyxy_to_xywh(one.xyxyn[kept])
        crops, _ = cut_and_measure(image, xywhn, self.policy, self.encoder.spec.resolution_px)
        class_id = self.classes.likeliest(self.encoder.encode(crops), listed, least=0.0).class_id
        return Boxes.of(np.arange(len(kept)), class_id, xywhn, chance[kept])


def _read(record: LabelledImage) -> Image.Image | None:
    """The image, or None; the build of the batch reads it again and tells why."""
    try:
        return open_image(read_small(record.file, MAX_IMAGE_BYTES).data, record.path)
    except (Unreadable, ImageError):
        return None
