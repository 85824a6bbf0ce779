"""Which label files Ultralytics takes: one line that it cannot use costs the image with all its labels.

Checked against version 8.4.190 by tests/sources/yolo/test_trainer_oracle.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from healtheat.sources.yolo.line import HIGH, LOW, LabelRules


@dataclass(frozen=True, slots=True)
class Ignored:
    """Why training ignores an image: the 0-based line of its label file, and the reason.

    With `refused`, it does not ignore this image, but takes none of the split.
    """

    line: int
    reason: str
    refused: bool = False


def mixed(fields: Sequence[tuple[int, int]], rules: LabelRules) -> Ignored | None:
    """Whether lines of these numbers of fields can stand in one file. `fields` are (line, number of fields).

    Pose needs all keypoints in every line; else polygons and boxes do not mix, and a box has 5 fields. The
    tasks segment and obb need polygons: one file of boxes, and training refuses the split.
    """
    pose = rules.pose_fields
    if rules.task == "pose":
        wrong = [(line, n) for line, n in fields if n != pose]
        return Ignored(wrong[0][0], f"{wrong[0][1]} fields; its task pose needs {pose}") if wrong else None
    cut = [(line, 5 if n == pose else n) for line, n in fields]
    if any(n > 6 for _, n in cut):
        boxes = [line for line, n in cut if n == 5]
        odd = [entry for entry in cut if entry[1] % 2 == 0 or entry[1] < 3]
        if boxes:
            return Ignored(boxes[0], "a box among polygons")
        return Ignored(odd[0][0], f"{odd[0][1]} fields among polygons") if odd else None
    wrong = [entry for entry in cut if entry[1] != 5]
    if wrong:
        return Ignored(wrong[0][0], f"{wrong[0][1]} fields where a box has 5")
    if cut and rules.task in ("segment", "obb"):
        return Ignored(cut[0][0], f"a box where the task {rules.task} needs polygons", refused=True)
    return None


def why_ignored(data: bytes, rules: LabelRules, classes: int | None) -> Ignored | None:
    """Why training ignores the image of the label file with the content `data`; None where it does not.

    `classes` is the number of class names; None where it is not known.
    """
    rows: list[tuple[int, list[str]]] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines()):
        try:
            rows += [(number, text.split()) for text in raw.decode("utf-8").splitlines() if text.split()]
        except UnicodeDecodeError:
            return Ignored(number, "bytes that are not UTF-8 text")
    found = mixed([(number, len(fields)) for number, fields in rows], rules)
    if found and not found.refused:
        return found
    for number, fields in rows:
        used = fields if rules.task == "pose" or len(fields) != rules.pose_fields else fields[:5]
        if reason := _bad_values(used, rules, classes):
            return Ignored(number, reason)
    return found


def without(data: bytes, lines: Collection[int]) -> bytes:
    """`data` with these 0-based lines blank, so that the others keep their numbers."""
    return b"\n".join(b"" if n in lines else line for n, line in enumerate(data.splitlines()))


def _bad_values(fields: Sequence[str], rules: LabelRules, classes: int | None) -> str:
    try:
        with np.errstate(over="ignore"):  # 1e999 is infinite, and told as such below
            row = np.array(fields, dtype=np.float32)
    except ValueError:
        return "a field that is no number"
    if len(fields) > 6 and rules.task != "pose":
        points = row[1:].reshape(-1, 2)
        (left, top), (right, bottom) = points.min(0), points.max(0)
        row = np.array([row[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        row = row.astype(np.float32)
    limited = row[1:]
    if rules.task == "pose" and rules.keypoints:
        limited = row[5:].reshape(-1, rules.keypoints[1])[:, :2]
    if not limited.max() <= HIGH:
        return "a coordinate that lies outside of the image"
    if not (row.min() >= 0 or (row.min() >= LOW and row[3:5].min() >= 0)):
        return "a negative number"
    if not np.isfinite(row[0]) or row[0] % 1 != 0:
        return "a class id that is no integer"
    if classes is not None and row[0] >= classes:
        return f"class id {int(row[0])}, of {classes} classes"
    return ""
