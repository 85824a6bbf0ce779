"""The worst samples of each issue: what a person would look at first, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from healtheat.core.progress import Progress
from healtheat.view.inspection import Inspection
from healtheat.view.pictures import Picture, Pictures
from healtheat.view.samples import RowKind, Sample

STRIP = 3  # crops in a row to compare with
CROP_PX, IMAGE_PX, STRIP_PX = 280, 420, 112  # the longer side; shown smaller, so that print is sharp
_QUALITY = 80
_STRIPS = (RowKind.TWIN, RowKind.COPIES, RowKind.TYPICAL, RowKind.TYPICAL_MISSING, RowKind.NEAREST_SUGGESTED)


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
    image: str = ""
    strips: list[Strip] = field(default_factory=list)


def worst(
    inspection: Inspection, issues: Sequence[str], count: int, progress: Progress
) -> dict[str, list[Shown]]:
    """Issue → its `count` places with the highest scores that nobody called ok, highest first."""
    pictures = Pictures(inspection.index, quality=_QUALITY)
    chosen = {issue: _ids(inspection, issue, count) for issue in issues}
    total, done = sum(map(len, chosen.values())), 0
    found: dict[str, list[Shown]] = {}
    for issue, ids in chosen.items():
        found[issue] = []
        for rank, finding_id in enumerate(ids):
            found[issue].append(_shown(inspection.samples.get(finding_id), rank, pictures))
            done += 1
            progress("samples", done, total)
    return found


def pictures(found: Mapping[str, Sequence[Shown]]) -> list[str]:
    """All pictures, in the order in which they are kept: crops, then whole images, then crops to compare
    with; the worst samples first.
    """
    every = sorted((s for shown in found.values() for s in shown), key=lambda s: s.rank)
    strips = [crop for shown in every for strip in shown.strips for crop in strip.crops]
    return [p for p in (*(s.crop for s in every), *(s.image for s in every), *strips) if p]


def keep(found: Mapping[str, Sequence[Shown]], count: int) -> dict[str, list[Shown]]:
    """The same samples with the first `count` of `pictures` alone."""
    left = count

    def take(picture: str) -> str:
        nonlocal left
        left -= bool(picture)
        return picture if left >= 0 else ""

    copies = {issue: [replace(one) for one in shown] for issue, shown in found.items()}
    every = sorted((s for shown in copies.values() for s in shown), key=lambda s: s.rank)
    for shown in every:
        shown.crop = take(shown.crop)
    for shown in every:
        shown.image = take(shown.image)
    for shown in every:
        taken = (Strip(s.title, [crop for crop in map(take, s.crops) if crop]) for s in shown.strips)
        shown.strips = [strip for strip in taken if strip.crops]
    return copies


def _ids(inspection: Inspection, issue: str, count: int) -> list[int]:
    rows = inspection.work.rows(
        "SELECT finding_id FROM work WHERE issue = ? AND entry = finding_id "
        "AND coalesce(verdict, '') NOT IN ('ok', 'closed') ORDER BY by_score LIMIT ?",
        [issue, count],
    )
    return [int(row[0]) for row in rows]


def _shown(sample: Sample, rank: int, pictures: Pictures) -> Shown:
    finding = sample.finding
    strips = []
    for row in sample.rows:
        if row.kind in _STRIPS:
            crops = [_uri(pictures.crop(i, STRIP_PX)) for i in row.box_ids[:STRIP]]
            strips.append(Strip(row.title, [crop for crop in crops if crop]))
    crop = _uri(pictures.crop(finding["box_id"], CROP_PX)) if sample.has_box else ""
    image = _uri(pictures.image(finding["image_id"], IMAGE_PX))
    return Shown(sample, rank, crop, image, [s for s in strips if s.crops])


def _uri(picture: Picture) -> str:
    """ "" for an image that cannot be read or has changed since the build."""
    return "" if picture.problem else picture.data_uri
