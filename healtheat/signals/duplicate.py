"""Is the same thing there twice? The same pill boxed twice, the same crop or image under two names.

Copies of one image that a tool made on purpose (one source group) are no news: they count only when their
labels contradict each other or when they stand in two splits, where the model is tested on what it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from healtheat.core.overlap import iou
from healtheat.signals.base import NO_BOX, Scores, Signal
from healtheat.signals.samples import Pool, Samples


def hamming(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Differing bits of two arrays of hashes."""
    return np.asarray(np.bitwise_count(a ^ b), np.int64)


class Duplicate(Signal):
    """Issue duplicate. Raw: IoU with the other box of the image, or cosine similarity of the two crops."""

    name = "duplicate"
    issues = ("duplicate",)

    def __init__(
        self, *, iou_limit: float = 0.5, similarity: float = 0.97, crop_bits: int = 6, image_bits: int = 3
    ) -> None:
        self.iou_limit = iou_limit
        self.similarity = similarity  # cosine of two crops that may be the same
        self.crop_bits = crop_bits  # difference-hash bits in which the same crop may differ
        self.image_bits = image_bits

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        pool = Pool.of(queries, store)
        samples, judged = pool.samples, pool.judged
        n = len(samples)
        score, raw = np.zeros(n), np.zeros(n)
        reason = [""] * n
        twin_box_id = np.full(n, NO_BOX, np.int64)
        evidence: list[dict[str, object]] = [{} for _ in range(n)]

        def offer(row: int, twin: int, value: float, measured: float, words: str) -> None:
            raw[row] = max(raw[row], measured)
            if value > score[row]:
                score[row], reason[row] = value, words
                twin_box_id[row] = samples.boxes.box_id[twin]
                evidence[row] = {
                    "box_id": int(samples.boxes.box_id[twin]),
                    "class_id": int(samples.boxes.class_id[twin]),
                    "measured": round(measured, 4),
                }

        self._boxed_twice(samples, offer)
        self._same_crop(pool, offer)
        out = []
        if len(queries):
            rows = Scores.of(
                self,
                "duplicate",
                queries,
                raw=raw[judged],
                score=score[judged],
                reason=[reason[row] for row in judged],
                twin_box_id=twin_box_id[judged],
                evidence=[evidence[row] for row in judged],
            )
            out.append(rows)
        images = self._same_image(samples, queries.images.image_id)
        if images is not None:
            out.append(images)
        return out

    def _boxed_twice(self, samples: Samples, offer) -> None:  # type: ignore[no-untyped-def]
        image = samples.image_row
        order = np.argsort(image, kind="stable")
        cuts = np.flatnonzero(np.diff(image[order])) + 1
        corners, class_id = samples.boxes.xyxyn, samples.boxes.class_id
        for rows in np.split(order, cuts):
            if len(rows) < 2:
                continue
            overlap = iou(corners[rows], corners[rows])
            np.fill_diagonal(overlap, 0)
            for i, j in zip(*np.nonzero(overlap >= self.iou_limit), strict=True):
                a, b, value = int(rows[i]), int(rows[j]), float(overlap[i, j])
                differ = class_id[a] != class_id[b]
                base = 0.75 + 0.2 * (value - self.iou_limit) / (1 - self.iou_limit)
                words = f"overlaps another box of the image by IoU {value:.2f}"
                if differ:
                    words += f", which is labelled {samples.name(class_id[b])}"
                offer(a, b, base + (0.04 if differ else 0.0), value, words)

    def _same_crop(self, pool: Pool, offer) -> None:  # type: ignore[no-untyped-def]
        samples = pool.samples
        near, similarity = pool.neighbours.near, pool.neighbours.near_similarity
        row, place = np.nonzero((near >= 0) & (similarity >= self.similarity))
        twin = near[row, place]
        hashes = samples.measures["dhash"].astype(np.uint64)
        if (hashes != 0).any():
            close = hamming(hashes[row], hashes[twin]) <= self.crop_bits
        else:  # crops without hashes: only the embedding can tell, so ask more of it
            close = similarity[row, place] >= 0.9999
        split = samples.images.split[samples.image_row]
        for a, b, s in zip(row[close], twin[close], similarity[row, place][close], strict=True):
            if samples.boxes.image_id[a] == samples.boxes.image_id[b]:
                continue  # two objects of one class on one image look alike; boxed twice is seen above
            class_id = samples.boxes.class_id
            where = f"box {samples.boxes.line[b]} of {samples.images.path[samples.image_row[b]]}"
            if class_id[a] != class_id[b]:
                value, words = 0.7, f"same crop as {where}, which is labelled {samples.name(class_id[b])}"
            elif split[a] != split[b]:
                value, words = 0.35, f"same crop as {where}, in the other split {split[b]}"
            elif samples.group[a] != samples.group[b]:
                value, words = 0.3, f"same crop as {where}"
            else:
                value, words = 0.05, f"copy of one source: same crop as {where}"
            offer(int(a), int(b), value, float(s), words)

    def _same_image(self, samples: Samples, asked: NDArray[np.int64]) -> Scores | None:
        """Rows about images that are there already; `asked` are the ids of the last images of `samples`."""
        images = samples.images
        p, first_asked = len(images), len(images) - len(asked)
        keys: dict[str, int] = {}
        first = np.full(p, -1, np.int64)
        for row, sha in enumerate(images.sha256):
            if sha:
                first[row] = keys.setdefault(sha, row)
        exact = (first >= 0) & (first != np.arange(p))
        pairs = [(int(r), int(first[r]), "is the same file as") for r in np.flatnonzero(exact)]
        if len(samples.image_dhash) == p and p > 1:
            bits = np.bitwise_count(samples.image_dhash)
            rows = np.flatnonzero((bits >= 8) & (bits <= 56) & ~exact)  # an empty hash says nothing
            if len(rows) > 1:
                index = faiss.IndexBinaryFlat(64)
                packed = samples.image_dhash[rows].view(np.uint8).reshape(-1, 8)
                index.add(packed)
                distance, found = index.search(packed, min(4, len(rows)))
                for i, j in zip(*np.nonzero(distance <= self.image_bits), strict=True):
                    a, b = int(rows[i]), int(rows[found[i, j]])
                    if a > b and images.group_key[a] != images.group_key[b]:
                        pairs.append((a, b, "looks the same as"))
        if not pairs:
            return None
        best: dict[int, tuple[int, str]] = {}
        for a, b, words in pairs:
            best.setdefault(a, (b, words))
        rows_of = [a for a in sorted(best) if a >= first_asked]
        if not rows_of:
            return None
        across = [images.split[a] != images.split[best[a][0]] for a in rows_of]
        return Scores.of_images(
            self,
            "duplicate",
            image_id=[int(asked[a - first_asked]) for a in rows_of],
            score=[0.85 if x else 0.6 for x in across],
            reason=[
                f"{best[a][1]} {images.path[best[a][0]]}"
                + (f", in split {images.split[best[a][0]]}" if x else "")
                for a, x in zip(rows_of, across, strict=True)
            ],
            evidence=[{"image_id": int(images.image_id[best[a][0]])} for a in rows_of],
        )
