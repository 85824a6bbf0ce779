"""Boxes of many COCO files brought together by image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.paths import relative
from healtheat.sources.base import LabelledImage
from healtheat.sources.coco.file import CocoFile

_COMPACT_EVERY = 4096  # files; small arrays cost a kilobyte each, joined ones a hundred bytes a box


@dataclass(slots=True)
class _Claim:
    """What the files said about one image so far."""

    number: int  # running number of the image
    split: str
    size_px: tuple[int, int] | None = None
    first_line: dict[int, int] = field(default_factory=dict)  # number of a file → line of its annotations[0]
    next_line: int = 0
    has_entries: bool = False


class Merge:
    """Collects claims and boxes file by file, then gives every image once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.claimed: dict[Path, _Claim] = {}
        self._files: list[str] = []
        self._boxes: list[Boxes] = []  # image_id: number of the image; box_id: number of the file
        self._of_image: dict[int, _Claim] = {}  # image in the current file → what is known of its file

    def claim(self, path: Path, image: int, coco: CocoFile, split: str) -> str | None:
        """Image `image` of the current file is `path`; gives the conflict with an earlier file, if any."""
        size_px = coco.images[image].size_px
        claim = self.claimed.setdefault(path, _Claim(len(self.claimed), split, size_px))
        file = len(self._files)
        if file not in claim.first_line:  # else two names in one file lead to one image
            claim.first_line[file] = claim.next_line
            claim.next_line += coco.annotations
        self._of_image[image] = claim
        claim.has_entries |= bool(coco.entries[image])
        if claim.size_px == size_px:
            return None
        here, before = ("{} x {} px".format(*size) for size in (size_px, claim.size_px or (0, 0)))
        return f"claims that the image is {here}, but {self._files[min(claim.first_line)]} says {before}"

    def claim_unlabelled(self, path: Path, split: str) -> None:
        """`path` is named by no file."""
        self.claimed[path] = _Claim(len(self.claimed), split)

    def add(self, boxes: Boxes, file: str) -> None:
        """The boxes of `file`, after all its claims; those of images not claimed are left out."""
        number = len(self._files)
        number_of = np.full(int(boxes.image_id.max(initial=-1)) + 1, -1, np.int64)
        first_line = np.zeros(len(number_of), np.int64)
        for image, claim in self._of_image.items():
            if image < len(number_of):
                number_of[image], first_line[image] = claim.number, claim.first_line[number]
        self._of_image.clear()
        keep = boxes[number_of[boxes.image_id] >= 0]
        self._boxes.append(
            replace(
                keep,
                box_id=np.full(len(keep), number, np.int64),
                image_id=number_of[keep.image_id],
                line=keep.line + first_line[keep.image_id],
            )
        )
        self._files.append(file)
        if len(self._boxes) >= _COMPACT_EVERY:
            self._boxes = [Boxes.join(self._boxes)]

    def images(self) -> Iterator[LabelledImage | Problem]:
        """Every claimed image, sorted by path, with its boxes."""
        boxes = Boxes.join([Boxes.of([], [], []), *self._boxes])
        boxes = boxes[np.lexsort([boxes.line, boxes.box_id, boxes.image_id])]
        starts = np.searchsorted(boxes.image_id, np.arange(len(self.claimed) + 1))
        for path in sorted(self.claimed, key=Path.as_posix):
            claim = self.claimed[path]
            mine = boxes[slice(int(starts[claim.number]), int(starts[claim.number + 1]))]
            image = relative(path, self._root)
            if len(claim.first_line) > 1:
                mine, twins = self._without_twins(mine, image, claim)
                yield from twins
            files = [self._files[int(i)] for i in mine.box_id]
            label_path = self._files[min(claim.first_line)] if claim.first_line else ""
            yield LabelledImage(
                path=image,
                file=path,
                split=claim.split,
                status="unlabelled" if not label_path else "labelled" if claim.has_entries else "empty",
                label_path=label_path,
                boxes=Boxes.of(mine.line, mine.class_id, mine.xywhn, mine.confidence, mine.corners),
                size_px=claim.size_px,
                box_label_path=tuple(files) if any(file != label_path for file in files) else (),
            )

    def _without_twins(self, boxes: Boxes, image: str, claim: _Claim) -> tuple[Boxes, list[Problem]]:
        """Equal boxes of two files are one box: the second is a problem."""
        keep: list[bool] = []
        problems: list[Problem] = []
        seen: dict[tuple[object, ...], int] = {}
        for row in range(len(boxes)):
            key = (int(boxes.class_id[row]), *boxes.xywhn[row].tolist(), str(boxes.confidence[row]))
            first = seen.setdefault(key, row)
            keep.append(first == row)
            if first != row:
                file, other = int(boxes.box_id[row]), int(boxes.box_id[first])
                line = int(boxes.line[row]) - claim.first_line[file]
                reason = f"annotations[{line}]: exact duplicate of a box in {self._files[other]}"
                problems.append(Problem(ProblemCode.REPEATED_LINE, self._files[file], line, reason, image))
        return boxes[np.array(keep, np.bool_)], problems
