"""A detector's results as COCO's evaluation takes them: a list of boxes that name images by number."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.files import open_regular
from healtheat.core.paths import is_file, is_folder
from healtheat.core.text import counted, shown
from healtheat.sources.coco import fields
from healtheat.sources.coco.fields import BadItem
from healtheat.sources.coco.file import MAX_JSON_BYTES, MAX_PROBLEMS, CocoFile, load_coco
from healtheat.sources.files import first_files
from healtheat.sources.find_image import loose_parts
from healtheat.sources.json_stream import BadJson, JsonList
from healtheat.sources.named.sheet import in_image
from healtheat.sources.peek import kind_of_json

KIND = "coco-results"

Place = tuple[float, float, float, float]
_Row = tuple[int, int, int, Place, float]  # image, line, class id, xywhn, score


@dataclass(frozen=True, slots=True)
class _Item:
    """A result as it is written; `bbox` in pixels."""

    line: int
    image: int | str
    class_id: int
    bbox: Place
    score: float


@dataclass(frozen=True, slots=True)
class Results:
    """What a list of results says: `boxes.image_id` is the position in `coco.images`, `line` the item's.

    Rows are ordered by image, then line. `sha256` is that of the list.
    """

    coco: CocoFile
    boxes: Boxes
    problems: list[Problem]
    sha256: str


def load_results(path: Path, labels: Path) -> Results:
    """The results in `path`, whose numbers are those of the COCO file `labels`, or of the only one in it.

    Each item is `{"image_id", "category_id", "bbox", "score"}` (https://cocodataset.org/#format-results);
    masks and keypoints in it are left alone. An image_id may also be the file's name without its suffix, as
    `yolo val save_json=True` writes it: where more results are so joined than by id, all are. An item that is
    no box is a problem. Raises InputError, also where no result is a box of an image.
    """
    labels_file = _coco_file(path, labels)
    coco = load_coco(labels_file)
    reading = _Reading(path.name, coco)
    try:
        with open_regular(path) as opened:
            items = JsonList(opened, MAX_JSON_BYTES)
            for line, item in items:
                reading.take(line, item)
    except BadJson as error:
        raise InputError(f"{path}:{error.line + 1}: not a readable list of results: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not reading.items:
        raise InputError(f"{path}: an empty list: no results in it")
    place_of = _place_of(reading.idents, coco)
    if reading.idents and not place_of:
        raise InputError(f"{path}: {_none_joins(next(iter(reading.idents)), coco, labels_file)}")
    rows = reading.join(place_of)
    problems = reading.listed()
    if not rows:
        raise InputError(f"{path}: no result is a box; {problems[0]}")
    return Results(coco, _boxes(rows), problems, items.sha256)


@dataclass(slots=True)
class _Reading:
    """The items of a list, kept until all are read: only then it is known what their image_id means."""

    file: str
    coco: CocoFile
    items: int = 0
    rows: list[_Item] = field(default_factory=list)
    idents: Counter[int | str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    skipped: int = 0

    def take(self, line: int, item: Any) -> None:
        """Keep an item, or the problem with it."""
        self.items += 1
        try:
            if not isinstance(item, dict):
                raise BadItem("not an object {…}")
            image = fields.image_id(item, "image_id")
            self.idents[image] += 1
            ident = fields.class_id(item, "category_id")
            if ident not in self.coco.names:
                raise BadItem(f"category_id {ident} is absent from categories")
            self.rows.append(_Item(line, image, ident, fields.bbox(item), fields.score(item)))
        except BadItem as error:
            self._problem(line, str(error))

    def join(self, place_of: Mapping[int | str, int]) -> list[_Row]:
        """The boxes of the items whose image is known; the others become problems."""
        out: list[_Row] = []
        for item in self.rows:
            place = place_of.get(item.image)
            if place is None:
                self._problem(item.line, "image_id is that of no image")
                continue
            x, y, w, h = item.bbox
            try:
                where = in_image((x, y, x + w, y + h), self.coco.images[place].size_px)
            except BadItem as error:
                self._problem(item.line, str(error))
                continue
            out.append((place, item.line, item.class_id, where, item.score))
        return out

    def listed(self) -> list[Problem]:
        """The problems by line, and how many more there are."""
        out = sorted(self.problems, key=lambda problem: problem.line or 0)
        if self.skipped:
            more = f"{counted(self.skipped, 'more problem')}, not listed"
            out.append(Problem(ProblemCode.NOT_LISTED, self.file, None, more))
        return out

    def _problem(self, line: int, reason: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            reason = f"item {line}: {reason}"
            self.problems.append(Problem(ProblemCode.BAD_DETECTION, self.file, line, reason))
        else:
            self.skipped += 1


def _place_of(idents: Counter[int | str], coco: CocoFile) -> dict[int | str, int]:
    """Which image each image_id means: its id, or the name without suffix if that joins more results."""
    stems: defaultdict[int | str, list[int]] = defaultdict(list)
    for place, image in enumerate(coco.images):
        stem = _composed(PurePosixPath(loose_parts(image.file_name)[-1]).stem)
        stems[stem].append(place)
        if stem.isdecimal() and len(stem) < 20:  # as a number, which is how numeric names are written
            stems[int(stem)].append(place)
    by_id = {ident: coco.place_of_id[ident] for ident in idents if ident in coco.place_of_id}
    by_stem: dict[int | str, int] = {}
    for ident in idents:
        named = stems.get(_composed(ident) if isinstance(ident, str) else ident, [])
        if len(named) == 1:
            by_stem[ident] = named[0]
    return max((by_id, by_stem), key=lambda found: sum(idents[ident] for ident in found))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _none_joins(ident: int | str, coco: CocoFile, labels: Path) -> str:
    there = ""
    for known, place in coco.place_of_id.items():
        there = f"; {shown(coco.images[place].file_name)} has the id {shown(repr(known))}"
        break
    return (
        f"no image_id is one of {labels}, and none is the name of one of its images: "
        f"the results have {shown(repr(ident))} for example{there}; give the COCO file whose ids they have"
    )


def _boxes(rows: list[_Row]) -> Boxes:
    rows.sort(key=lambda row: row[:2])
    return Boxes(
        box_id=np.full(len(rows), -1, np.int64),
        image_id=np.array([row[0] for row in rows], np.int64),
        line=np.array([row[1] for row in rows], np.int64),
        class_id=np.array([row[2] for row in rows], np.int64),
        xywhn=np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
        confidence=np.array([row[4] for row in rows], np.float32),
    )


def _coco_file(path: Path, labels: Path) -> Path:
    """The COCO file that has the ids of the results in `path`. InputError where there is none, or several."""
    if not is_folder(labels):
        if labels.suffix.lower() != ".json" and is_file(labels):
            raise InputError(_no_coco_file(path, labels))
        return labels
    files = [path for path in first_files(labels) if path.suffix.lower() == ".json"]
    found = [path for path in files[:100] if kind_of_json(path) == "coco"]
    if not found:
        raise InputError(_no_coco_file(path, labels))
    if len(found) != 1:
        raise InputError(
            f"{labels}: holds {counted(len(found), 'COCO file')}; give the one whose ids the results have"
        )
    return found[0]


def _no_coco_file(path: Path, labels: Path) -> str:
    verb = "holds" if is_folder(labels) else "is"
    return (
        f"{path}: a detector's results, which name images by number: they need the COCO file whose ids they "
        f"have, and {labels} {verb} none; beside other labels give YOLO text files "
        "(save_txt=True save_conf=True)"
    )
