"""A detector's results as COCO's evaluation takes them: a list of boxes that name images by number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import is_folder
from healtheat.core.text import counted
from healtheat.sources.coco import fields
from healtheat.sources.coco.fields import BadItem
from healtheat.sources.coco.file import MAX_JSON_BYTES, MAX_PROBLEMS, CocoFile, load_coco
from healtheat.sources.files import first_files
from healtheat.sources.json_stream import BadJson, JsonList
from healtheat.sources.named.sheet import in_image
from healtheat.sources.peek import kind_of_json

KIND = "coco-results"


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
    masks and keypoints in it are left alone. An item that is no box is a problem. Raises InputError.
    """
    coco = load_coco(_coco_file(labels))
    rows: list[tuple[int, int, int, tuple[float, float, float, float], float]] = []
    problems: list[Problem] = []
    skipped = 0
    try:
        with path.open("rb") as opened:
            items = JsonList(opened, MAX_JSON_BYTES)
            for line, item in items:
                try:
                    rows.append(_row(line, item, coco))
                except BadItem as error:
                    if len(problems) < MAX_PROBLEMS:
                        reason = f"item {line}: {error}"
                        problems.append(Problem(ProblemCode.BAD_DETECTION, path.name, line, reason))
                    else:
                        skipped += 1
    except BadJson as error:
        raise InputError(f"{path}:{error.line + 1}: not a readable list of results: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if skipped:
        more = f"{counted(skipped, 'more problem')}, not listed"
        problems.append(Problem(ProblemCode.NOT_LISTED, path.name, None, more))
    return Results(coco, _boxes(rows), problems, items.sha256)


def _row(
    line: int, item: Any, coco: CocoFile
) -> tuple[int, int, int, tuple[float, float, float, float], float]:
    """(image, line, class id, place, score) of one item. Raises BadItem."""
    if not isinstance(item, dict):
        raise BadItem("not an object {…}")
    place = coco.place_of_id.get(fields.image_id(item, "image_id"))
    if place is None:
        raise BadItem("image_id is that of no image")
    ident = fields.class_id(item, "category_id")
    if ident not in coco.names:
        raise BadItem(f"category_id {ident} is absent from categories")
    x, y, w, h = fields.bbox(item)
    return place, line, ident, in_image((x, y, x + w, y + h), coco.images[place].size_px), fields.score(item)


def _boxes(rows: list[tuple[int, int, int, tuple[float, float, float, float], float]]) -> Boxes:
    rows.sort(key=lambda row: row[:2])
    return Boxes(
        box_id=np.full(len(rows), -1, np.int64),
        image_id=np.array([row[0] for row in rows], np.int64),
        line=np.array([row[1] for row in rows], np.int64),
        class_id=np.array([row[2] for row in rows], np.int64),
        xywhn=np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
        confidence=np.array([row[4] for row in rows], np.float32),
    )


def _coco_file(labels: Path) -> Path:
    if not is_folder(labels):
        return labels
    files = [path for path in first_files(labels) if path.suffix.lower() == ".json"]
    found = [path for path in files[:100] if kind_of_json(path) == "coco"]
    if len(found) != 1:
        raise InputError(
            f"{labels}: holds {counted(len(found), 'COCO file')}; give the one whose ids the results have"
        )
    return found[0]
