"""Is the same thing there twice? One object boxed twice, one crop under two labels, one image twice.

Look-alikes are candidates only: what is a copy is decided by pixels (evidence/copies.py). Copies of a crop
are no news where their labels agree. What concerns two boxes is one row, about the box to drop or to look at;
the other is its twin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import box_number
from healtheat.core.issues import Silence
from healtheat.core.text import counted
from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.copies import Cutter, Verified, Views, other_crops, other_images, verify
from healtheat.signals.evidence.overlaps import doubled
from healtheat.signals.evidence.pairs import PairRows, Suspects
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
LIKELY = 0.5  # chance from which a reason says that it is so, and what to do
MOST = 0.5  # share of a split's images from which it is one fact about the split


def hamming(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Differing bits of two arrays of hashes."""
    return np.asarray(np.bitwise_count(a ^ b), np.int64)


class Duplicate(Signal):
    """Issue duplicate. Raw: IoU with the other box, or how far the pixels of the two pictures agree."""

    name = "duplicate"
    issues = ("duplicate",)

    def __init__(
        self, *, similarity: float = 0.97, crop_bits: int = 6, image_bits: int = 6, most_pairs: int = 1000
    ) -> None:
        self.similarity = similarity  # cosine of two crops that may be the same
        self.crop_bits = crop_bits  # difference-hash bits in which they may differ
        self.image_bits = image_bits
        self.most_pairs = most_pairs  # of crops, and of images, that are compared by pixels

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        pool = Pool.of(queries, store)
        rows, cutter = PairRows.of(pool.samples), Cutter(queries, store)
        silences: list[Silence] = []
        images = self._same_image(pool, queries, cutter, silences)
        if len(queries):
            suspects = Suspects.of(pool)
            self._boxed_twice(pool, suspects, rows)
            self._same_crop(pool, suspects, cutter, rows, silences)
        out: list[Scores | Silence] = [*silences, *images]
        if len(queries):
            judged = pool.judged
            boxes = Scores.of(
                self,
                "duplicate",
                queries,
                raw=rows.raw[judged],
                score=rows.score[judged],
                reason=[rows.reason[row] for row in judged],
                twin_box_id=rows.twin[judged],
                evidence=[rows.evidence[row] for row in judged],
            )
            out.insert(0, boxes)
        return out

    def _boxed_twice(self, pool: Pool, suspects: Suspects, rows: PairRows) -> None:
        samples, found = pool.samples, doubled(pool.samples, pool.teaches)
        gone: set[int] = set()
        for at in np.argsort(-found.chance, kind="stable"):
            a, b = int(found.a[at]), int(found.b[at])
            if gone & {a, b}:
                continue  # one of them is asked about already
            drop, keep, why = suspects.worse(a, b)
            if found.chance[at] >= LIKELY:
                gone.add(drop)
            other, iou = _named(samples, keep), f"IoU {found.iou[at]:.2f}"
            words = (
                f"a second box on the object of {other} ({iou}): drop this one, {why}"
                if found.chance[at] >= LIKELY
                else f"overlaps {other} ({iou}), as boxes on two objects do here"
            )
            rows.offer(drop, keep, float(found.chance[at]), float(found.iou[at]), words)

    def _same_crop(
        self,
        pool: Pool,
        suspects: Suspects,
        cutter: Cutter,
        rows: PairRows,
        silences: list[Silence],
    ) -> None:
        samples = pool.samples
        a, b = self._like_crops(pool)
        total, a, b = len(a), a[: self.most_pairs], b[: self.most_pairs]

        def look() -> Verified:
            one, other = other_crops(pool)
            planted = cutter.planted(Views.boxes(samples, one))
            against = cutter.compare(Views.boxes(samples, one), Views.boxes(samples, other))
            turns = samples.group[a] == samples.group[b]  # a tool turns images of one source
            found = cutter.compare(Views.boxes(samples, a), Views.boxes(samples, b), turns=turns)
            return verify(found, planted, against, pool.teaches[a] & pool.teaches[b])

        verified = self._verified(cutter, look, total, "crops", silences)
        judged = np.zeros(len(samples), bool)
        judged[pool.judged] = True
        for one, other, chance, like in zip(
            a.tolist(), b.tolist(), verified.chance, verified.likeness, strict=True
        ):
            if np.isnan(chance):
                continue
            drop, keep, why = suspects.worse(one, other)
            if not judged[drop]:
                drop, keep, why = keep, drop, "the other is known"
            where = f"{_named(samples, keep)}, of {samples.images.path[samples.image_row[keep]]}"
            words = (
                f"the same picture as {where}; of the two {why}"
                if chance >= LIKELY
                else f"looks like {where}, and is hardly the same picture by its pixels"
            )
            rows.offer(drop, keep, float(chance), float(like), words)

    def _like_crops(self, pool: Pool) -> tuple[Ids, Ids]:
        """Pairs a < b of boxes of two classes that may be one picture, most alike first."""
        samples = pool.samples
        near, similarity = pool.neighbours.near, pool.neighbours.near_similarity
        judged = np.zeros(len(samples), bool)
        judged[pool.judged] = True
        row, place = np.nonzero((near >= 0) & (similarity >= self.similarity) & judged[:, None])
        twin, cosine = near[row, place], similarity[row, place]
        hashes = samples.measures["dhash"].astype(np.uint64)
        source = samples.group[row] == samples.group[twin]
        kept = source | (hamming(hashes[row], hashes[twin]) <= self.crop_bits)
        kept &= samples.class_code[row] != samples.class_code[twin]
        kept &= samples.image_row[row] != samples.image_row[twin]
        order = np.argsort(-cosine[kept], kind="stable")
        found = np.sort(np.stack([row[kept][order], twin[kept][order]], axis=1), axis=1)
        first = np.sort(np.unique(found, axis=0, return_index=True)[1])
        return found[first, 0], found[first, 1]

    def _verified(
        self, cutter: Cutter, look: Callable[[], Verified], pairs: int, what: str, silences: list[Silence]
    ) -> Verified:
        """What `look` finds of the first of so many pairs; what it could not say goes to `silences`."""

        def say(why: str) -> None:
            silences.append(Silence(self.name, "duplicate", why))

        nothing = np.full(min(pairs, self.most_pairs), np.nan)
        asked = f"whether {what} that look alike are copies"
        if not pairs:
            return Verified(nothing, nothing)
        if not cutter.ready:
            say(f"{asked}: the images are not at hand")
            return Verified(nothing, nothing)
        found = look()
        if found.why is not None:
            say(f"{asked}: {found.why}")
        elif found.gone:
            of = f"{counted(found.gone, 'pair')} of {what}"
            say(f"whether {of} are copies: an image is gone")
        if pairs > self.most_pairs:
            rest = counted(pairs - self.most_pairs, f"pair of {what}", f"pairs of {what}")
            say(f"whether {rest} beyond the {self.most_pairs} likeliest are copies")
        return found

    def _same_image(
        self, pool: Pool, queries: Samples, cutter: Cutter, silences: list[Silence]
    ) -> list[Scores]:
        """Rows about images that are there already."""
        images = pool.samples.images
        first_asked = len(images) - len(queries.images)
        best = {a: (b, 1.0, "is the same file as") for a, b in _same_bytes(images.sha256)}
        a, b = self._like_images(pool.samples, set(best), first_asked)
        total, a, b = len(a), a[: self.most_pairs], b[: self.most_pairs]
        stored = len(images) if pool.itself else first_asked

        def look() -> Verified:
            one, other = other_images(pool.samples, stored)
            planted = cutter.planted(Views.images(one))
            against = cutter.compare(Views.images(one), Views.images(other))
            found = cutter.compare(Views.images(a), Views.images(b))
            return verify(found, planted, against, (a < stored) & (b < stored))

        verified = self._verified(cutter, look, total, "images", silences)
        for one, other, chance in zip(a.tolist(), b.tolist(), verified.chance.tolist(), strict=True):
            if chance > best.get(one, (0, 0.0, ""))[1]:  # not for NaN
                says = "shows the same pixels as" if chance >= LIKELY else "looks like, and hardly is,"
                best[one] = other, chance, says
        rows = {a: found for a, found in best.items() if a >= first_asked and found[1] > 0}
        return self._image_rows(pool.samples, rows)

    def _like_images(self, samples: Samples, known: set[int], first_asked: int) -> tuple[Ids, Ids]:
        """Pairs of rows a > b of images of two sources, or two splits, whose hashes are close, closest first.

        Copies of a source within one split are how the set was made; in another split they are a leak.
        """
        images = samples.images
        nothing = np.zeros(0, np.int64)
        bits = np.bitwise_count(samples.image_dhash)
        rows = np.flatnonzero((bits >= 8) & (bits <= 56))  # an empty hash says nothing
        rows = np.array([row for row in rows if row not in known], np.int64)
        if len(samples.image_dhash) != len(images) or len(rows) < 2:
            return nothing, nothing
        index = faiss.IndexBinaryFlat(64)
        packed = samples.image_dhash[rows].view(np.uint8).reshape(-1, 8)
        index.add(packed)
        distance, found = index.search(packed, min(4, len(rows)))
        at, place = np.nonzero(distance <= self.image_bits)
        a, b, far = rows[at], rows[found[at, place]], distance[at, place]
        apart = (images.group_key[a] != images.group_key[b]) | (images.split[a] != images.split[b])
        kept = (a > b) & (a >= first_asked) & apart
        order = np.argsort(far[kept], kind="stable")
        return a[kept][order], b[kept][order]

    def _image_rows(self, samples: Samples, rows: dict[int, tuple[int, float, str]]) -> list[Scores]:
        images = samples.images
        size = Counter(images.split)
        across = {a: found for a, found in rows.items() if images.split[a] != images.split[found[0]]}
        sure = Counter((images.split[a], images.split[b]) for a, (b, p, _) in across.items() if p >= LIKELY)
        whole = {pair: n for pair, n in sure.items() if n > 1 and n > MOST * min(size[s] for s in pair)}
        single = [a for a in sorted(rows) if (images.split[a], images.split[rows[a][0]]) not in whole]
        out: list[Scores] = []
        if single:
            out.append(
                Scores.of_images(
                    self,
                    "duplicate",
                    image_id=images.image_id[single],
                    score=[rows[a][1] for a in single],
                    reason=[
                        f"{rows[a][2]} {images.path[rows[a][0]]}"
                        + (f", in split {images.split[rows[a][0]]}" if a in across else "")
                        for a in single
                    ],
                    evidence=[{"image_id": int(images.image_id[rows[a][0]])} for a in single],
                )
            )
        if whole:
            out.append(
                Scores.of_images(
                    self,
                    "duplicate",
                    image_id=[-1] * len(whole),
                    raw=list(whole.values()),
                    score=[1.0] * len(whole),
                    reason=[
                        f"{n} images of split {a} are copies of images of split {b}: a model is tested on "
                        "what it has seen"
                        for (a, b), n in whole.items()
                    ],
                    evidence=[{"split": a, "other": b, "images": n} for (a, b), n in whole.items()],
                )
            )
        return out


def _named(samples: Samples, row: int) -> str:
    """A box by the number and the class that people see."""
    return f"box {box_number(samples.boxes.line[row])}, {samples.name(samples.boxes.class_id[row])}"


def _same_bytes(sha256: NDArray[np.object_]) -> list[tuple[int, int]]:
    """(row, the first row of the same content) of images that are one file."""
    first: dict[str, int] = {}
    return [(row, at) for row, sha in enumerate(sha256) if sha and (at := first.setdefault(sha, row)) != row]
