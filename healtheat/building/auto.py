"""`--encoder auto`: the encoder that puts boxes of one class together best, on a sample of this data.

Every candidate embeds the same sample. The measure is the share of a box's five nearest, on other sources,
that have its class; the default stays unless another one is above it by more than the noise. The vectors of
the sample go to the cache of the build, so that those of the chosen one are not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from healtheat.building.images import CropPlan, ReadImage, read_ahead
from healtheat.building.intake import Batcher
from healtheat.building.nearest import neighbours_elsewhere, paired_interval, shared_class
from healtheat.building.sampling import sample_images
from healtheat.core.boxes import Problem
from healtheat.core.errors import Argument, InputError
from healtheat.core.progress import Progress
from healtheat.crops import CropPolicy
from healtheat.crops.cut import CUTS, Cut
from healtheat.embedding import AUTO, Encoder, candidates, load_encoder
from healtheat.index.cache import VectorPool
from healtheat.index.choice import EncoderChoice, EncoderFigure
from healtheat.index.keys import fingerprint
from healtheat.index.reuse import OldIndex, add_old_vectors
from healtheat.sources.base import LabelledImage, Source
from healtheat.sources.groups import group_codes, group_key
from healtheat.sources.once import ReadOnce

SAMPLE_BOXES = 600
FEWEST_BOXES = 30  # that can be compared; below, no difference that matters could be told from noise


@dataclass(frozen=True, slots=True)
class Auto:
    """The encoder is to be chosen by the data, among `names`; the first one is the default."""

    names: tuple[str, ...] = field(default_factory=candidates)
    load: Callable[[str], Encoder] = load_encoder


def encoder_of_word(
    word: str | Encoder, *, views: Sequence[float] | None = None, device: str = "auto"
) -> Encoder | Auto:
    """What a command's `--encoder` means: `Auto` for "auto", the encoder of that name, or itself."""
    if isinstance(word, Encoder):
        return word
    load = partial(load_encoder, views=views, device=device)
    return Auto(load=load) if word == AUTO else load(word)


def known_cut(word: str) -> Cut:
    """What a command's `--cut` means. Raises InputError for anything else."""
    for known in CUTS:
        if word == known:
            return known
    raise InputError(Argument("cut", word), f": choose from {', '.join(CUTS)}")


@dataclass(frozen=True, slots=True)
class Cutting:
    """How crops are cut: by the encoder's own policy unless one is given; the others replace what it says."""

    given: CropPolicy | None = None
    padding: float | None = None
    cut: Cut | None = None

    def policy(self, encoder: Encoder) -> CropPolicy:
        """The policy for crops of this encoder."""
        own = self.given or encoder.spec.crop_policy()
        named = {"padding": self.padding, "cut": self.cut}
        return own.model_copy(update={name: value for name, value in named.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a build gives to a choice: where it may keep vectors, what is there, and how it reads images.

    `elsewhere` is SHA-256 → path of images that another index holds.
    """

    cache: Path
    old: OldIndex | None
    cutting: Cutting
    group_rule: str
    strict: bool
    threads: int
    progress: Progress
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def mark(self, encoder: Encoder) -> str:
        """The fingerprint of the vectors that `encoder` would make here."""
        return fingerprint(encoder.spec.fingerprint, self.cutting.policy(encoder))

    def pool(self, encoder: Encoder) -> VectorPool:
        """All vectors that `encoder` need not compute again."""
        mark = self.mark(encoder)
        pool = VectorPool(self.cache, fingerprint=mark, dim=encoder.spec.dim)
        if self.old is not None:
            add_old_vectors(pool, self.old, mark)
        return pool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The encoder to build with, and the source to read. `embedded`: crops that went through it already."""

    encoder: Encoder
    source: Source
    choice: EncoderChoice
    embedded: int = 0
    seconds: float = 0.0  # in the encoder, for these


def choose(encoder: Encoder | Auto, source: Source, place: Workplace) -> Chosen:
    """`encoder` itself, or the choice that the index there was built with, or a new one.

    Raises EncoderError where a candidate cannot be loaded, InputError as the source does.
    """
    if isinstance(encoder, Encoder):
        return Chosen(encoder, source, EncoderChoice.unasked(encoder.spec.name, "named"))
    made = place.old.manifest.encoder_choice if place.old is not None else None
    candidates = {name: encoder.load(name) for name in encoder.names}
    if made is not None and made.chosen in candidates and _same(made, candidates, place):
        return Chosen(candidates[made.chosen], source, made)
    source = ReadOnce(source)
    return _by_sample(candidates, source, place)


def _same(made: EncoderChoice, candidates: dict[str, Encoder], place: Workplace) -> bool:
    """Whether the choice was among these very encoders. (A sample too small then may do now.)"""
    marks = {figure.name: figure.fingerprint for figure in made.figures}
    return marks == {name: place.mark(encoder) for name, encoder in candidates.items()}


def _by_sample(candidates: dict[str, Encoder], source: ReadOnce, place: Workplace) -> Chosen:
    records = list(source.read())
    sample = sample_images(
        (record for record in records if isinstance(record, LabelledImage)), place.group_rule, SAMPLE_BOXES
    )
    fatal = place.strict and any(isinstance(record, Problem) for record in records)
    default = next(iter(candidates))
    if fatal or sum(len(image.boxes) for image in sample) < FEWEST_BOXES:
        none = EncoderChoice.unasked(default, "few")
        return Chosen(candidates[default], source, none)
    embedded = {}
    for done, (name, encoder) in enumerate(candidates.items()):
        place.progress("compare encoders", done, len(candidates))
        embedded[name] = _embed(encoder, sample, place)
    first = embedded[default]
    shares = {name: shared_class(e.vectors, first.code, first.group) for name, e in embedded.items()}
    marks = {name: place.mark(encoder) for name, encoder in candidates.items()}
    choice = best_of(shares, marks, first.code, first.group)
    own = embedded[choice.chosen]
    return Chosen(candidates[choice.chosen], source, choice, own.embedded, own.seconds)


def best_of(
    shares: dict[str, NDArray[np.float64]],
    fingerprints: dict[str, str],
    code: NDArray[np.int64],
    group: NDArray[np.int32],
) -> EncoderChoice:
    """The encoder with the highest `shares` (n,) of those above the first one by more than the noise."""
    can = neighbours_elsewhere(code, group) > 0
    default, *_ = shares
    figures = []
    for name, share in shares.items():
        difference = share[can] - shares[default][can]
        low, high = (0.0, 0.0) if name == default else paired_interval(difference, group[can])
        figures.append(
            EncoderFigure(
                name=name,
                fingerprint=fingerprints[name],
                agreement=round(float(share[can].mean()) if can.any() else 0.0, 4),
                low=round(low, 4),
                high=round(high, 4),
            )
        )
    enough = can.sum() >= FEWEST_BOXES
    better = [figure for figure in figures if enough and figure.low > 0]
    worse = [figure for figure in figures[1:] if enough and figure.high < 0]
    chosen = max(better, key=lambda figure: figure.agreement, default=figures[0])
    apart = bool(better) or 0 < len(worse) == len(figures) - 1
    return EncoderChoice(
        chosen=chosen.name,
        why="better" if apart else "default",
        boxes=int(can.sum()),
        sources=len(np.unique(group[can])),
        figures=figures,
    )


@dataclass(frozen=True, slots=True)
class _Embedded:
    """The n boxes of the sample that could be read: vectors (n, d), class and source as numbers (n,)."""

    vectors: NDArray[np.float32]
    code: NDArray[np.int64]
    group: NDArray[np.int32]
    embedded: int
    seconds: float


def _embed(encoder: Encoder, sample: list[LabelledImage], place: Workplace) -> _Embedded:
    policy, pool = place.cutting.policy(encoder), place.pool(encoder)
    plan = CropPlan(policy, encoder.spec.resolution_px, place.mark(encoder), background_per_image=0)
    batcher = Batcher(encoder, pool)
    keys: list[bytes] = []
    class_ids: list[int] = []
    sources: list[str] = []
    hashes: list[str] = []
    try:
        for read in read_ahead(sample, plan, pool, place.threads):
            if not isinstance(read, ReadImage) or read.reason is not None:
                continue  # the build will say so
            for part in read.new:
                batcher.add(part)
            keys += read.keys
            class_ids += read.record.boxes.class_id.tolist()
            sources += [group_key(read.record.path, place.group_rule)] * len(read.keys)
            hashes += [read.sha256] * len(read.keys)
        batcher.finish()
        pool.flush()
        vectors = pool.gather(keys)
    finally:
        pool.close()
    _, code = np.unique(np.array(class_ids, np.int64), return_inverse=True)
    group = group_codes(sources, hashes)
    return _Embedded(vectors, code.astype(np.int64), group, batcher.embedded, batcher.seconds)
