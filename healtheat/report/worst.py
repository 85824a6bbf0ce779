"""The worst samples of each issue: what a person would look at first, and what was decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from healtheat.progress import Progress
from healtheat.report.pictures import STRIP_PX, Pictures
from healtheat.review.samples import Sample
from healtheat.review.state import Review

STRIP = 3  # crops in a row to compare with
_STRIPS = (
    "the other box",
    "typical of its class",
    "typical of the missing class",
    "nearest in the suggested class",
)


@dataclass(frozen=True, slots=True)
class Strip:
    """Crops to compare with: data URIs."""

    title: str
    crops: list[str]


@dataclass(slots=True)
class Shown:
    """A sample and its pictures as data URIs, "" where there is none; `rank` 0 is the worst of its issue."""

    sample: Sample
    rank: int
    crop: str = ""
    photo: str = ""
    strips: list[Strip] = field(default_factory=list)


def worst(review: Review, issues: Sequence[str], count: int, progress: Progress) -> dict[str, list[Shown]]:
    """Issue → its `count` highest scores that nobody called ok, highest first."""
    pictures = Pictures(review.index)
    chosen = {issue: _ids(review, issue, count) for issue in issues}
    total, done = sum(map(len, chosen.values())), 0
    found: dict[str, list[Shown]] = {}
    for issue, ids in chosen.items():
        found[issue] = []
        for rank, finding_id in enumerate(ids):
            found[issue].append(_shown(review.samples.get(finding_id), rank, pictures))
            done += 1
            progress("samples", done, total)
    return found


def fit(found: dict[str, list[Shown]], budget_bytes: int) -> tuple[int, int]:
    """Take pictures away until the rest fits `budget_bytes`: (bytes kept, pictures taken away).

    Crops go first into the file, then whole photos, then crops to compare with; the worst samples first.
    """
    every = sorted((s for shown in found.values() for s in shown), key=lambda s: s.rank)
    kept = lost = 0
    full = False  # nothing less important takes a place that something more important did not fit in

    def take(picture: str) -> str:
        nonlocal kept, lost, full
        full = full or kept + len(picture) > budget_bytes
        if full and picture:
            lost += 1
            return ""
        kept += len(picture)
        return picture

    for shown in every:
        shown.crop = take(shown.crop)
    for shown in every:
        shown.photo = take(shown.photo)
    for shown in every:
        for strip in shown.strips:
            strip.crops[:] = [crop for crop in map(take, strip.crops) if crop]
        shown.strips[:] = [strip for strip in shown.strips if strip.crops]
    return kept, lost


def _ids(review: Review, issue: str, count: int) -> list[int]:
    rows = review.work.rows(
        "SELECT finding_id FROM work WHERE issue = ? AND verdict IS DISTINCT FROM 'ok' "
        "ORDER BY by_score LIMIT ?",
        [issue, count],
    )
    return [int(row[0]) for row in rows]


def _shown(sample: Sample, rank: int, pictures: Pictures) -> Shown:
    finding = sample.finding
    strips = []
    for row in sample.rows:
        if row.title in _STRIPS:
            crops = [pictures.crop(i, STRIP_PX) for i in row.box_ids[:STRIP]]
            strips.append(Strip(row.title, [crop for crop in crops if crop]))
    crop = pictures.crop(finding["box_id"]) if sample.has_box else ""
    return Shown(sample, rank, crop, pictures.photo(finding["image_id"]), [s for s in strips if s.crops])
