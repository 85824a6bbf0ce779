"""Judge the boxes of one batch by the model of an index: accept or hold, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, Boxes, box_number
from healtheat.core.text import counted
from healtheat.signals.evidence.beliefs import believe
from healtheat.signals.evidence.overlaps import doubled
from healtheat.signals.samples import Samples
from healtheat.vetting.decide import Mixture, accepted, typical
from healtheat.vetting.drift import Drift, drift
from healtheat.vetting.features import by_all, by_crop, features
from healtheat.vetting.fit import ReferenceBoxes
from healtheat.vetting.kinds import ALIKE, BACKGROUND, CLASS, MOVED, RIGHT, UNKNOWN
from healtheat.vetting.looks import Near, Sight, among_themselves, cosine_to_tiles
from healtheat.vetting.model import VetModel
from healtheat.vetting.trusted import Trusted

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_ORDINARY = 0.1  # p-value above which a box looks as usual
FEWEST_BOXES, FEWEST_SOURCES = 3, 2  # of a class, to judge boxes of it
_WRONG = 0.05  # share of wrong labels expected where the rest of an image is believed
_DOUBLE = 0.5

# What holds a box beside its looks, and the issue that it is reported as.
HELD_AS = {
    "class": "mislabel",
    "alike": "mislabel",
    "unknown": "mislabel",
    "moved": "bad_box",
    "background": "background",
    "few": "outlier",
    "leak": "duplicate",
    "double": "duplicate",
    "unlisted": "unexpected_class",
    "unsure": "mislabel",
    "person": "mislabel",
    "batch": "mislabel",  # it was refused as a whole
}


@dataclass(frozen=True)
class Decided:
    """m boxes of a batch. `score`: chance that the box is wrong, NaN where its looks were not judged.

    `p_value`: share of trusted boxes that look as wrong or worse (conformal, under "this box is right"), NaN
    likewise. `why`: what holds it ("" where accepted), a key of HELD_AS. `nearest` (m, 3): ids of the trusted
    boxes of its class (of the suggested one, where one is) that look most like it, and their `similarity`
    (cosine); -1 for none.
    `estimate`: the mixture that the batch was judged by; None where no box was judged by its looks.
    """

    accept: NDArray[np.bool_]
    score: Floats
    p_value: Floats
    why: NDArray[np.object_]
    reason: NDArray[np.object_]
    suggestion: Ids
    nearest: Ids
    similarity: NDArray[np.float32]
    estimate: Mixture | None
    judged: int
    expected_wrong: float
    drift: Drift | None


@dataclass
class Outside:
    """What is known of the boxes of a batch beside their looks: (m,) or by row.

    `person`: row → the decision of a person on it. `unlisted`: row → why its class is not on the image.
    """

    person: Mapping[int, str] = field(default_factory=dict)
    unlisted: Mapping[int, str] = field(default_factory=dict)


def judge(batch: Samples, trusted: Trusted, model: VetModel, outside: Outside, max_wrong: float) -> Decided:
    """Decide on every box of `batch`; among the accepted at most `max_wrong` are expected to be wrong."""
    judging = _Judging(batch, trusted, model)
    why, reason = judging.beside_looks(outside)
    rows = np.flatnonzero(why == "")
    m = len(batch)
    score, p_value = np.full(m, np.nan), np.full(m, np.nan)
    accept, suggestion = np.zeros(m, bool), np.full(m, NO_CLASS, np.int64)
    estimate, expected = None, np.nan
    if len(rows):
        like = model.kinds.log_likelihood(judging.features(rows))
        estimate = Mixture.of(like)
        accept[rows] = accepted(like, estimate, model.known, max_wrong)
        score[rows] = estimate.chance(like)
        right = model.known.kind == RIGHT
        of_right = estimate.against(model.known.log_likelihood[right])
        p_value[rows] = typical(estimate.against(like), of_right)
        expected = float(score[accept].mean()) if accept.any() else 0.0
        kind = estimate.likeliest(like)
        suggestion[rows] = judging.suggested(rows, kind)
        for at, row in enumerate(rows.tolist()):
            held = "" if accept[row] else _held_for(int(kind[at]), p_value[row], suggestion[row])
            reason[row] = judging.words(row, int(kind[at]), held, p_value[row], suggestion[row])
            why[row] = held
    for row, said in outside.person.items():
        accept[row] = said == "ok"
        why[row] = "" if accept[row] else "person"
    nearest, similarity = judging.nearest(suggestion)
    return Decided(
        accept=accept,
        score=score,
        p_value=p_value,
        why=why,
        reason=reason,
        suggestion=suggestion,
        nearest=nearest,
        similarity=similarity,
        estimate=estimate,
        judged=len(rows),
        expected_wrong=expected,
        drift=drift(model.nearest, judging.similarity, estimate) if len(rows) else None,
    )


_WHY = {CLASS: "class", ALIKE: "alike", MOVED: "moved", BACKGROUND: "background", UNKNOWN: "unknown"}


def _held_for(kind: int, p_value: float, suggestion: int) -> str:
    """What the looks of a box hold it for; an ordinary one is held for the batch it came in."""
    return "unsure" if p_value > _ORDINARY and suggestion == NO_CLASS else _WHY[kind]


def _places(boxes: Boxes, rows: NDArray[np.bool_]) -> Counter[tuple[float, ...]]:
    """Class and place of the boxes `rows` (n,), exact to a millionth of the image."""
    places = np.round(boxes.xywhn[rows], 6).tolist()
    return Counter((c, *place) for c, place in zip(boxes.class_id[rows].tolist(), places, strict=True))


class _Judging:
    """A batch beside the trusted boxes."""

    def __init__(self, batch: Samples, trusted: Trusted, model: VetModel) -> None:
        self.batch, self.trusted, self.model = batch, trusted, model
        c = len(model.class_ids)
        place = np.searchsorted(model.class_ids, batch.boxes.class_id).clip(max=c - 1)
        self.known = model.class_ids[place] == batch.boxes.class_id
        self.code = np.where(self.known, place, 0).astype(np.int64)
        group = trusted.groups_of(batch.images)
        near = Near.of(batch.vectors, group[batch.image_row], trusted, model.class_ids)
        to_tiles = cosine_to_tiles(batch.vectors, model.tiles)
        self.looks: Sight = model.eyes.see(batch.vectors, near, to_tiles)
        log_p = by_crop(self.looks, model.scales)
        belief = believe(log_p, self.code, _WRONG) * self.known[:, None]
        reference = np.flatnonzero(np.isin(trusted.images.image_id, model.reference))
        pool = ReferenceBoxes.of(trusted, model.class_ids, reference)
        first = len(trusted.images)
        self.context = pool.context(belief, first + batch.image_row, np.r_[trusted.image_group, group])
        self.log_p = by_all(self.looks, self.context, model.scales)
        self.among = among_themselves(batch.vectors, group[batch.image_row], len(trusted.boxes))
        self.similarity = near.to_class().max(axis=1)

    def features(self, rows: Ids) -> Floats:
        scales, among = self.model.scales, self.among
        return features(self.looks, self.context, self.code, scales, among=among)[rows]

    def beside_looks(self, outside: Outside) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """What holds each box whatever it looks like, "" where nothing does; and the reasons."""
        m = len(self.batch)
        why, reason = np.full(m, "", object), np.full(m, "", object)

        def hold(row: int, what: str, words: str) -> None:
            if not why[row]:
                why[row], reason[row] = what, words

        for row, said in outside.person.items():
            hold(row, "person", "a person called it right" if said == "ok" else f"a person said: {said}")
        for row, words in self._leaks().items():
            hold(row, "leak", words)
        for row in range(m):
            words = self._too_few(row)
            if words:
                hold(row, "few", words)
        for row, words in self._doubles().items():
            hold(row, "double", words)
        for row, words in outside.unlisted.items():
            hold(row, "unlisted", words)
        return why, reason

    def _too_few(self, row: int) -> str:
        class_id = int(self.batch.boxes.class_id[row])
        name = self.batch.name(class_id)
        if not self.known[row]:
            return f"no trusted box of {name} to compare with"
        boxes, sources = int(self.model.boxes[self.code[row]]), int(self.model.sources[self.code[row]])
        if boxes < FEWEST_BOXES or sources < FEWEST_SOURCES:
            return (
                f"{counted(boxes, 'trusted box', 'trusted boxes')} of {name} on images of "
                f"{counted(sources, 'source')}: too few to judge by ({FEWEST_BOXES} and {FEWEST_SOURCES})"
            )
        return ""

    def _leaks(self) -> dict[int, str]:
        """Boxes on images that the index holds with labels, by the content of the file."""
        images = self.trusted.images
        named = zip(images.sha256, images.status, strict=True)
        known_rows = [(row, sha) for row, (sha, status) in enumerate(named) if sha and status != "unlabelled"]
        held = {sha: row for row, sha in reversed(known_rows)}
        out: dict[int, str] = {}
        all_boxes = self.trusted.index.boxes()
        labels: dict[int, bool] = {}  # row of an image → whether its labels differ
        for row, place in enumerate(self.batch.image_row.tolist()):
            known = held.get(self.batch.images.sha256[place])
            if known is None:
                continue
            if place not in labels:
                mine = _places(self.batch.boxes, self.batch.image_row == place)
                labels[place] = mine != _places(all_boxes, all_boxes.image_id == images.image_id[known])
            other = " under other labels" if labels[place] else ""
            out[row] = f"the index holds this image already{other}: {images.path[known]}"
        return out

    def _doubles(self) -> dict[int, str]:
        """The worse of two boxes on one object, as overlaps are usual in this batch."""
        found = doubled(self.batch, np.ones(len(self.batch), bool))
        p = np.exp(self.log_p[np.arange(len(self.batch)), self.code]) * self.known
        out: dict[int, str] = {}
        for at in np.argsort(-found.chance, kind="stable").tolist():
            if found.chance[at] < _DOUBLE:
                break
            a, b = int(found.a[at]), int(found.b[at])
            worse, better = (a, b) if p[a] < p[b] else (b, a)
            if worse not in out and better not in out:
                line = box_number(int(self.batch.boxes.line[better]))
                out[worse] = f"a second box on the object of box {line} (IoU {found.iou[at]:.2f})"
        return out

    def suggested(self, rows: Ids, kind: Ids) -> Ids:
        """Class ids for boxes that look like another class, NO_CLASS for the others."""
        best = self.log_p[rows].argmax(axis=1)
        other = (best != self.code[rows]) & np.isin(kind, (CLASS, ALIKE))
        return np.where(other, self.model.class_ids[best], NO_CLASS)

    def nearest(self, suggestion: Ids) -> tuple[Ids, NDArray[np.float32]]:
        """(m, 3) ids of the trusted boxes nearest in the class suggested, else in the given one; cosines."""
        code = np.searchsorted(self.model.class_ids, suggestion).clip(max=len(self.model.class_ids) - 1)
        code = np.where(suggestion == NO_CLASS, self.code, code)
        at = np.arange(len(code))
        there = (self.known | (suggestion != NO_CLASS))[:, None]
        near = self.looks.near
        return np.where(there, near.ids[at, code], -1), np.where(there, near.similarity[at, code], -1)

    def words(self, row: int, kind: int, held: str, p_value: float, suggestion: int) -> str:
        """Why the box is accepted, or `held` for what it is, for people."""
        name = self.batch.name(int(self.batch.boxes.class_id[row]))
        if held == "unsure" or (not held and p_value > _ORDINARY):
            usual = f"as usual for {name}: {p_value:.0%} of trusted boxes look as odd or odder"
            return f"{usual}, yet not sure enough among so many wrong ones" if held else usual
        rare = f"{p_value:.1%} of trusted boxes look as odd or odder"
        if suggestion != NO_CLASS:
            own = float(np.exp(self.log_p[row, self.code[row]]))
            other = float(np.exp(self.log_p[row].max()))
            return f"looks like {self.batch.name(suggestion)} ({other:.0%}), not {name} ({own:.0%}); {rare}"
        if kind == MOVED:
            return f"the box seems to be off its object, or to cut it; {rare}"
        if kind == BACKGROUND:
            return f"looks like background; {rare}"
        if kind == UNKNOWN:
            return f"looks like no trusted {name}, nor clearly like another class; {rare}"
        return f"unlike trusted boxes of {name}; {rare}"
