"""What a data set is labelled for: told by data.yaml and all label files together, not by one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from healtheat.core.errors import InputError
from healtheat.sources.yolo.line import LabelRules, Task, Tracks

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(slots=True)
class Shapes:
    """How the lines of all label files look; constant size, whatever the number of files."""

    keypoints: tuple[int, int] | None = None
    box_files: int = 0  # files with boxes and nothing longer
    polygon_files: int = 0
    pose: int = 0  # lines with as many fields as a box and its keypoints have
    six: int = 0
    six_whole: int = 0  # …whose last field is written as an integer
    seven: int = 0
    seven_tracks: int = 0  # …that can be a box with a confidence and a track's number
    nine: int = 0
    longer: int = 0  # polygons of another number of points

    def add(self, data: bytes) -> None:
        """Count the lines of one label file."""
        pose_fields = LabelRules(keypoints=self.keypoints).pose_fields
        boxes = polygons = False
        for raw in data.removeprefix(b"\xef\xbb\xbf").splitlines():
            fields = raw.split()
            n = len(fields)
            if pose_fields and n == pose_fields:
                self.pose += 1
            elif n == 5:
                boxes = True
            elif n == 6:
                self.six += 1
                self.six_whole += fields[5].isdigit()
            elif n >= 7 and n % 2 == 1:
                polygons = True
                self._polygon(fields)
        self.box_files += boxes and not polygons
        self.polygon_files += polygons and not boxes

    def _polygon(self, fields: list[bytes]) -> None:
        if len(fields) == 7:
            self.seven += 1
            self.seven_tracks += _is_track(fields)
        elif len(fields) == 9:
            self.nine += 1
        else:
            self.longer += 1


def _is_track(fields: list[bytes]) -> bool:
    """Whether `class x y w h confidence id` fits: an integer at the end, a box inside the image before it."""
    if not fields[6].isdigit():
        return False
    try:
        x, y, w, h, confidence = map(float, fields[1:6])
    except ValueError:
        return False
    inside = all(at - side / 2 >= -0.02 and at + side / 2 <= 1.02 for at, side in ((x, w), (y, h)))
    return inside and 0 <= confidence <= 1 and w > 0 and h > 0


def rules_of(shapes: Shapes, told: Task | None = None) -> LabelRules:
    """How to read the label files that `shapes` counted.

    The task is the one that Ultralytics can train on them: pose where lines hold the keypoints that
    `kpt_shape` promises; detect where any file holds boxes alone; of polygons alone obb where each has four
    points, else segment. `told` overrides it. Numbers of tracks are told by what all lines have in common.
    Raises InputError for pose without `kpt_shape`.
    """
    if told == "pose" and not shapes.keypoints:
        raise InputError("the task pose needs 'kpt_shape: [number of keypoints, 2 or 3]' in data.yaml")
    tracks = "" if told in ("segment", "obb") else _tracks(shapes)
    return LabelRules(told or _task(shapes, tracks), shapes.keypoints, tracks)


def _tracks(shapes: Shapes) -> Tracks:
    if shapes.seven and shapes.seven == shapes.seven_tracks and not (shapes.nine or shapes.longer):
        return "confidence id"
    return "id" if shapes.six and shapes.six == shapes.six_whole else ""


def _task(shapes: Shapes, tracks: Tracks) -> Task:
    if shapes.pose:
        return "pose"
    if tracks or shapes.box_files or not shapes.polygon_files:
        return "detect"
    return "segment" if shapes.longer or shapes.seven else "obb"
