"""What annotation tools get: photos with all their boxes, and what was found about each of them.

The writers beside this file only lay it out; class ids, lines and labels are the same in all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from healtheat.core.errors import InputError
from healtheat.findings.query import LISTED, Catalog, Filters, query

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
)
SUSPICIOUS = ("confirmed", "flagged")  # what is handed over as a finding


@dataclass(frozen=True, slots=True)
class HandBox:
    """One box. `finding` is its highest row of `query` that is flagged or confirmed, None where none is;
    `issues` names the issues of all such rows. `judged` is what else is known: score, status, verdict.
    """

    box_id: int
    line: int
    class_id: int
    xywhn: tuple[float, float, float, float]
    confidence: float | None
    finding: Mapping[str, Any] | None
    issues: tuple[str, ...]
    judged: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """`ATTRIBUTES` of the box: plain values, None where there is none; `issue` is "" then."""
        found = self.finding or self.judged
        same = {name: found.get(name) for name in ATTRIBUTES if name not in ("class_id", "line", "issue")}
        return {"class_id": self.class_id, "line": self.line, "issue": ",".join(self.issues), **same}


@dataclass(frozen=True, slots=True)
class HandPhoto:
    """One photo. `notes` are flagged or confirmed findings about no box, such as a missing one."""

    image_id: int
    path: str
    file: Path
    split: str
    label_file: str
    width_px: int
    height_px: int
    boxes: Sequence[HandBox]
    notes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class HandOff:
    """Photos to hand over, class names, and `labels`: one unambiguous text a class id."""

    photos: list[HandPhoto]
    names: Mapping[int, str]
    labels: Mapping[int, str]
    unreadable: list[str] = field(default_factory=list)  # photos left out: nobody can look at them


class HandIndex(Catalog, Protocol):
    """What a hand-off needs of an index."""

    @property
    def manifest(self) -> Any: ...


def gather(index: HandIndex, filters: Filters) -> HandOff:
    """The photos with a finding that passes the filters (with `flagged_only` false and no other filter: all),
    each with all of its boxes. What is cleared or below its threshold is no finding to hand over.
    """
    rows = query(index, filters, sort="score").to_pylist()
    of_box: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    of_photo: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["box_id"] is not None and row["box_id"] >= 0:
            of_box[row["box_id"]].append(row)
        elif row["image"] is not None:
            of_photo[row["image"]].append(row)
    everything = filters == Filters(flagged_only=False)
    listed = {*query(index, Filters(statuses=LISTED))["box_id"].to_pylist()}
    boxes: defaultdict[int, list[HandBox]] = defaultdict(list)
    columns = "box_id, image_id, line, class_id, cx, cy, w, h, confidence"
    for b in index.sql(f"select {columns} from boxes order by box_id").to_pylist():
        own = of_box.get(b["box_id"], [])
        found = [row for row in own if row["status"] in SUSPICIOUS]
        judged = {"status": None if b["box_id"] in listed else "unflagged"}  # listed: for what was not asked
        if own:
            row = max(own, key=lambda row: row["status"] == "cleared")  # of equal ones the first, the highest
            judged = {name: row[name] for name in ("score", "status", "verdict", "suspicion")}
        boxes[b["image_id"]].append(
            HandBox(
                b["box_id"],
                b["line"],
                b["class_id"],
                (b["cx"], b["cy"], b["w"], b["h"]),
                b["confidence"],
                found[0] if found else None,
                tuple(dict.fromkeys(row["issue"] for row in found)),
                judged,
            )
        )
    root = Path(index.manifest.source.root)
    photos, unreadable = [], []
    for i in index.sql("select * from images order by image_id").to_pylist():
        mine = boxes[i["image_id"]]
        if not (everything or of_photo.get(i["path"]) or any(box.box_id in of_box for box in mine)):
            continue
        if not (i["width_px"] and i["height_px"]):
            unreadable.append(i["path"])
            continue
        photos.append(
            HandPhoto(
                i["image_id"],
                i["path"],
                root / i["file"],
                i["split"],
                i["label_path"],
                i["width_px"],
                i["height_px"],
                mine,
                [row for row in of_photo.get(i["path"], []) if row["status"] in SUSPICIOUS],
            )
        )
    return HandOff(photos, dict(index.names), unique_labels(index.names), unreadable)


def files_of(format: str, to: Path) -> list[Path]:
    """The files that a hand-off in `format` to `to` consists of. Raises InputError where `to` names none."""
    if format == "fiftyone":
        return [to / "labels.json", to / "data.json"]
    if not to.name:
        raise InputError(f"{to}: is a folder; give a file")
    beside = {"cvat": ".labels.json", "labelstudio": ".config.xml"}.get(format)
    return [to] if beside is None else [to, to.with_suffix(beside)]


def unique_labels(names: Mapping[int, str]) -> dict[int, str]:
    """A text for each class id: its name where no other class has it, else the name with the id.

    Tools that know classes by name would merge two classes of one name.

    >>> unique_labels({0: "advil", 3: "advil", 7: "", 9: "정"})
    {0: 'advil (0)', 3: 'advil (3)', 7: '(7)', 9: '정'}
    """
    often = Counter(name.strip() for name in names.values())
    taken = {name.strip() for name in names.values() if often[name.strip()] == 1}
    out: dict[int, str] = {}
    for class_id, name in names.items():
        text = name.strip()
        if not text or often[text] > 1:
            text = f"{text} ({class_id})".strip()
            while text in taken:  # a class that is really called so
                text += f" ({class_id})"
            taken.add(text)
        out[class_id] = text
    return out


def xyxy_px(box: HandBox, photo: HandPhoto) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in pixels of the upright photo; may stick out, as in the label file."""
    cx, cy, w, h = box.xywhn
    return (
        (cx - w / 2) * photo.width_px,
        (cy - h / 2) * photo.height_px,
        (cx + w / 2) * photo.width_px,
        (cy + h / 2) * photo.height_px,
    )
