"""Is the box itself placed sensibly? Plain rules, then robust statistics against its class and its photo.

Rules come first because frequent errors are not rare inside their class: a labeller that draws the whole
photo for a third of a class moves that class's statistics, but not the rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.base import Samples, Scores, Signal
from healtheat.signals.robust import robust_z

Floats = NDArray[np.float64]


def photo_scale(area: Floats, code: NDArray[np.int64], image: NDArray[np.int64]) -> Floats:
    """(n,) by how much (log) the photo's other boxes are larger than usual for their class; NaN if alone."""
    residual = np.zeros(len(area))
    for c in np.unique(code):
        residual[code == c] = area[code == c] - np.median(area[code == c])
    out = np.full(len(area), np.nan)
    order = np.argsort(image, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(image[order]) != 0]) if len(order) else np.zeros(0, np.int64)
    for rows in np.split(order, starts[1:]):
        for i, row in enumerate(rows):
            others = np.delete(rows, i)
            if len(others):
                out[row] = np.median(residual[others])
    return out


class Geometry(Signal):
    """Issue bad_box. Raw: the largest of the measures below in units of its own limit (1 = at the limit)."""

    name = "geometry"
    issues = ("bad_box",)

    def __init__(
        self,
        *,
        whole_share: float = 0.85,
        sliver_aspect: float = 8.0,
        sliver_side_px: float = 6.0,
        outside_share: float = 0.05,
        z_limit: float = 6.0,
        convention_share: float = 0.6,
    ) -> None:
        self.whole_share = whole_share  # share of the photo from which a box counts as the whole photo
        self.sliver_aspect = sliver_aspect  # long side : short side
        self.sliver_side_px = sliver_side_px  # short side
        self.outside_share = outside_share  # share of the box that lies outside the photo
        self.z_limit = z_limit  # robust standard deviations from the class
        self.convention_share = (
            convention_share  # if more boxes than this break a rule, it is how this set is made
        )

    def measure(self, samples: Samples) -> Sequence[Scores]:
        n = len(samples)
        boxes = samples.boxes
        size = np.stack([samples.images.width_px, samples.images.height_px], axis=1)[samples.image_row]
        size_px = np.where(size > 0, size, 1000).astype(np.float64)
        wh = boxes.xywhn[:, 2:]
        sides_px = np.maximum(wh * size_px, 1e-6)
        share = wh[:, 0] * wh[:, 1]
        aspect = sides_px.max(axis=1) / sides_px.min(axis=1)
        corners = boxes.xyxyn
        inside = np.maximum(np.minimum(corners[:, 2:], 1) - np.maximum(corners[:, :2], 0), 0).prod(axis=1)
        outside = 1 - inside / np.maximum(share, 1e-12)
        outside[outside < 1e-9] = 0
        touching = np.isclose(np.clip(corners, 0, 1), [0, 0, 1, 1], atol=0.002).sum(axis=1)
        log_area = np.log(sides_px.prod(axis=1) / size_px.prod(axis=1))
        scale = photo_scale(log_area, samples.class_code, samples.image_row)
        to_class = robust_z(log_area, samples.class_code)
        to_photo = robust_z(log_area - np.nan_to_num(scale), samples.class_code)
        z_size = np.minimum(to_class, to_photo)  # a photo taken from nearer explains a large box
        z_aspect = robust_z(np.log(aspect), samples.class_code)

        whole = share / self.whole_share
        sliver = np.maximum(aspect / self.sliver_aspect, self.sliver_side_px / sides_px.min(axis=1))
        beyond = outside / self.outside_share
        usual = {
            name: (values >= 1).mean() > self.convention_share if n else False
            for name, values in (("whole", whole), ("sliver", sliver), ("outside", beyond))
        }
        score = np.zeros(n)
        raw = np.zeros(n)
        reason = np.full(n, "", object)
        found: list[dict[str, object]] = [{} for _ in range(n)]

        def offer(
            value: Floats, limit_score: float, floor: float, soft: bool, words: list[str], key: str
        ) -> None:
            """Score `limit_score` and above from the limit on, falling to `floor` well below it."""
            own = np.where(value >= 1, limit_score + (1 - limit_score) * (1 - 1 / np.maximum(value, 1)), 0.0)
            own = np.maximum(own, floor * np.clip(value, 0, 1) ** 4)
            own = own * (0.2 if soft else 1.0)
            np.maximum(raw, value, out=raw)
            better = own > score
            score[better] = own[better]
            for row in np.flatnonzero(better):
                reason[row] = words[row]
                found[row] = {key: round(float(value[row]), 3)}

        offer(
            np.maximum(z_size, z_aspect) / self.z_limit,
            0.3,
            0.2,
            False,
            [
                f"{'size' if a >= b else 'aspect'} is {max(a, b):.1f} robust deviations from its class"
                for a, b in zip(z_size, z_aspect, strict=True)
            ],
            "z_over_limit",
        )
        offer(
            touching / 4, 0.5, 0.1, False, [f"touches {t} sides of the photo" for t in touching], "touching"
        )
        offer(
            beyond,
            0.7,
            0.1,
            usual["outside"],
            [f"{v:.0%} of it lies outside the photo" for v in outside],
            "outside",
        )
        offer(
            sliver,
            0.8,
            0.1,
            usual["sliver"],
            [f"a sliver: {a:.0f} × {b:.0f} px" for a, b in sides_px],
            "sliver_over_limit",
        )
        offer(
            whole,
            0.97,
            0.3,
            usual["whole"],
            [f"covers {v:.0%} of the photo" for v in share],
            "whole_over_limit",
        )
        return [
            Scores.of(
                self,
                "bad_box",
                samples,
                raw=raw,
                score=np.clip(score, 0, 1),
                reason=list(reason),
                evidence=found,
            )
        ]
