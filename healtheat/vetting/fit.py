"""Learn from an index what vets new boxes. Boxes of one source are never judged by a model that saw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import rows_of
from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.core.text import counted
from healtheat.planting.plant import CropMaker
from healtheat.signals.evidence.beliefs import believe
from healtheat.signals.evidence.classmodel import FOLDS, folds, vote_scale
from healtheat.vetting import made
from healtheat.vetting.decide import Known
from healtheat.vetting.features import Context, Scales, by_crop, features, learn_scales
from healtheat.vetting.kinds import ALIKE, BACKGROUND, CLASS, MOVED, RIGHT, UNKNOWN, KindModel
from healtheat.vetting.looks import Eyes, Near, Sight, Vectors, cosine_to_tiles
from healtheat.vetting.model import VetModel
from healtheat.vetting.trusted import Trusted

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

MOST_FITTED = 20_000  # boxes that class models are fitted on; more do not change 64 axes
MOST_KNOWN = 4_000  # trusted boxes that errors are made of: a share of 1 % is then known to 0.16 points
MOST_REFERENCE = 2_000  # images whose contents are compared with
MOST_MOVED = 600  # new crops that are embedded
MOST_TILES = 2_000
FEWEST_BOXES = 20
_ERRORS = 0.1  # share of wrong labels that a batch may have on the rest of an image
_ROUNDS = 2  # of other classes for each box


@dataclass(frozen=True)
class Lesson:
    """The trusted boxes that are learned from, as arrays: whole sources, in random order, up to a limit."""

    trusted: Trusted
    seed: int

    @cached_property
    def _order(self) -> Ids:
        """Rows of the trusted boxes, source by source in random order."""
        codes = self.trusted.group
        rank = np.random.default_rng(self.seed).permutation(int(codes.max(initial=-1)) + 1)
        return np.argsort(rank[codes], kind="stable").astype(np.int64)

    @cached_property
    def rows(self) -> Ids:
        """(n,) rows of the trusted boxes that models are fitted on; the first `known` make errors."""
        return self._order[:MOST_FITTED]

    @cached_property
    def known(self) -> int:
        return min(MOST_KNOWN, len(self.rows))

    @cached_property
    def class_ids(self) -> Ids:
        return self.trusted.class_ids()

    @cached_property
    def code(self) -> Ids:
        """(n,) positions of their classes in `class_ids`."""
        return np.searchsorted(self.class_ids, self.trusted.boxes.class_id[self.rows]).astype(np.int64)

    @cached_property
    def group(self) -> NDArray[np.int32]:
        return self.trusted.group[self.rows]

    @cached_property
    def fold(self) -> Ids:
        return folds(self.group)

    @cached_property
    def vectors(self) -> Vectors:
        """(n, d)"""
        return self.trusted.index.vectors(self.trusted.boxes.box_id[self.rows])

    @cached_property
    def tiles(self) -> tuple[Vectors, NDArray[np.int32], Ids]:
        """Tiles of background (m, d), the source of each and the row of its image."""
        table = self.trusted.index.sql("SELECT image_id FROM background ORDER BY tile_id")
        image = np.searchsorted(self.trusted.images.image_id, table["image_id"].to_numpy()).astype(np.int64)
        pick = np.arange(len(image))
        if len(pick) > MOST_TILES:
            pick = np.sort(np.random.default_rng(self.seed).choice(pick, MOST_TILES, replace=False))
        return self.trusted.index.background()[pick], self.trusted.image_group[image[pick]], image[pick]

    def fold_of(self, group: NDArray[np.int32]) -> Ids:
        """(m,) the fold that leaves out each source; 0 for one that no model is fitted on."""
        first = dict(zip(self.group[::-1].tolist(), self.fold[::-1].tolist(), strict=True))
        return np.array([first.get(g, 0) for g in group.tolist()], np.int64).reshape(-1)


def fit(
    trusted: Trusted,
    crops: CropMaker | None,
    *,
    fitted_on: str = "",
    seed: int = 0,
    progress: Progress = silent,
) -> VetModel:
    """The model of the trusted boxes. `crops` embeds boxes moved off their objects; None: none are made.

    Raises InputError for an index with too few trusted boxes or sources.
    """
    sample = Lesson(trusted, seed)
    if len(sample.rows) < FEWEST_BOXES or len(np.unique(sample.group)) < FOLDS:
        raise InputError(
            f"{trusted.index.path}: {counted(len(sample.rows), 'trusted box', 'trusted boxes')} on images of "
            f"{counted(len(np.unique(sample.group)), 'source')}; {FEWEST_BOXES} boxes of {FOLDS} sources are "
            "needed to vet by"
        )
    return _Fitting(sample, np.random.default_rng(seed), crops, progress).model(fitted_on)


class _Fitting:
    """One fit: what several steps need."""

    def __init__(
        self, sample: Lesson, rng: np.random.Generator, crops: CropMaker | None, progress: Progress
    ) -> None:
        self.sample, self.rng, self.crops, self.progress = sample, rng, crops, progress
        self.c = len(sample.class_ids)
        self.k = sample.known
        self.code = sample.code[: self.k]
        self.eyes = [self._fit(sample.fold != f) for f in range(FOLDS)]
        progress("vet: models", 1, 4)

    def _fit(self, rows: NDArray[np.bool_]) -> Eyes:
        s = self.sample
        tiles, group, _ = s.tiles
        apart = ~np.isin(group, s.group[~rows])
        return Eyes.fit(s.vectors[rows], s.code[rows], tiles[apart], self.c)

    def look(self, vectors: Vectors, group: NDArray[np.int32], to_tiles: Floats | None = None) -> Sight:
        """What crops on images of the sources `group` (m,) look like to models that saw none of these."""
        s = self.sample
        near = Near.of(vectors, group, s.trusted, s.class_ids)
        tiles = s.tiles[0]
        to_tiles = cosine_to_tiles(vectors, tiles) if to_tiles is None else to_tiles
        out = Sight.empty(len(vectors), self.c, near, logistic=self.eyes[0].logistic is not None)
        fold = s.fold_of(group)
        for f, eyes in enumerate(self.eyes):
            rows = np.flatnonzero(fold == f)
            if len(rows):
                out.put(rows, eyes.see(vectors[rows], near.rows(rows), to_tiles[rows]))
        return out

    def model(self, fitted_on: str) -> VetModel:
        s, k = self.sample, self.k
        looks = self.look(s.vectors[:k], s.group[:k])
        vote = vote_scale(looks.near.voters())
        reference, contexts = self._contexts(looks, vote)
        scales = learn_scales(looks, self.code, contexts[0], vote)
        self.progress("vet: trusted crops", 2, 4)
        rows, kind, group, embedded = self._examples(looks, contexts, scales)
        self.progress("vet: made errors", 3, 4)
        fold = s.fold_of(group)
        log_likelihood = np.full((len(rows), 6), -np.inf)
        for f in range(FOLDS):
            test = fold == f
            if test.any():
                log_likelihood[test] = KindModel.fit(rows[~test], kind[~test]).log_likelihood(rows[test])
        self.progress("vet: models", 4, 4)
        per_class = [s.trusted.group[s.trusted.boxes.class_id == c] for c in s.class_ids.tolist()]
        return VetModel(
            class_ids=s.class_ids,
            boxes=np.array([len(g) for g in per_class], np.int64),
            sources=np.array([len(np.unique(g)) for g in per_class], np.int64),
            eyes=self._fit(np.ones(len(s.rows), bool)),
            scales=scales,
            kinds=KindModel.fit(rows, kind),
            known=Known(log_likelihood, kind),
            nearest=np.sort(looks.near.to_class().max(axis=1)),
            tiles=s.tiles[0],
            reference=reference,
            fitted_on=fitted_on,
            crops=embedded,
        )

    def _contexts(self, looks: Sight, vote: float) -> tuple[Ids, tuple[Context, Context]]:
        """Ids of the reference images; what the rest of the image says about the known boxes, and tiles."""
        s, k = self.sample, self.k
        flat = Context(np.zeros((k, self.c)), np.zeros((k, self.c)))
        first = learn_scales(looks, self.code, flat, vote)
        log_p = by_crop(looks, first)
        labels = self.code if self.c < 2 else made.mislabelled(log_p, self.code, _ERRORS, self.rng)
        reference = reference_images(s)
        pool = ReferenceBoxes.of(s.trusted, s.class_ids, reference)
        tile_image = s.tiles[2]
        image = s.trusted.image_row[s.rows[:k]]
        belief = np.concatenate([believe(log_p, labels, _ERRORS / 2), np.zeros((len(tile_image), self.c))])
        context = pool.context(belief, np.r_[image, tile_image], s.trusted.image_group)
        return s.trusted.images.image_id[reference], (context.rows(slice(0, k)), context.rows(slice(k, None)))

    def _examples(
        self, looks: Sight, contexts: tuple[Context, Context], scales: Scales
    ) -> tuple[Floats, Ids, NDArray[np.int32], int]:
        """Features, kind and source of trusted boxes and of errors made of them; how many were embedded."""
        s, code, context = self.sample, self.code, contexts[0]
        group = s.group[: self.k]
        found: list[tuple[Floats, int, NDArray[np.int32]]] = [
            (features(looks, context, code, scales), RIGHT, group)
        ]
        if self.c > 1:
            log_p = by_crop(looks, scales)
            for _ in range(_ROUNDS):
                other = made.any_other(code, self.c, self.rng)
                found.append((features(looks, context, other, scales), CLASS, group))
            alike = made.most_like(log_p, code)
            found.append((features(looks, context, alike, scales), ALIKE, group))
            for other in (made.any_other(code, self.c, self.rng), made.drawn(log_p, code, self.rng)):
                found.append((features(looks, context, other, scales, hidden=code), UNKNOWN, group))
        found += self._background(contexts[1], scales)
        embedded = 0
        for part in self._moved(context, scales):
            found.append(part)
            embedded = len(part[0])
        kind = np.concatenate([np.full(len(rows), k, np.int64) for rows, k, _ in found])
        return np.concatenate([f[0] for f in found]), kind, np.concatenate([f[2] for f in found]), embedded

    def _background(self, context: Context, scales: Scales) -> list[tuple[Floats, int, NDArray[np.int32]]]:
        tiles, group, _ = self.sample.tiles
        if not len(tiles):
            return []
        looks = self.look(tiles, group, cosine_to_tiles(tiles, tiles, own=True))
        given = self.rng.integers(0, self.c, len(tiles))
        return [(features(looks, context, given, scales), BACKGROUND, group)]

    def _moved(self, context: Context, scales: Scales) -> list[tuple[Floats, int, NDArray[np.int32]]]:
        """Boxes moved off their objects: cut and embedded anew, from as many images as are needed."""
        s = self.sample
        if self.crops is None:
            return []
        vectors: list[Vectors] = []
        of: list[int] = []
        image = s.trusted.image_row[s.rows[: self.k]]
        for place, rows in enumerate(rows_of(image, len(s.trusted.images))):
            new = [(row, made.moved(s.trusted.boxes.xywhn[s.rows[row]], self.rng)) for row in [*rows, *rows]]
            there = [(row, box) for row, box in new if box is not None]
            if not there or len(of) >= MOST_MOVED:
                continue
            upright = np.full(len(there), None, object)
            cut = self.crops(place, np.stack([box for _, box in there]), upright)
            if cut is not None:
                vectors.append(cut[0])
                of += [row for row, _ in there]
        if not of:
            return []
        rows = np.array(of, np.int64)
        looks = self.look(np.concatenate(vectors), s.group[rows])
        return [(features(looks, context.rows(rows), self.code[rows], scales), MOVED, s.group[rows])]


def reference_images(sample: Lesson) -> Ids:
    """Rows of the images whose contents are compared with, in their order."""
    image = sample.trusted.image_row[sample.rows]
    _, first = np.unique(image, return_index=True)
    return np.sort(image[np.sort(first)][:MOST_REFERENCE])


@dataclass(frozen=True, slots=True)
class ReferenceBoxes:
    """The trusted boxes on the reference images: `code` (r,), `image` (r,) rows of the index's images."""

    code: Ids
    image: Ids
    c: int

    @classmethod
    def of(cls, trusted: Trusted, class_ids: Ids, reference: Ids) -> ReferenceBoxes:
        """`reference` are rows of images."""
        there = np.isin(trusted.image_row, reference)
        code = np.searchsorted(class_ids, trusted.boxes.class_id[there]).astype(np.int64)
        return cls(code, trusted.image_row[there], len(class_ids))

    def context(self, belief: Floats, image: Ids, group: NDArray[np.int32]) -> Context:
        """What the rest of its image says about each of m boxes.

        `belief` (m, c): the classes that each may have; `image` (m,): rows into `group` (p,), the source of
        each image. Boxes that are believed in count for the others on their image.
        """
        mine = ~np.isin(self.image, image)  # those asked about stand for themselves
        used, row = np.unique(np.r_[self.image[mine], image], return_inverse=True)
        every = np.concatenate([np.eye(self.c)[self.code[mine]], belief])
        asked = belief.sum(axis=1) > 0
        known = np.r_[np.ones(int(mine.sum()), bool), asked & np.isin(image, self.image)]
        context = Context.of(every, row.reshape(-1), group[used][row.reshape(-1)], len(used), known)
        return context.rows(slice(int(mine.sum()), None))
