"""prelabel: propose boxes for images without labels by what an index knows, then vet them by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.paths import check_name, is_folder, normal
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.embedding import Encoder
from healtheat.index import Index
from healtheat.index.again import Again, group_rule_of
from healtheat.index.encoder import encoder_of
from healtheat.index.manifest import MANIFEST_NAME
from healtheat.sources.base import Edits, LabelledImage, Record
from healtheat.sources.detector.masks import MaskModel
from healtheat.vetting.open_batch import (
    VETTED_ROOT,
    batch_folder,
    check_replaced,
    same_folder,
    unlabelled_images,
)
from healtheat.vetting.propose import Proposer
from healtheat.vetting.report import VetReport
from healtheat.vetting.run import VetSettings, vet

CONF = 0.25  # least chance that an object is at a place


@dataclass(frozen=True)
class ProposedSource:
    """Images below `root` and the boxes proposed for them, as a source of a batch."""

    root: Path
    names: Mapping[int, str]
    images: Sequence[LabelledImage]
    problems: Sequence[Problem] = ()
    kind: str = "prelabel"
    edits: Edits = "none"

    @property
    def data(self) -> Path:
        """See Source."""
        return self.root

    def read(self) -> Iterator[Record]:
        """See Source. Images that could not be read are unlabelled."""
        yield from self.problems
        yield from self.images


def prelabel(
    images: Path | None,
    against: Path,
    *,
    to: Path | None = None,
    conf: float = CONF,
    proposals: MaskModel | None = None,
    settings: VetSettings | None = None,
    progress: Progress = silent,
    encoder: Encoder | None = None,
    again: Again | None = None,
) -> VetReport:
    """Propose boxes for the images below the folder `images`, and judge them by the index `against`.

    Without `images`: for those of the index's own data set that have no label file. The batch goes to the
    folder `to` (./vetted/NAME). `conf`: the least chance that an object is at a place. `proposals`: a model
    whose masks are more places to look at. Everything else as in `vet`. Raises InputError where the index has
    too few boxes to learn from or no image shows anything like them; BadIndex, IndexBusy, EncoderError.
    """
    settings, again = settings or VetSettings(), again or Again()
    if not 0 < conf < 1:
        raise InputError(Argument("conf"), f" {conf:g}: give a chance between 0 and 1, such as {CONF:g}")
    folder = _folder(images, against, to)
    with Index.open(against) as index:
        index.check_source()
        group_rule_of(index, again.group_by)
        source = _images_of(index) if images is None else _images_below(images, index.names)
        if (folder / MANIFEST_NAME).is_file():
            check_replaced(folder, source, named=to is not None)
        encoder = encoder or encoder_of(index, again.encoder)
        listing = settings.contents.listing([image.path for image in source.images], source.names)
        with nullcontext() if proposals is None else proposals.started() as masks:
            learned = Proposer.learn(index, encoder, conf, progress, masks=masks)
            found = learned.label(source.images, listing, progress)
    if not any(len(image.boxes) for image in found):
        raise InputError(
            f"{source.root}: nothing on {counted(len(found), 'image')} looks like the objects of {against}; "
            "a lower ",
            Argument("conf"),
            " proposes more",
        )
    source = ProposedSource(source.root, source.names, found, source.problems)
    return vet(source, against, folder, settings, progress, encoder=encoder, again=again)


def _folder(images: Path | None, against: Path, to: Path | None) -> Path:
    """Where the batch goes. Raises InputError where that is the index."""
    folder = batch_folder(images, to) if images is not None else to
    folder = folder or VETTED_ROOT / f"{against.absolute().name}-unlabelled"
    if same_folder(folder, against):
        raise InputError(f"{folder} is the index to judge by; give another folder with ", Argument("to"))
    return folder


def _images_below(folder: Path, names: Mapping[int, str]) -> ProposedSource:
    check_name(folder)
    if not is_folder(folder):
        raise InputError(f"{folder}: no such folder; give the folder of the images")
    root = normal(folder)
    images, problems = unlabelled_images(root)
    if not images:
        raise InputError(f"{folder}: no image in it; give the folder of the images")
    return ProposedSource(root, dict(names), images, problems)


def _images_of(index: Index) -> ProposedSource:
    """The images of an index that have no label file and are what they were."""
    nothing = Boxes.of([], [], np.empty((0, 4)))
    images: list[LabelledImage] = []
    problems: list[Problem] = []
    query = "SELECT image_id, path, split FROM images WHERE status = 'unlabelled' ORDER BY image_id"
    for row in index.sql(query).to_pylist():
        path, image_id = row["path"], row["image_id"]
        try:
            index.image_bytes(image_id)
        except InputError as error:
            problems.append(Problem(ProblemCode.UNREADABLE_IMAGE, path, None, str(error), path))
            continue
        images.append(
            LabelledImage(path, index.image_file(image_id), row["split"], "unlabelled", "", nothing)
        )
    if not images:
        raise InputError(
            f"{index.path}: every image of its data set has a label file; name a folder of images to label"
        )
    return ProposedSource(Path(index.manifest.source.root), dict(index.names), images, problems)
