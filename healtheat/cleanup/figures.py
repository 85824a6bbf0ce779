"""A cleanup in figures: for the terminal, for programs and for the JSON beside its lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from healtheat.cleanup.rows import Drop

if TYPE_CHECKING:
    from healtheat.cleanup.plan import Plan


@dataclass(frozen=True, slots=True)
class Figures:
    """What a cleanup does, planned or done.

    `boxes_out` and `images_out` count findings by issue, the most frequent first; "" stands for what no
    finding decided, such as lines and images that cannot be read. `held_back` counts reasons.
    """

    root: Path
    drop: Drop
    images: Mapping[str, tuple[int, int]]  # split → (images kept, images in all)
    boxes: Mapping[int, tuple[int, int]]  # class id → (boxes kept, boxes in all)
    names: Mapping[int, str]
    findings: Mapping[str, int]  # issue → findings that decided it
    boxes_out: Mapping[str, int]
    images_out: Mapping[str, int]
    lines_removed: int
    images_removed: int
    files_edited: int
    files_removed: int
    relabels: int
    held_back: Mapping[str, int]
    emptied: tuple[str, ...]  # images that stay but keep no box

    @classmethod
    def of(cls, plan: Plan) -> Figures:
        """The figures of a plan."""
        return cls(
            root=plan.root,
            drop=plan.drop,
            images=plan.by_split(),
            boxes=plan.boxes,
            names=plan.names,
            findings=_counted(plan.findings["issue"].to_pylist()),
            boxes_out=_counted([row.issue for row in plan.left_out if row.left_out == "box"]),
            images_out=_counted([row.issue for row in plan.left_out if row.left_out == "image"]),
            lines_removed=sum(len(image.lines_out) for image in plan.images),
            images_removed=sum(bool(image.left_out) for image in plan.images),
            files_edited=sum(edit.kind != "file" for edit in plan.edits),
            files_removed=sum(edit.kind == "file" for edit in plan.edits),
            relabels=len(plan.relabels),
            held_back=_counted([row.why for row in plan.held_back]),
            emptied=tuple(plan.emptied),
        )

    @property
    def boxes_kept(self) -> tuple[int, int]:
        """(boxes kept, boxes in all)."""
        return sum(kept for kept, _ in self.boxes.values()), sum(of for _, of in self.boxes.values())

    @property
    def images_kept(self) -> tuple[int, int]:
        """(images kept, images in all)."""
        return sum(kept for kept, _ in self.images.values()), sum(of for _, of in self.images.values())

    def halved(self) -> list[tuple[int, int, int]]:
        """Classes that lose more than half of their boxes: (class id, boxes kept, boxes in all)."""
        return [(class_id, kept, of) for class_id, (kept, of) in self.boxes.items() if kept < of / 2]

    def summary(self) -> dict[str, object]:
        """JSON-able, for the file beside the lists."""
        kept, of = self.boxes_kept
        return {
            "drop": self.drop,
            "images": {split or "images": {"kept": k, "of": n} for split, (k, n) in self.images.items()},
            "boxes": {"kept": kept, "of": of},
            "findings": dict(self.findings),
            "lines_removed": self.lines_removed,
            "images_removed": self.images_removed,
            "files_changed": self.files_edited + self.files_removed,
            "relabel_advice": self.relabels,
            "held_back": sum(self.held_back.values()),
            "images_without_boxes_after": len(self.emptied),
            "classes": {
                str(class_id): {"name": self.names.get(class_id, ""), "kept": kept, "of": n}
                for class_id, (kept, n) in self.boxes.items()
            },
        }


def _counted(values: list[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
