"""Which class is at a place where no box is? From the crops that are labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS
from healtheat.signals.evidence.classmodel import Discriminant, Logistic
from healtheat.signals.evidence.components import COMPONENTS, Axes
from healtheat.signals.evidence.stack import log_softmax
from healtheat.signals.samples import Samples

Floats = NDArray[np.float64]

_MOST_FITTED = 20_000
_MOST_VALUES = 20_000_000  # boxes × classes above which the logistic regression takes too long
_SURE = 0.5
_MOST_ASKED = 2_000  # labelled crops that tell how alike crops of the set are
_USUAL = 0.02  # of them are less like their nearest one than what counts as of a kind


@dataclass(frozen=True, slots=True)
class Likely:
    """Of m crops the likeliest class `class_id` (m,), NO_CLASS for none, its `chance` (m,), and whether it is
    told `by_name` (m,) of the image, however likely.
    """

    class_id: NDArray[np.int64]
    chance: Floats
    by_name: NDArray[np.bool_]

    @classmethod
    def none(cls, m: int) -> Likely:
        """No class for m crops."""
        return cls(np.full(m, NO_CLASS, np.int64), np.zeros(m), np.zeros(m, bool))

    def __getitem__(self, rows: NDArray[np.bool_]) -> Likely:
        """Those of the marked rows."""
        return Likely(self.class_id[rows], self.chance[rows], self.by_name[rows])

    def put(self, rows: NDArray[np.int64], other: Likely) -> None:
        """Write `other` to the rows."""
        self.class_id[rows], self.chance[rows] = other.class_id, other.chance
        self.by_name[rows] = other.by_name


@dataclass(frozen=True, slots=True)
class Classes:
    """Models of the classes `class_ids` (c,)."""

    class_ids: NDArray[np.int64]
    axes: Axes
    discriminant: Discriminant
    logistic: Logistic | None

    @classmethod
    def of(cls, store: Samples, seed: int = 0) -> Classes:
        """Fitted on the labelled crops of `store`, at most _MOST_FITTED of them."""
        rows = np.arange(len(store))
        if len(rows) > _MOST_FITTED:
            rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_FITTED, replace=False))
        vectors, code, c = store.vectors[rows], store.class_code[rows], len(store.class_ids)
        axes = Axes.fit(vectors, COMPONENTS)
        parts = axes.project(vectors)
        small = c > 1 and len(rows) * c <= _MOST_VALUES
        return cls(
            store.class_ids,
            axes,
            Discriminant.fit(axes.whitened(parts), code, c),
            Logistic.fit(parts, code, c) if small else None,
        )

    def chances(self, vectors: NDArray[np.float32]) -> Floats:
        """(m, c) chances of the classes of crops (m, d)."""
        parts = self.axes.project(vectors)
        log_p = self.discriminant.log_p(self.axes.whitened(parts))
        if self.logistic is not None:
            log_p = (log_p + self.logistic.log_p(parts)) / 2
        return np.asarray(np.exp(log_softmax(log_p)))

    def likeliest(
        self,
        vectors: NDArray[np.float32],
        lacking: Mapping[int, int] | None = None,
        *,
        least: float = _SURE,
    ) -> Likely:
        """The likeliest class of each of the crops (m, d), NO_CLASS where none has the chance `least`.

        `lacking`: class id → how many boxes of it the image lacks by its name: the first crops get those.
        """
        p = self.chances(vectors)
        best = p.argmax(axis=1)
        chance = p[np.arange(len(p)), best]
        found = np.where(chance >= least, self.class_ids[best], NO_CLASS)
        by_name = np.zeros(len(p), bool)
        left = Counter(lacking or {})
        for row in range(len(p)):
            known = [int(np.searchsorted(self.class_ids, c)) for c in +left if c in self.class_ids]
            if known:
                code = max(known, key=lambda c: float(p[row, c]))
                found[row], chance[row], by_name[row] = self.class_ids[code], p[row, code], True
                left[int(found[row])] -= 1
        return Likely(found, chance, by_name)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Labelled crops `vectors` (n, d), and how `alike` (cosine) a crop of the set is to its nearest one on an
    image of another source, but for few.
    """

    vectors: NDArray[np.float32]
    alike: float

    @classmethod
    def of(cls, store: Samples, seed: int = 0) -> Kinds:
        """Of the labelled crops of `store`, at most _MOST_FITTED of them."""
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(store))[:_MOST_FITTED])
        vectors, source = store.vectors[rows], store.images.group_key[store.image_row[rows]]
        asked = np.sort(rng.permutation(len(rows))[:_MOST_ASKED])
        nearest = np.full(len(asked), -1.0)
        for at, row in enumerate(asked.tolist()):
            alike = vectors @ vectors[row]
            alike[source == source[row]] = -1
            nearest[at] = alike.max()
        return cls(vectors, float(np.quantile(nearest, _USUAL)) if len(asked) else -1.0)

    def unlike(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(m,) of crops (m, d) those that are like no labelled one."""
        return np.asarray((vectors @ self.vectors.T).max(axis=1, initial=-1) < self.alike)
