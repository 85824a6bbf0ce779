"""Everything a person should see of one finding before deciding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from healtheat.core.boxes import NO_CLASS
from healtheat.core.verdicts import Place
from healtheat.crops import pixel_boxes
from healtheat.index import Index
from healtheat.index.verdicts.log import Verdict
from healtheat.view.alike import Alike
from healtheat.view.badges import badges
from healtheat.view.worklist import WorkList

NEIGHBOURS = 4
MOST_BOXES = 200  # drawn on one image
_HIDDEN = {"box_id", "image_id", "class_id", "line", "file"}  # the page shows them elsewhere

_FINDING = """
SELECT f.* EXCLUDE (cx, cy, w, h), i.path, i.split, i.label_path, i.width_px, i.height_px,
    b.cx, b.cy, b.w, b.h, [f.cx, f.cy, f.w, f.h] AS place,
    b.confidence, b.sharpness, b.brightness, b.contrast,
    (SELECT max(s.raw) FROM scores s WHERE s.run_id = f.run_id AND s.signal = f.signal AND s.issue = f.issue
        AND s.box_id = f.box_id AND s.image_id = f.image_id AND s.score = f.score) AS raw
FROM findings f JOIN images i USING (image_id) LEFT JOIN boxes b USING (box_id) WHERE f.finding_id = ?
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One box on the image, in pixels of the image as `width_px`, `height_px` say."""

    box_id: int
    number: int
    class_id: int
    x: int
    y: int
    width: int
    height: int
    text_x: float  # left and bottom of its number
    text_y: float


class RowKind(StrEnum):
    """What crops are there to compare a box with."""

    TWIN = "twin"
    COPIES = "copies"
    TYPICAL = "typical"
    TYPICAL_MISSING = "typical_missing"
    TYPICAL_SUGGESTED = "typical_suggested"
    NEAREST_OWN = "nearest_own"
    NEAREST_SUGGESTED = "nearest_suggested"
    TRUSTED_OWN = "trusted_own"
    TRUSTED_SUGGESTED = "trusted_suggested"


_ROW_TITLES: Mapping[RowKind, str] = {
    RowKind.TWIN: "the other box",
    RowKind.COPIES: "its copies",
    RowKind.TYPICAL: "typical of its class",
    RowKind.TYPICAL_MISSING: "typical of the missing class",
    RowKind.TYPICAL_SUGGESTED: "typical of the suggested class",
    RowKind.NEAREST_OWN: "nearest in its class",
    RowKind.NEAREST_SUGGESTED: "nearest in the suggested class",
    RowKind.TRUSTED_OWN: "nearest trusted crops of its class",
    RowKind.TRUSTED_SUGGESTED: "nearest trusted crops of the suggested class",
}


@dataclass(frozen=True, slots=True)
class CropRow:
    """A strip of crops to compare with, and which boxes."""

    kind: RowKind
    box_ids: Sequence[int]

    @property
    def title(self) -> str:
        """What they are, in words."""
        return _ROW_TITLES[self.kind]

    @property
    def trusted(self) -> bool:
        """Whether the boxes are of the trusted index, not of this one."""
        return self.kind in (RowKind.TRUSTED_OWN, RowKind.TRUSTED_SUGGESTED)


@dataclass(frozen=True, slots=True)
class Sample:
    """One finding with its box, its image, its class, what it is like, and what was decided."""

    finding: Mapping[str, Any]
    boxes: Sequence[Drawn]
    more_boxes: int
    rows: Sequence[CropRow]
    measures: Mapping[str, str]
    others: Sequence[Mapping[str, Any]]  # what else was found on the box; `listed`: an entry of its own
    members: Sequence[Mapping[str, Any]]  # of the place, which a verdict decides with it; see `_members`
    decision: Verdict | None
    drawn: Sequence[Mapping[str, Any]] = ()  # boxes that people added to the image: seq, class_id, box

    @property
    def place(self) -> Place | None:
        """Where a box is missing, or where this one should be: as a person said, else as proposed."""
        said = self.decision
        if said is not None and said.box is not None and said.issue == self.finding["issue"]:
            return said.box
        found = self.finding["place"]
        return tuple(found) if self.places and None not in found else None

    def marks(self, names: Mapping[int, str]) -> list[tuple[Place, str, str]]:
        """Places to draw on the image, the own one last: where, its kind (drawn, spot), and words for it."""
        found = [
            (tuple(one["box"]), "drawn", f"added: {one['class_id']} {names.get(one['class_id'], '')}".strip())
            for one in self.drawn
        ]
        if self.place is not None:
            word = "a box is missing here" if self.places == "added" else "where this box should be"
            found.append((self.place, "spot", word))
        return found

    @property
    def places(self) -> str:
        """The verdict that a place belongs to: added, moved; "" where the finding is about no place."""
        issue = self.finding["issue"]
        if self.finding["width_px"] and issue == "missing_box":
            return "added"
        return "moved" if issue == "bad_box" and None not in self.finding["place"] else ""

    @property
    def has_box(self) -> bool:
        """Whether it is about one box; else it is about the image."""
        return int(self.finding["box_id"]) >= 0


class Gallery:
    """Gathers samples from an index."""

    def __init__(self, index: Index, work: WorkList, alike: Alike, trusted: Alike | None = None) -> None:
        """`trusted`: of the index that a vetted batch is compared with."""
        self._index = index
        self._work = work
        self._alike = alike
        self._trusted = trusted

    def get(self, finding_id: int) -> Sample:
        """Raises KeyError for a finding that is not in the work list."""
        decision = self._work.decision(finding_id)
        finding = self._index.sql(_FINDING, [finding_id]).to_pylist()[0]
        boxes, more = self._boxes(finding)
        members = self._members(finding)
        return Sample(
            finding=finding,
            boxes=boxes,
            more_boxes=more,
            rows=self._rows(finding, members),
            measures=_measures(finding, _shown_evidence(finding["evidence"])),
            others=self._others(finding),
            members=members,
            decision=decision,
            drawn=self._drawn(finding, decision),
        )

    def cards(self, finding_ids: Sequence[int]) -> list[dict[str, Any]]:
        """What a grid shows of several findings, in the order given; `verdict` is None where undecided.

        `also` are the other issues of the box that passed; `copies` and `exchanged` count what is decided
        with it.
        """
        if not finding_ids:
            return []
        marks = ", ".join("?" * len(finding_ids))
        found = self._index.sql(
            "SELECT f.finding_id, f.box_id, f.image_id, f.class_id, f.issue, f.score, f.reason, "
            "f.suggestion, i.path, (SELECT list(DISTINCT o.issue ORDER BY o.issue) FROM findings o "
            "WHERE f.box_id >= 0 AND o.box_id = f.box_id AND o.issue <> f.issue AND o.passed) AS also "
            "FROM findings f JOIN images i USING (image_id) "
            f"WHERE f.finding_id IN ({marks})",
            list(finding_ids),
        )
        by_id = {row["finding_id"]: row for row in found.to_pylist()}
        verdicts = dict(
            self._work.rows(
                f"SELECT finding_id, verdict FROM work WHERE finding_id IN ({marks})", finding_ids
            )
        )
        company = self._work.company(finding_ids)
        cards = []
        for one in (i for i in finding_ids if i in by_id):
            copies, exchanged = company.get(one, (0, 0))
            card = {**by_id[one], "copies": copies, "exchanged": exchanged}
            cards.append({**card, "also": card["also"] or [], "verdict": verdicts.get(one)})
        return cards

    def _boxes(self, finding: Mapping[str, Any]) -> tuple[list[Drawn], int]:
        found = self._index.sql(
            "SELECT box_id, line, class_id, cx, cy, w, h FROM boxes WHERE image_id = ? ORDER BY box_id",
            [finding["image_id"]],
        ).to_pylist()
        size = (int(finding["width_px"] or 0), int(finding["height_px"] or 0))
        if min(size) < 1:
            return [], 0
        xywhn = np.array([[r["cx"], r["cy"], r["w"], r["h"]] for r in found], np.float64).reshape(-1, 4)
        corners = pixel_boxes(xywhn, size)
        near = corners[:MOST_BOXES]
        at = badges(near.astype(np.float64), [str(n + 1) for n in range(len(near))], size)
        at += [(float(x), float(y)) for x, y in corners[MOST_BOXES:, :2]]
        shown = [
            Drawn(r["box_id"], n + 1, r["class_id"], x0, y0, x1 - x0, y1 - y0, *at[n])
            for n, (r, (x0, y0, x1, y1)) in enumerate(zip(found, corners.tolist(), strict=True))
        ]
        # The box it is about is drawn last, so that nothing covers it.
        kept = [box for box in shown if box.box_id != finding["box_id"]][: MOST_BOXES - 1]
        kept += [box for box in shown if box.box_id == finding["box_id"]]
        return kept, len(shown) - len(kept)

    def _drawn(self, finding: Mapping[str, Any], decision: Verdict | None) -> list[dict[str, Any]]:
        """Boxes that people added to the image, but for the one that is the place of this finding."""
        own = -1 if decision is None else decision.seq
        found: list[dict[str, Any]] = self._index.sql(
            "SELECT seq, relabel_to AS class_id, box FROM current_verdicts WHERE image_id = ? "
            "AND verdict = 'added' AND NOT there AND seq <> ? ORDER BY seq LIMIT ?",
            [finding["image_id"], own, MOST_BOXES],
        ).to_pylist()
        return found

    def _rows(self, finding: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> list[CropRow]:
        box_id, image_id = int(finding["box_id"]), int(finding["image_id"])
        own = NO_CLASS if finding["class_id"] is None else int(finding["class_id"])
        other = NO_CLASS if finding["suggestion"] is None else int(finding["suggestion"])
        found: list[tuple[RowKind, Sequence[int]]] = [(RowKind.TWIN, self._known(finding["twin_box_id"]))]
        copies = [one["box_id"] for one in members if one["box_id"] >= 0 and not one["exchanged"]]
        found.append((RowKind.COPIES, copies[:NEIGHBOURS]))
        found += self._trusted_rows(box_id, own, other)
        if own != NO_CLASS:
            kind = RowKind.TYPICAL if box_id >= 0 else RowKind.TYPICAL_MISSING
            found.append((kind, self._alike.typical(own, NEIGHBOURS)))
        if box_id >= 0:  # what it may be and what it is called, one above the other
            nearest = self._alike.nearest
            found.append((RowKind.NEAREST_SUGGESTED, nearest(box_id, image_id, other, NEIGHBOURS)))
            found.append((RowKind.NEAREST_OWN, nearest(box_id, image_id, own, NEIGHBOURS)))
        if other != NO_CLASS:
            found.append((RowKind.TYPICAL_SUGGESTED, self._alike.typical(other, NEIGHBOURS)))
        return [CropRow(kind, box_ids) for kind, box_ids in found if len(box_ids)]

    def _trusted_rows(self, box_id: int, own: int, other: int) -> list[tuple[RowKind, Sequence[int]]]:
        if self._trusted is None:
            return []
        if box_id < 0:
            return [(RowKind.TRUSTED_OWN, self._trusted.typical(own, NEIGHBOURS))]
        vector = self._index.vectors(np.array([box_id], np.int64))[0]
        rows = ((RowKind.TRUSTED_SUGGESTED, other), (RowKind.TRUSTED_OWN, own))
        return [(kind, self._trusted.like(vector, class_id, NEIGHBOURS)) for kind, class_id in rows]

    def _known(self, box_id: int | None) -> list[int]:
        """The box, if it is one of this index: a column is a file that anybody may have written."""
        if box_id is None or box_id < 0:
            return []
        return [box_id] * len(self._index.sql("SELECT 1 FROM boxes WHERE box_id = ?", [box_id]))

    def _others(self, finding: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Other findings of the same box that passed, or of the same image for one about the image."""
        same = "f.box_id = ?" if finding["box_id"] >= 0 else "f.box_id < 0 AND f.image_id = ?"
        number = finding["box_id"] if finding["box_id"] >= 0 else finding["image_id"]
        found = self._index.sql(
            f"SELECT f.finding_id, f.issue, f.score, f.reason FROM findings f WHERE {same} "
            "AND f.finding_id <> ? AND f.passed ORDER BY f.score DESC LIMIT 8",
            [number, finding["finding_id"]],
        ).to_pylist()
        out = []
        for row in found:
            try:
                decision, listed = self._work.decision(row["finding_id"]), True
            except KeyError:
                decision, listed = None, False
            out.append({**row, "listed": listed, "verdict": None if decision is None else decision.verdict})
        return out

    def _members(self, finding: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What one verdict decides together with this finding: box or image, where it is, and whether it is a
        box whose class is `exchanged` with this one; else it is a copy.
        """
        ids = self._work.together(finding["finding_id"])[1:]
        marks = ", ".join("?" * len(ids)) or "NULL"
        found = self._index.sql(
            "SELECT f.finding_id, f.box_id, f.image_id, f.class_id, f.line, i.path, "
            "f.class_id IS DISTINCT FROM ? AS exchanged "
            f"FROM findings f JOIN images i USING (image_id) WHERE f.finding_id IN ({marks})",
            [finding["class_id"], *ids],
        )
        by_id = {row["finding_id"]: row for row in found.to_pylist()}
        return [by_id[one] for one in ids if one in by_id]


def _measures(finding: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, str]:
    out = {"signal": str(finding["signal"])}
    for name in ("raw", "suspicion", "confidence", "sharpness", "brightness", "contrast"):
        value = finding[name]
        if value is not None and np.isfinite(value):
            out[name.replace("raw", "raw measure")] = f"{value:.4g}"
    if finding["w"] is not None and finding["width_px"]:
        out["box, px"] = (
            f"{finding['w'] * finding['width_px']:.0f} × {finding['h'] * finding['height_px']:.0f}"
        )
    for name, value in evidence.items():
        if name not in _HIDDEN and isinstance(value, int | float | str | bool):
            out[str(name)[:60].replace("_", " ")] = str(value)[:300]
    return out


def _shown_evidence(text: object) -> dict[str, Any]:
    """What a signal wrote down for people. Nothing is decided by it."""
    try:
        found = json.loads(str(text or "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
