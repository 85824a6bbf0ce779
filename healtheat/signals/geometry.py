"""Is the box itself placed sensibly? Plain rules, then robust statistics against its class and its image.

Rules come first because frequent errors are not rare inside their class: a labeller that draws the whole
image for a third of a class moves that class's statistics, but not the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.robust import robust_z
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GeometryRule:
    """`value` (n,) in units of its limit; the score is `at` there, grows to `top`, falls from `below`."""

    key: str
    value: Floats
    at: float
    top: float
    below: float
    words: Callable[[int], str]

    def score(self, convention_share: float, teaches: NDArray[np.bool_]) -> Floats:
        """(n,) a fifth where more than `convention_share` of the boxes that teach break it: a convention."""
        v, known = self.value, self.value[teaches]
        above = self.at + (self.top - self.at) * (1 - 1 / np.maximum(v, 1))
        out = np.where(v >= 1, above, self.below * np.clip(v, 0, 1) ** 4)
        return np.asarray(out * (0.2 if len(known) and (known >= 1).mean() > convention_share else 1.0))


def image_scale(
    area: Floats,
    code: NDArray[np.int64],
    image: NDArray[np.int64],
    usual: NDArray[np.bool_] | None = None,
    teaches: NDArray[np.bool_] | None = None,
) -> Floats:
    """(n,) by how much (log) the image's other boxes are larger than usual for their class; NaN if alone.

    Boxes that are not `usual` (n,) say nothing about their image; what is usual for a class is learned from
    usual boxes that `teaches` (n,) marks. Both are all boxes by default.
    """
    usual = np.ones(len(area), bool) if usual is None else usual
    known = usual if teaches is None else usual & teaches
    residual = np.zeros(len(area))
    for c in np.unique(code):
        own = code == c
        residual[own] = area[own] - np.median(area[own & known] if (own & known).any() else area[own])
    out = np.full(len(area), np.nan)
    order = np.argsort(image, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(image[order]) != 0]) if len(order) else np.zeros(0, np.int64)
    for rows in np.split(order, starts[1:]):
        for i, row in enumerate(rows):
            others = np.delete(rows, i)
            others = others[usual[others]]
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
        self.whole_share = whole_share  # share of the image from which a box counts as the whole image
        self.sliver_aspect = sliver_aspect  # long side : short side
        self.sliver_side_px = sliver_side_px  # short side
        self.outside_share = outside_share  # share of the box that lies outside the image
        self.z_limit = z_limit  # robust standard deviations from the class
        self.convention_share = (
            convention_share  # if more boxes than this break a rule, it is how this set is made
        )

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        pool = Pool.of(queries, store)
        samples, boxes = pool.samples, pool.samples.boxes
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
        whole = share / self.whole_share
        sliver = np.maximum(aspect / self.sliver_aspect, self.sliver_side_px / sides_px.min(axis=1))
        beyond = outside / self.outside_share
        fine = np.maximum.reduce([whole, sliver, beyond]) < 1  # only these say what is usual
        known = fine & pool.teaches
        log_area = np.log(sides_px.prod(axis=1) / size_px.prod(axis=1))
        scale = image_scale(log_area, samples.class_code, samples.image_row, fine, pool.teaches)
        to_class = robust_z(log_area, samples.class_code, usual=known)
        to_image = robust_z(log_area - np.nan_to_num(scale), samples.class_code, usual=known)
        z_size = np.minimum(to_class, to_image)  # an image taken from nearer explains a large box
        z_aspect = robust_z(np.log(aspect), samples.class_code, usual=known)
        z = np.maximum(z_size, z_aspect)
        rules = (
            *_class_rules(z / self.z_limit, z, np.where(z_size >= z_aspect, "size", "aspect")),
            *_place_rules(touching, beyond, outside),
            *_shape_rules(sliver, sides_px, whole, share),
        )
        raw = np.maximum.reduce([rule.value for rule in rules])
        each = np.stack([rule.score(self.convention_share, pool.teaches) for rule in rules])
        score, first = each.max(axis=0, initial=0.0), each.argmax(axis=0)
        judged = pool.judged
        reason = [rules[first[i]].words(i) for i in judged]
        found = [{rules[first[i]].key: round(float(rules[first[i]].value[i]), 3)} for i in judged]
        return [
            Scores.of(
                self,
                "bad_box",
                queries,
                raw=raw[judged],
                score=np.clip(score[judged], 0, 1),
                reason=reason,
                evidence=found,
            )
        ]


def _class_rules(over: Floats, z: Floats, what: NDArray[np.str_]) -> tuple[GeometryRule, ...]:
    def words(i: int) -> str:
        return f"{what[i]} is {z[i]:.1f} robust deviations from its class"

    return (GeometryRule("z_over_limit", over, 0.3, 0.5, 0.2, words),)


def _place_rules(touching: NDArray[np.int64], beyond: Floats, outside: Floats) -> tuple[GeometryRule, ...]:
    def sides(i: int) -> str:
        return f"touches {touching[i]} sides of the image"

    def share(i: int) -> str:
        return f"{outside[i]:.0%} of it lies outside the image"

    return (
        GeometryRule("sides_touched", touching / 4, 0.5, 0.5, 0.1, sides),
        GeometryRule("outside_over_limit", beyond, 0.7, 1.0, 0.1, share),
    )


def _shape_rules(sliver: Floats, sides_px: Floats, whole: Floats, share: Floats) -> tuple[GeometryRule, ...]:
    def thin(i: int) -> str:
        return "a sliver: {:.0f} × {:.0f} px".format(*sides_px[i])

    def covers(i: int) -> str:
        return f"covers {share[i]:.0%} of the image"

    return (
        GeometryRule("sliver_over_limit", sliver, 0.8, 1.0, 0.1, thin),
        GeometryRule("whole_over_limit", whole, 0.97, 1.0, 0.3, covers),
    )
