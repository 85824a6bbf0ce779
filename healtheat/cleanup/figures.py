"""A cleanup in figures: for the terminal, for programs and for the JSON beside its lists."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from healtheat.core.drop import MAX_SHARE, Drop
from healtheat.core.errors import Argument, InputError, Part

if TYPE_CHECKING:
    from healtheat.cleanup.plan import Plan


@dataclass(frozen=True, slots=True)
class Figures:
    """What a cleanup does, planned or done.

    `boxes_out` and `images_out` count places (boxes, lines, missing boxes) by their leading issue, the most
    frequent first; "" stands for what no finding decided, such as lines and images that cannot be read.
    `boxes_out` are those whose image stays. What is kept is trained on. `held_back` counts reasons.
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
    relabelled_out: int  # boxes that go because a person wants another class for them
    images_greyed: int  # images of which a copy with greyed out boxes is written
    untrained: tuple[int, int] = (0, 0)  # images that stay, though YOLO ignores or misreads them; their boxes
    whole_images: bool = True  # whether a copy can leave out images, which have a label file each
    boxes_placed: tuple[int, int] = (0, 0)  # that a person added or moved: written into the copy, in all
    emptied_splits: tuple[str, ...] = ()  # train or val, where no image is left

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
            boxes_out=_counted([row.issue for row in plan.left_out if row.left_out != "image"]),
            images_out=_counted([row.issue for row in plan.left_out if row.left_out == "image"]),
            lines_removed=sum(len(image.lines_out) for image in plan.images),
            images_removed=sum(bool(image.left_out) for image in plan.images),
            files_edited=sum(edit.kind != "file" for edit in plan.edits),
            files_removed=sum(edit.kind == "file" for edit in plan.edits),
            relabels=len(plan.relabels),
            held_back=_counted([row.why for row in plan.held_back]),
            emptied=tuple(plan.emptied),
            relabelled_out=plan.relabelled_out,
            images_greyed=sum(bool(image.grey) for image in plan.images),
            untrained=(len(plan.untrained), plan.untrained_boxes),
            whole_images=plan.by == "lines",
            boxes_placed=(sum(box.written for box in plan.placed), len(plan.placed)),
            emptied_splits=tuple(plan.emptied_splits()),
        )

    @property
    def boxes_kept(self) -> tuple[int, int]:
        """(boxes kept, boxes in all)."""
        return sum(kept for kept, _ in self.boxes.values()), sum(of for _, of in self.boxes.values())

    @property
    def images_kept(self) -> tuple[int, int]:
        """(images kept, images in all)."""
        return sum(kept for kept, _ in self.images.values()), sum(of for _, of in self.images.values())

    @property
    def gone(self) -> dict[str, tuple[int, int]]:
        """boxes, images → (how many go, how many there are)."""
        images, boxes = self.untrained  # these do not go, they were never trained on
        kept = {"boxes": (boxes, self.boxes_kept), "images": (images, self.images_kept)}
        return {what: (of - left - stay, of) for what, (stay, (left, of)) in kept.items()}

    def too_much(self, max_share: float | None = None) -> tuple[Part, ...]:
        """What to do where more than `max_share` (None: `MAX_SHARE`) of the boxes or images goes, or where
        train or val would be empty; else ().

        Raises InputError for what is no share.
        """
        most = MAX_SHARE if max_share is None else max_share
        if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most <= 1:
            raise InputError(Argument("max_share"), f" {most!r}: a share lies in [0, 1]")
        if self.emptied_splits:
            return (
                f"no image of {' and of '.join(self.emptied_splits)} would be left, and training needs "
                "both; see why in the list of problems (`healtheat problems`) and the findings "
                "(`healtheat query`)",
            )
        share, what = max((gone / of if of else 0.0, what) for what, (gone, of) in self.gone.items())
        if share <= most:
            return ()
        gone, of = self.gone[what]
        needed = math.ceil(share * 100) / 100
        return (
            f"{gone} of {of} {what} ({share:.0%}) would go, more than ",
            Argument("max_share", most),
            " allows; look at them in `healtheat review`, narrow it with ",
            Argument("issue"),
            " or ",
            Argument("min_score"),
            ", or add ",
            Argument("max_share", needed),
        )

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
            "images_greyed": self.images_greyed,
            "images_untrained": self.untrained[0],
            "files_changed": self.files_edited + self.files_removed,
            "relabel_advice": self.relabels,
            "boxes_added_or_moved": {"written": self.boxes_placed[0], "of": self.boxes_placed[1]},
            "relabelled_left_out": self.relabelled_out,
            "held_back": sum(self.held_back.values()),
            "images_without_boxes_after": len(self.emptied),
            "classes": {
                str(class_id): {"name": self.names.get(class_id, ""), "kept": kept, "of": n}
                for class_id, (kept, n) in self.boxes.items()
            },
        }


def _counted(values: list[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
