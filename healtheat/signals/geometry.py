"""Is the box itself placed sensibly? Plain rules, then robust statistics against its class and its image.

Rules come first because frequent errors are not rare inside their class: a labeller that draws the whole
image for a third of a class moves that class's statistics, but not the rule. What breaking one is worth is
learned from the set: a box that covers its image is an error among small ones, and none among close-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healtheat.signals.base import Scores, Signal
from healtheat.signals.evidence.robust import chance_of_error, robust_z
from healtheat.signals.samples import Pool, Samples

Floats = NDArray[np.float64]
WORST_ASPECT, WORST_SIDE_PX = 100.0, 0.5  # where slivers end


@dataclass(frozen=True, slots=True)
class GeometryRule:
    """`value` (n,) in units of its limit, the `score` (n,) for it, and the words about box i."""

    key: str
    value: Floats
    score: Floats
    words: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Usual:
    """What the boxes of a class are like: learned from those that break no rule, and teach.

    Where most boxes of a class break one, that is how they are meant (one object fills each photo), and they
    teach it.
    """

    code: NDArray[np.int64]
    teaches: NDArray[np.bool_]
    convention_share: float

    def chance(self, value: Floats, limit: float, worst: float, least: float) -> Floats:
        """(n,) chance that a box whose `value` is from `limit` to `worst` is placed wrongly."""
        breaks = (value >= limit) & self.teaches
        count = np.bincount(self.code, self.teaches)
        share = np.bincount(self.code, breaks, minlength=len(count)) / np.maximum(count, 1)
        usual = (value < limit) | (share[self.code] > self.convention_share)
        errors = (limit, worst)
        return chance_of_error(
            np.minimum(value, worst), self.code, errors, usual=usual, teaches=self.teaches, least=least
        )


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
        over = z / self.z_limit
        odd = np.where(over >= 1, 0.3 + 0.2 * (1 - 1 / np.maximum(over, 1)), 0.2 * np.clip(over, 0, 1) ** 4)
        usual = Usual(samples.class_code, pool.teaches, self.convention_share)
        rules = (
            _class_rule(over, odd, z, np.where(z_size >= z_aspect, "size", "aspect")),
            *self._shape_rules(usual, aspect, sides_px),
            *self._place_rules(usual, share, outside),
        )
        raw = np.maximum.reduce([rule.value for rule in rules])
        each = np.stack([rule.score for rule in rules])
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

    def _shape_rules(self, usual: Usual, aspect: Floats, sides_px: Floats) -> tuple[GeometryRule, ...]:
        side_px = sides_px.min(axis=1)
        long = usual.chance(np.log(aspect), np.log(self.sliver_aspect), np.log(WORST_ASPECT), 0.1)
        thin = usual.chance(-np.log(side_px), -np.log(self.sliver_side_px), -np.log(WORST_SIDE_PX), 0.1)

        def words(i: int) -> str:
            return "a sliver: {:.0f} × {:.0f} px".format(*sides_px[i])

        return (
            GeometryRule("aspect_over_limit", aspect / self.sliver_aspect, long, words),
            GeometryRule("thin_over_limit", self.sliver_side_px / side_px, thin, words),
        )

    def _place_rules(self, usual: Usual, share: Floats, outside: Floats) -> tuple[GeometryRule, ...]:
        area = np.log(np.maximum(share, 1e-9))
        whole = usual.chance(area, np.log(self.whole_share), 0.0, 0.05)
        beyond = usual.chance(outside, self.outside_share, 1.0, 0.02)

        def covers(i: int) -> str:
            return f"covers {share[i]:.0%} of the image"

        def out(i: int) -> str:
            return f"{outside[i]:.0%} of it lies outside the image"

        return (
            GeometryRule("outside_over_limit", outside / self.outside_share, beyond, out),
            GeometryRule("whole_over_limit", share / self.whole_share, whole, covers),
        )


def _class_rule(over: Floats, odd: Floats, z: Floats, what: NDArray[np.str_]) -> GeometryRule:
    def words(i: int) -> str:
        return f"{what[i]} is {z[i]:.1f} robust deviations from its class"

    return GeometryRule("z_over_limit", over, odd, words)
