"""What annotation tools get: images with all their boxes, and what was found about each of them.

The writers beside this file only lay it out; class ids, lines and labels are the same in all of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from healtheat.core.progress import Progress, silent
from healtheat.core.verdicts import Place
from healtheat.findings.filters import LISTED, Filters, Findings
from healtheat.findings.query import query

# What goes with a box, under these names, in every format.
ATTRIBUTES = (
    "class_id",
    "line",
    "issue",
    "score",
    "status",
    "verdict",
    "relabel_to",
    "suggestion",
    "suspicion",
    "reason",
    "move_to",
)
_ROUNDING = 1e-9  # of shares of the image
SUSPICIOUS = ("confirmed", "flagged")  # what is handed over as a finding


@dataclass(frozen=True, slots=True)
class HandBox:
    """One box. `finding` is its row of `query` that leads, else the highest that is flagged or confirmed,
    None where none is; `issues` names the issues of all such rows, the leading one first. `judged` is what
    else is known: score, status, verdict. `corners` are those of an oriented box or polygon, else None.
    """

    box_id: int
    line: int
    class_id: int
    xywhn: tuple[float, float, float, float]
    confidence: float | None
    finding: Mapping[str, Any] | None
    issues: tuple[str, ...]
    judged: Mapping[str, Any] = field(default_factory=dict)
    corners: Any = None  # (k, 2) float64, shares of the image

    @property
    def move_to(self) -> Place | None:
        """Where a person wants the box instead; None for no other place."""
        found = self.finding or {}
        return place_of(found) if found.get("verdict") == "moved" else None

    def attributes(self) -> dict[str, Any]:
        """`ATTRIBUTES` of the box: plain values, None where there is none; `issue` is "" then."""
        found = self.finding or self.judged
        own = ("class_id", "line", "issue", "move_to")
        same = {name: found.get(name) for name in ATTRIBUTES if name not in own}
        to = None if self.move_to is None else " ".join(f"{value:g}" for value in self.move_to)
        head = {"class_id": self.class_id, "line": self.line, "issue": ",".join(self.issues)}
        return {**head, **same, "move_to": to}


@dataclass(frozen=True, slots=True)
class HandImage:
    """One image. `notes` are flagged or confirmed findings about no box, such as a missing one; `added` are
    the boxes that a person added, with ids behind those of the index and no line.
    """

    image_id: int
    path: str
    file: Path
    split: str
    label_file: str
    width_px: int
    height_px: int
    boxes: Sequence[HandBox]
    notes: Sequence[Mapping[str, Any]]
    added: Sequence[HandBox] = ()

    @property
    def labelled(self) -> bool:
        """Whether its boxes come from a label file; else a detector or `prelabel` proposed them."""
        return bool(self.label_file)

    @property
    def every_box(self) -> tuple[HandBox, ...]:
        """The boxes that are there, and those that a person added."""
        return (*self.boxes, *self.added)


class HandIndex(Findings, Protocol):
    """What a hand-off needs of an index."""

    @property
    def manifest(self) -> Any: ...
    def boxes(self) -> Any: ...
    def vectors(self, box_ids: Any) -> Any: ...
    def image_bytes(self, image_id: int) -> bytes: ...
    def check_source(self) -> None: ...


_NO_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")  # XML 1.0, section 2.2


def xml_text(text: str) -> str:
    """`text` without what no XML file may hold, escaped or not: control characters become U+FFFD."""
    return _NO_XML.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class HandOff:
    """Images to hand over, class names, and `labels`: one unambiguous text for each class id."""

    index: HandIndex  # for vectors and pixels
    images: list[HandImage]
    names: Mapping[int, str]
    labels: Mapping[int, str]
    unreadable: list[str] = field(default_factory=list)  # images left out: nobody can look at them
    progress: Progress = silent

    def label(self, class_id: int) -> str:
        """The text for a class id; the id itself for a class without a name."""
        return self.labels.get(class_id, str(class_id))

    def for_xml(self) -> Self:
        """The same with labels that an XML file may hold; still one for each class id."""
        from healtheat.sources.named.ids import unique_labels

        return replace(self, labels=unique_labels({i: xml_text(text) for i, text in self.labels.items()}))


def gather(index: HandIndex, filters: Filters, *, progress: Progress = silent) -> HandOff:
    """The images with a finding that passes the filters (with `flagged_only` false and no other filter: all),
    each with all of its boxes. What is cleared or below its threshold is no finding to hand over.
    """
    of_box: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    of_image: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in query(index, filters, sort="score").to_pylist():
        if row["box_id"] is not None and row["box_id"] >= 0:
            of_box[row["box_id"]].append(row)
        elif row["image"] is not None:
            of_image[row["image"]].append(row)
    index.check_source()
    everything = filters == Filters(flagged_only=False)
    boxes = _boxes(index, of_box)
    root = Path(index.manifest.source.root)
    images, unreadable = [], []
    next_id = 1 + max((box.box_id for own in boxes.values() for box in own), default=-1)
    for row in index.sql("select * from images order by image_id").to_pylist():
        own, notes = boxes[row["image_id"]], of_image[row["path"]]
        if not (everything or notes or any(box.box_id in of_box for box in own)):
            continue
        if not (row["width_px"] and row["height_px"]):
            unreadable.append(row["path"])
            continue
        added = _added(notes, next_id, index.names)
        next_id += len(added)
        images.append(
            HandImage(
                image_id=row["image_id"],
                path=row["path"],
                file=root / row["file"],
                split=row["split"],
                label_file=row["label_path"],
                width_px=row["width_px"],
                height_px=row["height_px"],
                boxes=own,
                notes=[n for n in notes if n["status"] in SUSPICIOUS and n["verdict"] != "added"],
                added=added,
            )
        )
    from healtheat.sources.named.ids import unique_labels  # `export --help` needs no NumPy

    return HandOff(index, images, dict(index.names), unique_labels(index.names), unreadable, progress)


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a person wants a box."""
    return row["to_cx"], row["to_cy"], row["to_w"], row["to_h"]


def _added(notes: Sequence[Mapping[str, Any]], first_id: int, names: Mapping[int, str]) -> list[HandBox]:
    """The boxes that a person added to an image, each once; of classes that there are."""
    found = {
        (note["relabel_to"], place_of(note)): note
        for note in notes
        if note["verdict"] == "added" and note["relabel_to"] in names
    }
    return [
        HandBox(first_id + n, -1, class_id, place, None, note, (note["issue"],))
        for n, ((class_id, place), note) in enumerate(found.items())
    ]


def _boxes(index: HandIndex, rows: Mapping[int, list[dict[str, Any]]]) -> Mapping[int, list[HandBox]]:
    """Image id → its boxes, with what `rows` (box id → findings that were asked for) say about them."""
    listed = {*query(index, Filters(statuses=LISTED))["box_id"].to_pylist()}  # for what was not asked
    boxes: defaultdict[int, list[HandBox]] = defaultdict(list)
    whole = index.boxes()
    corners = dict(zip(whole.box_id.tolist(), whole.corners, strict=True))
    columns = "box_id, image_id, line, class_id, cx, cy, w, h, confidence"
    for box in index.sql(f"select {columns} from boxes order by box_id").to_pylist():
        own = rows.get(box["box_id"], [])
        found = [row for row in own if row["status"] in SUSPICIOUS]
        found.sort(key=lambda row: not row["flagged"])  # what leads, then by score
        judged = {"status": None if box["box_id"] in listed else "unflagged"}
        if own:
            row = max(own, key=lambda row: row["status"] == "cleared")  # of equal ones the first, the highest
            judged = {name: row[name] for name in ("score", "status", "verdict", "suspicion")}
        boxes[box["image_id"]].append(
            HandBox(
                box_id=box["box_id"],
                line=box["line"],
                class_id=box["class_id"],
                xywhn=(box["cx"], box["cy"], box["w"], box["h"]),
                confidence=box["confidence"],
                finding=found[0] if found else None,
                issues=tuple(dict.fromkeys(row["issue"] for row in found)),
                judged=judged,
                corners=corners[box["box_id"]],
            )
        )
    return boxes


def xyxy_px(box: HandBox, image: HandImage) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in pixels of the upright image; may stick out, as in the label file."""
    cx, cy, w, h = box.xywhn
    return (
        (cx - w / 2) * image.width_px,
        (cy - h / 2) * image.height_px,
        (cx + w / 2) * image.width_px,
        (cy + h / 2) * image.height_px,
    )


def points_px(box: HandBox, image: HandImage) -> list[tuple[float, float]]:
    """The corners of an oriented box or polygon in pixels of the upright image; [] of an upright box."""
    if box.corners is None or _is_upright(box):
        return []
    return [(x * image.width_px, y * image.height_px) for x, y in box.corners.tolist()]


def bounds_its_box(box: HandBox) -> bool:
    """Whether the box is the smallest one around its corners, so that they say all. COCO's may differ."""
    if box.corners is None:
        return False
    low, high = box.corners.min(axis=0), box.corners.max(axis=0)
    found = (*((low + high) / 2).tolist(), *(high - low).tolist())
    return all(abs(a - b) <= _ROUNDING for a, b in zip(found, box.xywhn, strict=True))


def _is_upright(box: HandBox) -> bool:
    """Whether the corners are just those of the box, in any order."""
    cx, cy, w, h = box.xywhn
    of_box = [(cx + x * w / 2, cy + y * h / 2) for x in (-1, 1) for y in (-1, 1)]
    given = box.corners.tolist()
    return len(given) == len(of_box) and all(
        any(abs(x - a) <= _ROUNDING and abs(y - b) <= _ROUNDING for a, b in given) for x, y in of_box
    )
