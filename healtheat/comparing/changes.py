"""What happened to every box between two versions: one row for each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from healtheat.comparing.classes import ClassMatch
from healtheat.comparing.match import BoxPairs, ImagePairs, pair_boxes_of
from healtheat.core.boxes import Boxes, rows_of
from healtheat.sources.label_set import LabelSet

KINDS = ("added", "removed", "moved", "relabelled")

# A box that is moved and relabelled has two rows. What belongs to the old version is null for an added box,
# what belongs to the new one (`new_…`) for a removed one. Class ids and lines are those of their own files.
CHANGES_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("image", pa.string()),
        ("line", pa.int64()),  # 0-based
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("new_image", pa.string()),
        ("new_line", pa.int64()),
        ("new_class_id", pa.int64()),
        ("new_class_name", pa.string()),
        ("iou", pa.float64()),  # of the two places
        *((name, pa.float64()) for name in ("cx", "cy", "w", "h")),
        *((name, pa.float64()) for name in ("new_cx", "new_cy", "new_w", "new_h")),
        ("asked_for", pa.bool_()),  # whether a finding or a verdict of the old index wanted it; null without
    ]
)


@dataclass(slots=True)
class Fate:
    """What became of one old box: `kinds` (of KINDS; () for none), its class in the old numbers, and its row
    among the boxes of the new image, -1 where it was removed.
    """

    kinds: tuple[str, ...]
    class_id: int
    new_row: int = -1


@dataclass(slots=True)
class Compared:
    """The changes of all images that both versions have.

    `fates`: place of an old image → row of its boxes → fate. `added`: place of an old image → (class in the
    old numbers, xywhn, index in `rows`) of each box that was added. `row_of`: (image, box row, kind) → index
    in `rows`.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    fates: dict[int, dict[int, Fate]] = field(default_factory=dict)
    added: dict[int, list[tuple[int, Any, int]]] = field(default_factory=dict)
    row_of: dict[tuple[int, int, str], int] = field(default_factory=dict)
    same: int = 0  # boxes without a change
    rounded: int = 0  # of those, whose place differs by less than the tolerance
    crowded: int = 0  # images with too many boxes to look at every pair

    def table(self) -> pa.Table:
        """The rows, by image and line."""
        order = sorted(self.rows, key=_place)
        return pa.Table.from_pylist(order, CHANGES_SCHEMA)

    def counts(self) -> dict[str, int]:
        """Kind → how many rows, every kind."""
        found = Counter(row["kind"] for row in self.rows)
        return {kind: found[kind] for kind in KINDS}


def compare(
    old: LabelSet, new: LabelSet, images: ImagePairs, classes: ClassMatch, tolerance: float
) -> Compared:
    """Compare the boxes of the images that both have."""
    out = Compared()
    old_rows = rows_of(old.boxes.image_id, len(old.images))
    new_rows = rows_of(new.boxes.image_id, len(new.images))
    for place, there in enumerate(images.partner.tolist()):
        if there < 0:
            continue
        a, b = old.boxes[old_rows[place]], new.boxes[new_rows[there]]
        as_old = _mapped(b, classes)
        pairs = pair_boxes_of(a, b, as_old, tolerance)
        out.crowded += pairs.crowded
        side = _Image(old, new, place, there, a, b)
        _pairs(out, side, pairs, as_old)
        for n in sorted(set(range(len(a))) - set(pairs.old.tolist())):
            out.fates[place][n] = Fate(("removed",), int(a.class_id[n]))
            out.row_of[place, n, "removed"] = len(out.rows)
            out.rows.append(side.row("removed", n, None))
        for n in sorted(set(range(len(b))) - set(pairs.new.tolist())):
            out.added[place].append((int(as_old[n]), b.xyxyn[n], len(out.rows)))
            out.rows.append(side.row("added", None, n))
    return out


@dataclass(frozen=True, slots=True)
class _Image:
    """One image on both sides."""

    old: LabelSet
    new: LabelSet
    place: int
    there: int
    a: Boxes
    b: Boxes

    def row(self, kind: str, n: int | None, m: int | None, iou: float | None = None) -> dict[str, Any]:
        """A row about old box `n` and new box `m`."""
        path, new_path = self.old.images[self.place], self.new.images[self.there]
        return {
            "kind": kind,
            "image": path,
            "new_image": new_path,
            "iou": iou,
            **_half("", self.a, self.old.names, n),
            **_half("new_", self.b, self.new.names, m),
        }


def _half(prefix: str, boxes: Boxes, names: Mapping[int, str], n: int | None) -> dict[str, Any]:
    if n is None:
        return {}
    class_id = int(boxes.class_id[n])
    places = zip(("cx", "cy", "w", "h"), boxes.xywhn[n].tolist(), strict=True)
    return {
        f"{prefix}line": int(boxes.line[n]),
        f"{prefix}class_id": class_id,
        f"{prefix}class_name": names.get(class_id, ""),
        **{f"{prefix}{name}": value for name, value in places},
    }


def _mapped(boxes: Boxes, classes: ClassMatch) -> Any:
    ids = boxes.class_id.copy()
    for class_id in set(ids.tolist()):
        ids[boxes.class_id == class_id] = classes.old_id(class_id)
    return ids


def _pairs(out: Compared, side: _Image, pairs: BoxPairs, as_old: Any) -> None:
    fates = out.fates.setdefault(side.place, {})
    out.added.setdefault(side.place, [])
    for n, m, kinds, k in _kinds(side, pairs, as_old):
        fates[n] = Fate(kinds, int(as_old[m]), m)
        out.same += not kinds
        out.rounded += not kinds and not pairs.exact[k]
        for kind in kinds:
            out.row_of[side.place, n, kind] = len(out.rows)
            out.rows.append(side.row(kind, n, m, float(pairs.iou[k])))


def _kinds(side: _Image, pairs: BoxPairs, as_old: Any) -> Iterator[tuple[int, int, tuple[str, ...], int]]:
    for k, (n, m) in enumerate(zip(pairs.old.tolist(), pairs.new.tolist(), strict=True)):
        relabelled = int(side.a.class_id[n]) != int(as_old[m])
        found = (("moved", bool(pairs.moved[k])), ("relabelled", relabelled))
        yield n, m, tuple(kind for kind, is_so in found if is_so), k


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    line = row.get("line")
    return row["image"], line is None, line or 0, row.get("new_line") or 0, KINDS.index(row["kind"])
