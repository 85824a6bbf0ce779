"""What every signal looks at: boxes, images, vectors and measures, joined by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healtheat.core.boxes import Boxes, Images, Problem
from healtheat.index.search import Neighbours, neighbours
from healtheat.listing import Listing
from healtheat.signals.detector.predictions import Predictions
from healtheat.signals.evidence.pixels import Pixels
from healtheat.sources.groups import group_codes

if TYPE_CHECKING:
    from healtheat.index import Index

MEASURES = np.dtype([("dhash", "u8"), ("sharpness", "f4"), ("brightness", "f4"), ("contrast", "f4")])


@dataclass(frozen=True)
class Samples:
    """n boxes on p images, with all that a signal may look at. Rows of all (n, …) arrays belong together."""

    boxes: Boxes
    images: Images
    names: Mapping[int, str]
    vectors: NDArray[np.float32]  # (n, d) unit rows
    measures: NDArray[Any]  # (n,) structured, has the fields of MEASURES
    group: NDArray[np.int32]  # (n,) boxes on images of one source share it
    background: NDArray[np.float32]  # (m, d) unit rows, tiles cut from unlabelled parts
    problems: Sequence[Problem] = ()
    image_dhash: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))  # (p,) or empty
    texts: Mapping[str, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)
    # question → answer → (d,), times a vector its logit; {} where the encoder knows no text
    listing: Listing | None = None  # of the p images: what their names list, where a rule is known
    pixels: Pixels | None = None  # of the p images, where they can still be read
    predicted: Predictions | None = None  # of the p images: what a detector sees on them, where one is given

    def __post_init__(self) -> None:
        n, d = len(self.boxes), self.vectors.shape[-1]
        for name, expected in (("vectors", (n, d)), ("measures", (n,)), ("group", (n,))):
            if getattr(self, name).shape != expected:
                raise ValueError(f"Samples.{name}: expected {expected}, found {getattr(self, name).shape}")
        if self.background.ndim != 2 or (len(self.background) and self.background.shape[1] != d):
            raise ValueError(f"Samples.background: expected (m, {d}), found {self.background.shape}")
        if not np.isin(self.boxes.image_id, self.images.image_id).all():
            raise ValueError("Samples.boxes: an image_id is not among the images")
        p = len(self.images)
        if self.listing is not None and len(self.listing.listed) != p:
            raise ValueError(f"Samples.listing: {len(self.listing.listed)} images, expected {p}")
        if self.predicted is not None and len(self.predicted.of) != p:
            raise ValueError(f"Samples.predicted: {len(self.predicted.of)} images, expected {p}")

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(
        cls,
        class_id: ArrayLike,
        vectors: ArrayLike,
        *,
        xywhn: ArrayLike | None = None,
        image_id: ArrayLike | None = None,
        image_path: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        size_px: ArrayLike | None = None,
        group_key: Sequence[str] | None = None,
        line: ArrayLike | None = None,
        background: ArrayLike | None = None,
        measures: NDArray[Any] | None = None,
        names: Mapping[int, str] | None = None,
        problems: Sequence[Problem] = (),
        image_dhash: NDArray[np.uint64] | None = None,
        texts: Mapping[str, Mapping[str, NDArray[np.float32]]] | None = None,
    ) -> Samples:
        """Samples from plain arrays. Without `image_id` every box has its own image.

        `image_path`, `split`, `size_px` ((p, 2) width, height) and `group_key` have one entry per image,
        image i being `image_id` i.
        """
        codes = np.asarray(class_id, np.int64).reshape(-1)
        n = len(codes)
        rows = np.asarray(vectors, np.float32)
        rows = rows.reshape(n, rows.shape[-1] if rows.ndim > 1 else 0)
        of_image = np.arange(n) if image_id is None else np.asarray(image_id, np.int64).reshape(n)
        p = int(of_image.max(initial=-1)) + 1 if image_path is None else len(image_path)
        path = [f"images/{i:06d}.jpg" for i in range(p)] if image_path is None else list(image_path)
        size = np.full((p, 2), 1000) if size_px is None else np.asarray(size_px, np.int64).reshape(p, 2)
        if line is None:  # running number of the box on its image
            order = np.argsort(of_image, kind="stable")
            starts = np.searchsorted(of_image[order], of_image[order])
            line = np.empty(n, np.int64)
            line[order] = np.arange(n) - starts
        images = Images(
            image_id=np.arange(p, dtype=np.int64),
            path=_text(path),
            split=_text([""] * p if split is None else split),
            status=_text(["labelled"] * p),
            width_px=size[:, 0].astype(np.int64),
            height_px=size[:, 1].astype(np.int64),
            sha256=_text([""] * p),
            group_key=_text(path if group_key is None else group_key),
        )
        boxes = Boxes(
            box_id=np.arange(n, dtype=np.int64),
            image_id=of_image.astype(np.int64),
            line=np.asarray(line, np.int64),
            class_id=codes,
            xywhn=np.tile([0.5, 0.5, 0.2, 0.2], (n, 1)) if xywhn is None else np.asarray(xywhn, np.float64),
            confidence=np.full(n, np.nan, np.float32),
        )
        tiles = np.zeros((0, rows.shape[1]), np.float32) if background is None else background
        return cls(
            boxes=boxes,
            images=images,
            names={int(c): str(c) for c in np.unique(codes)} if names is None else names,
            vectors=rows,
            measures=np.zeros(n, MEASURES) if measures is None else measures,
            group=group_codes(list(images.group_key))[of_image],
            background=np.asarray(tiles, np.float32),
            problems=problems,
            image_dhash=np.zeros(0, np.uint64) if image_dhash is None else image_dhash,
            texts={} if texts is None else texts,
        )

    @cached_property
    def class_ids(self) -> NDArray[np.int64]:
        """(c,) the class ids that boxes carry, ascending; sparse ids stay as they are."""
        return np.unique(self.boxes.class_id)

    @cached_property
    def class_code(self) -> NDArray[np.int64]:
        """(n,) position of each box's class in `class_ids`."""
        return np.searchsorted(self.class_ids, self.boxes.class_id).astype(np.int64)

    @cached_property
    def class_count(self) -> NDArray[np.int64]:
        """(c,) boxes of each class."""
        return np.bincount(self.class_code, minlength=len(self.class_ids)).astype(np.int64)

    @cached_property
    def image_row(self) -> NDArray[np.int64]:
        """(n,) position of each box's image in `images`."""
        order = np.argsort(self.images.image_id, kind="stable")
        found = np.searchsorted(self.images.image_id[order], self.boxes.image_id)
        return order[found].astype(np.int64) if len(order) else np.zeros(0, np.int64)

    @cached_property
    def problems_of(self) -> Mapping[str, Sequence[Problem]]:
        """Path of an image → what could not be read of it or its labels; none for the others."""
        found: defaultdict[str, list[Problem]] = defaultdict(list)
        for problem in self.problems:
            found[problem.image].append(problem)
        return found

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What several signals need and is worked out once; a changed copy (`replace`) starts with none."""
        return {}

    @cached_property
    def neighbours(self) -> Neighbours:
        """One search for all signals."""
        return neighbours(self.vectors, self.group, self.class_code)

    def name(self, class_id: int) -> str:
        """The class's name, or its number where it has none."""
        return self.names.get(int(class_id), str(int(class_id)))


@dataclass(frozen=True)
class Pool:
    """The boxes that are judged and those that teach what is right, as one set of samples.

    In "the set against itself" these are the same boxes: every model must then leave out a box's own source.
    Otherwise the boxes of the store come first and teach; those asked about come behind them and teach
    nothing. Signals learn from rows where `teaches` is set and answer for `judged`.
    """

    samples: Samples
    teaches: NDArray[np.bool_]  # (n,)
    judged: NDArray[np.int64]  # (q,) rows of the boxes asked about, in their order

    @classmethod
    def of(cls, queries: Samples, store: Samples) -> Pool:
        """`queries` judged by `store`; the set against itself where both are the same object.

        Box ids stay as they are, image ids of the queries are numbered behind those of the store. Images of
        one source share a group across the two. Background tiles, words and names are the store's; a class
        that only queries have keeps their name. `listing`, `predicted` and `pixels` are not joined: look at
        those of `queries` and `store`. Raises ValueError for vectors of different dimensions.
        """
        if queries is store:
            return cls(store, np.ones(len(store), bool), np.arange(len(store), dtype=np.int64))
        first = int(store.images.image_id.max(initial=-1)) + 1
        images = Images.join([store.images, replace(queries.images, image_id=_numbers(queries, first))])
        own = queries.boxes
        boxes = Boxes.join([store.boxes, replace(own, image_id=first + queries.image_row)])
        codes = group_codes(list(images.group_key), list(images.sha256))
        hashes = (store.image_dhash, queries.image_dhash)
        whole = all(len(h) == len(s.images) for h, s in zip(hashes, (store, queries), strict=True))
        joined = Samples(
            boxes=boxes,
            images=images,
            names={**queries.names, **store.names},
            vectors=np.concatenate([store.vectors, queries.vectors]),
            measures=np.concatenate([store.measures, queries.measures.astype(store.measures.dtype)]),
            group=codes[np.r_[store.image_row, len(store.images) + queries.image_row].astype(np.int64)],
            background=store.background,
            problems=(*store.problems, *queries.problems),
            image_dhash=np.concatenate(hashes) if whole else np.zeros(0, np.uint64),
            texts=store.texts,
        )
        n = len(store)
        return cls(joined, np.arange(len(joined)) < n, np.arange(n, len(joined), dtype=np.int64))

    @property
    def itself(self) -> bool:
        """Whether the boxes judged are those that teach."""
        return bool(self.teaches.all())

    @cached_property
    def neighbours(self) -> Neighbours:
        """Of every row: `other` are rows that teach, `near` any rows."""
        if self.itself:
            return self.samples.neighbours
        s = self.samples
        return neighbours(s.vectors, s.group, s.class_code, stored=int(self.teaches.sum()))


def _numbers(samples: Samples, first: int) -> NDArray[np.int64]:
    return np.arange(first, first + len(samples.images), dtype=np.int64)


def samples_from(index: Index) -> Samples:
    """Everything the signals need, read from an index. Needs memory for all vectors."""
    boxes, images = index.boxes(), index.images()
    row = {int(i): r for r, i in enumerate(images.image_id)}
    where = np.array([row[int(i)] for i in boxes.image_id], np.int64).reshape(-1)
    found = index.sql("SELECT image_id, dhash FROM images").to_pydict()
    by_id = {i: h for i, h in zip(found["image_id"], found["dhash"], strict=True) if h is not None}
    dhash = np.array([int(by_id.get(int(i), 0)) & (2**64 - 1) for i in images.image_id], np.uint64)
    codes = group_codes(list(images.group_key), list(images.sha256))
    return Samples(
        boxes=boxes,
        images=images,
        names=index.names,
        vectors=index.vectors(boxes.box_id),
        measures=index.measures(boxes.box_id),
        group=codes[where],
        background=index.background(),
        problems=index.problems(),
        image_dhash=dhash,
        texts=index.words(),
    )


def _text(values: Sequence[Any]) -> NDArray[np.object_]:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out
