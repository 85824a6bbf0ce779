"""One COCO JSON: images, annotations and categories, read strictly and without the images."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.corners import MOST_NUMBERS, outlines
from healtheat.core.errors import InputError
from healtheat.core.files import open_regular
from healtheat.core.paths import is_file
from healtheat.core.text import bad_name, counted, is_unicode, shown
from healtheat.sources.coco import fields
from healtheat.sources.coco.fields import BadItem
from healtheat.sources.find_image import loose_parts
from healtheat.sources.json_stream import BadJson, JsonObject
from healtheat.sources.peek import kind_of_json

MAX_JSON_BYTES = 2 * 2**30
MAX_PROBLEMS = 10_000  # a file; beyond it they are counted, not listed
_LISTS = {  # of a file that is a list: what it is, and the way in
    "empty": "an empty list: no results in it, and no labels",
    "coco-results": (
        "a detector's results, no labels: they name images by number; give them to 'healtheat guard' with "
        "--against, or as --predictions"
    ),
    "labelstudio": "a Label Studio export; give this file alone",
    "labelstudio-min": "Label Studio's JSON-MIN; export it as 'JSON' and give that file",
}
_LOST = -2  # an image that is listed but cannot be used


class BadFile(InputError):
    """A file that is no usable COCO JSON as a whole. `line` is 0-based, None if unknown."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        super().__init__(f"{path}{'' if line is None else f':{line + 1}'}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of `images`: its name as written (maybe a path of another machine), its claimed size.

    `code` is AI Hub's code of the drug on it (`dl_mapping_code` or `drug_N`), "" where there is none.
    """

    file_name: str
    size_px: tuple[int, int]
    code: str = ""


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What one COCO JSON says.

    `boxes.image_id` is the position in `images`, `boxes.line` the index in the `annotations` array; rows are
    ordered by image, then line. `entries[i]` counts all annotations of image i, bad ones too, and
    `annotations` all of the file.
    """

    names: dict[int, str]
    images: list[CocoImage]
    boxes: Boxes
    entries: NDArray[np.int64]
    annotations: int
    problems: list[Problem]
    sha256: str
    size: int
    place_of_id: dict[int | str, int]  # image id → position in `images`


def load_coco(path: Path, *, file: str | None = None) -> CocoFile:
    """The content of the COCO file `path`; images are not needed. `file` is the name that problems carry.

    Boxes are shares of the claimed image size. A bad image, category or annotation is a problem; BadFile
    ("FILE:LINE: what; fix") if the file as a whole is no COCO JSON or larger than 2 GiB. Memory
    grows by some hundred bytes a box; of segmentations that are one polygon the points are kept, up to
    `MOST_NUMBERS`.
    """
    if not is_file(path):
        raise BadFile(path, None, "not found, or not a file; give a COCO JSON file")
    reading = _Reading(path.as_posix() if file is None else file)
    try:
        with open_regular(path) as opened:
            document = JsonObject(opened, MAX_JSON_BYTES)
            if document.begins == "[" and (kind := kind_of_json(path, empty="empty")):
                raise BadFile(path, 0, _LISTS[kind])
            for key, index, item in document:
                reading.take(key, index, item)
    except BadJson as error:
        reason = f"not a readable COCO JSON: {error}; export the file again"
        raise BadFile(path, error.line, reason) from None
    except OSError as error:
        raise BadFile(path, None, f"cannot be read ({error.strerror})") from None
    if {"classes", "labels"} <= document.keys and "images" not in document.keys:
        raise BadFile(path, 0, "FiftyOne's own labels; export them from there as COCO (COCODetectionDataset)")
    for key in ("images", "annotations", "categories"):
        if key not in document.keys:
            raise BadFile(
                path,
                0,
                f"not a COCO file: the list '{key}' is missing; "
                "a COCO file is an object with the lists images, annotations and categories",
            )
    return reading.finish(document.sha256, document.size)


@dataclass(slots=True)
class _Reading:
    """Annotations in columns while the file is read: images may come after them."""

    file: str
    names: dict[int, str] = field(default_factory=dict)
    images: list[CocoImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: int = 0
    annotations: int = 0
    number_of_id: dict[Any, int] = field(default_factory=dict)  # image id → running number in this file
    position: dict[int, int] = field(default_factory=dict)  # running number → position in images, or _LOST
    first_of_name: dict[str, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)  # running number → file name, if any
    columns: dict[str, array[Any]] = field(
        default_factory=lambda: {
            **{name: array("q") for name in ("line", "image", "class_id")},
            **{name: array("d") for name in ("x", "y", "w", "h", "score")},
        }
    )
    image_of_problem: dict[int, int] = field(default_factory=dict)  # index in problems → image number
    points: array[float] = field(default_factory=lambda: array("d"))  # of all outlines, one after the other
    first_point: array[int] = field(default_factory=lambda: array("q", (0,)))  # of each row, and the end
    is_full: bool = False  # no outline is kept any more
    bad_images: array[int] = field(default_factory=lambda: array("q"))  # image numbers of bad annotations

    def take(self, key: str, index: int | None, item: Any) -> None:
        """One item of a top-level member; unknown members are left alone."""
        if key not in ("images", "annotations", "categories"):
            return
        if index is None:
            raise BadJson(f"'{key}' is not a list", 0)
        read = {"images": self._image, "annotations": self._annotation, "categories": self._category}[key]
        self.annotations += key == "annotations"
        try:
            if not isinstance(item, dict):
                raise BadItem("not an object {…}")
            read(index, item)
        except BadItem as error:
            line, code = None, ProblemCode.BAD_ENTRY
            if key == "annotations":
                line, code = index, ProblemCode.BAD_LINE
            self.problem(code, line, f"{key}[{index}]: {error}")

    def problem(self, code: ProblemCode, line: int | None, reason: str, image: str = "") -> None:
        """Keep a problem, or count it if there are too many."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, self.file, line, reason, image))
        else:
            self.skipped += 1

    def _category(self, index: int, item: dict[str, Any]) -> None:
        ident = fields.class_id(item, "id")
        name = item.get("name")
        if not isinstance(name, str) or not name:
            raise BadItem(f"category {ident} has no name")
        if not is_unicode(name):
            raise BadItem(f"the name of category {ident} is not valid Unicode")
        if ident in self.names:
            raise BadItem(
                f"category id {ident} is given twice; the first name, {shown(self.names[ident])}, holds"
            )
        self.names[ident] = name

    def _image(self, index: int, item: dict[str, Any]) -> None:
        number = self._number(fields.image_id(item, "id"))
        if number in self.position:
            raise BadItem(f"image id {shown(repr(item['id']))} is given twice; the first holds")
        self.position[number] = _LOST  # until everything about it is known to be good
        name = item.get("file_name")
        if not isinstance(name, str):
            raise BadItem("file_name is missing or not text")
        self.lost[number] = name if is_unicode(name) else ""
        if reason := bad_name(name) or (not name.strip() and "file name is empty"):
            raise BadItem(reason)
        if not loose_parts(name):
            raise BadItem(f"file name {shown(name)} names a folder")
        if (first := self.first_of_name.setdefault(name, index)) != index:
            raise BadItem(f"file_name {shown(name)} is already that of images[{first}]")
        size = (fields.side(item, "width"), fields.side(item, "height"))
        del self.lost[number]
        self.position[number] = len(self.images)
        code = item.get("dl_mapping_code", item.get("drug_N", ""))
        self.images.append(CocoImage(name, size, code[:100] if isinstance(code, str) else ""))

    def _annotation(self, index: int, item: dict[str, Any]) -> None:
        image = self._number(fields.image_id(item, "image_id"))
        try:
            class_id = fields.class_id(item, "category_id")
            if fields.is_crowd(item):
                raise BadItem("a crowd region (iscrowd is not 0), not one object")
            values = (*fields.bbox(item), fields.score(item))
        except BadItem:
            self.bad_images.append(image)
            if len(self.problems) < MAX_PROBLEMS:  # it is added by the caller, next
                self.image_of_problem[len(self.problems)] = image
            raise
        for name, value in zip(self.columns, (index, image, class_id, *values), strict=True):
            self.columns[name].append(value)
        self._outline(index, item)

    def _outline(self, index: int, item: dict[str, Any]) -> None:
        """Keep the outline of the last row, as long as there is room for it."""
        outline = None if self.is_full else fields.outline(item)
        if outline is not None and len(self.points) + len(outline) > MOST_NUMBERS:
            self.is_full = True
            more = f"more than {MOST_NUMBERS // 2:,} points; from here on only boxes are kept"
            self.problem(ProblemCode.SHAPE_LEFT_OUT, index, f"annotations[{index}]: {more}")
        elif outline is not None:
            self.points.extend(outline)
        self.first_point.append(len(self.points))

    def _corners(self, rows: NDArray[np.int64], size_px: NDArray[np.float64]) -> NDArray[np.object_]:
        """The outlines of annotations as shares of their images; None where there is none."""
        points, first = np.array(self.points), np.array(self.first_point)
        return outlines(
            points[first[row] : first[row + 1]].reshape(-1, 2) / size if first[row] < first[row + 1] else None
            for row, size in zip(rows.tolist(), size_px, strict=True)
        )

    def _number(self, ident: int | str) -> int:
        return self.number_of_id.setdefault(ident, len(self.number_of_id))

    def finish(self, sha256: str, size: int) -> CocoFile:
        """Join annotations with images and categories by id."""
        column = {name: np.array(values) for name, values in self.columns.items()}
        # A number without an entry in images stays -1.
        position = np.full(len(self.number_of_id) + 1, -1, np.int64)
        position[list(self.position)] = list(self.position.values())
        image = position[column["image"].astype(np.int64)]
        bad = position[np.array(self.bad_images, np.int64)]
        entries = np.bincount(np.concatenate([image, bad])[np.concatenate([image, bad]) >= 0])
        entries = np.concatenate([entries, np.zeros(len(self.images), np.int64)])[: len(self.images)]

        known = np.isin(column["class_id"], np.array(list(self.names), np.int64))
        claimed = np.array([i.size_px for i in self.images] + [(1, 1)], np.float64)[np.maximum(image, -1)]
        corner, extent = np.stack([column["x"], column["y"]], 1), np.stack([column["w"], column["h"]], 1)
        xywhn = np.concatenate([(corner + extent / 2) / claimed, extent / claimed], axis=1).reshape(-1, 4)
        inside: NDArray[np.bool_] = np.all((xywhn >= 0) & (xywhn <= 1), axis=1)
        flat: NDArray[np.bool_] = np.any(xywhn[:, 2:] <= 0, axis=1)
        good = (image >= 0) & known & inside & ~flat
        twin = _first_twin(
            np.column_stack([image, column["class_id"], corner, extent, column["score"]]), good
        )

        line = column["line"]
        for row in np.flatnonzero((image != _LOST) & (~good | (twin >= 0))):
            name = self.images[image[row]].file_name if image[row] >= 0 else ""
            code = ProblemCode.BAD_LINE
            if image[row] < 0:
                reason = "image_id is that of no image"
            elif not known[row]:
                code = ProblemCode.UNKNOWN_CLASS
                reason = f"category_id {column['class_id'][row]} is absent from categories"
            elif flat[row]:
                reason = "bbox has zero area"
            elif not inside[row]:
                reason = (
                    f"bbox lies outside or is larger than its image of {_by(self.images[image[row]].size_px)}"
                )
            else:
                code = ProblemCode.REPEATED_LINE
                reason = f"exact duplicate of annotations[{line[twin[row]]}]"
            self.problem(code, int(line[row]), f"annotations[{line[row]}]: {reason}", name)
        lost = np.bincount(column["image"][image == _LOST].astype(np.int64), minlength=1)
        for number in np.flatnonzero(lost):
            name = self.lost.get(int(number), "")
            image_of = counted(lost[number], "box left out: its image", "boxes left out: their image")
            self.problem(ProblemCode.LOST_BOXES, None, f"{image_of} cannot be used (see above)", name)

        keep = np.flatnonzero(good & (twin < 0))
        keep = keep[np.lexsort([line[keep], image[keep]])]
        boxes = Boxes(
            box_id=np.full(len(keep), -1, np.int64),
            image_id=image[keep],
            line=line[keep].astype(np.int64),
            class_id=column["class_id"][keep].astype(np.int64),
            xywhn=xywhn[keep],
            confidence=column["score"][keep].astype(np.float32),
            corners=self._corners(keep, claimed[keep]),
        )
        for index, owner in self.image_of_problem.items():
            if index < len(self.problems) and position[owner] >= 0:
                self.problems[index] = replace(
                    self.problems[index], image=self.images[position[owner]].file_name
                )
        problems = sorted(self.problems, key=lambda p: (p.line is not None, p.line or 0))
        if self.skipped:
            more = f"{counted(self.skipped, 'more problem')}, not listed"
            problems.append(Problem(ProblemCode.NOT_LISTED, self.file, None, more))
        places = {ident: int(position[number]) for ident, number in self.number_of_id.items()}
        return CocoFile(
            self.names,
            self.images,
            boxes,
            entries.astype(np.int64),
            self.annotations,
            problems,
            sha256,
            size,
            {ident: place for ident, place in places.items() if place >= 0},
        )


def _first_twin(rows: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) for each row the first row before it with equal values, -1 if none; NaN equals NaN."""
    twin = np.full(len(rows), -1, np.int64)
    index = np.flatnonzero(among)
    if len(index) < 2:
        return twin
    values = np.nan_to_num(rows[index], nan=-1.0)
    order = np.lexsort([index, *values.T])  # equal rows side by side, in the order of the file
    ordered = values[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    first = index[order][np.flatnonzero(new)[np.cumsum(new) - 1]]
    twin[index[order[~new]]] = first[~new]
    return twin


def _by(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} x {size_px[1]} px"
