"""One YOLO label file: bytes in, boxes and problems out."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.files import Content, Unreadable, read_small
from healtheat.core.text import counted
from healtheat.sources.yolo.line import PLAIN, BadLine, LabelRules, ParsedLine, Tracks, parse_line
from healtheat.sources.yolo.trainer import Ignored, mixed, why_ignored, without

MAX_LABEL_BYTES = 16 * 2**20
MAX_LINE_BYTES = 2**20  # a polygon of some 50,000 points
MAX_PROBLEMS = 10_000  # a file; beyond it they are counted, not listed
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Labels:
    """What one label file says. `blank` means that it holds no line at all but white space.

    `untrained` says why the trainer ignores its image or reads other boxes; "" where it reads these.
    """

    boxes: Boxes
    problems: list[Problem]
    blank: bool
    untrained: str = ""


def read_labels(
    path: Path, names: Collection[int] | None, *, file: str | None = None, rules: LabelRules = PLAIN
) -> tuple[Boxes, list[Problem]]:
    """Boxes (not numbered; `line` is the 0-based physical line) and problems of the label file `path`.

    Class ids absent from `names` are problems; with None every id is taken as it is. `file` is the name that
    problems carry (default: `path` itself). What the trainer would make of the file is not asked: this is for
    label files without a data set. Never raises for what the file holds or lacks.
    """
    file = path.as_posix() if file is None else file
    try:
        content = read_small(path, MAX_LABEL_BYTES)
    except Unreadable as error:
        return Boxes.of([], [], []), [Problem(ProblemCode.BAD_LABEL_FILE, file, None, f"label file {error}")]
    labels = parse_labels(content, names, file=file, rules=rules, trained=False)
    return labels.boxes, labels.problems


def parse_labels(
    content: Content,
    names: Collection[int] | None,
    *,
    file: str,
    image: str = "",
    rules: LabelRules = PLAIN,
    trained: bool = True,
) -> Labels:
    """The boxes and problems of a label file's content; `file` and `image` are what problems name.

    With `trained`, problems also say where the trainer ignores the image or reads other boxes.
    """
    data = content.data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _nothing(file, "UTF-16 text; save the file as UTF-8", image)
    if b"\0" in data:
        return _nothing(file, "binary data, not a label file", image)
    found = _Lines(file, image)
    for number, raw in enumerate(data.removeprefix(BOM).splitlines()):  # at \n, \r\n, \r, as editors do
        if text := raw.strip(b" \t"):
            found.take(number, text, names, rules)
    untrained = found.compare(data, rules, names) if trained else ""
    rows = found.rows
    boxes = Boxes.of(
        [line for line, _ in rows],
        [row.class_id for _, row in rows],
        [row.xywhn for _, row in rows],
        [row.confidence for _, row in rows],
        [np.array(row.numbers).reshape(-1, 2) if row.is_polygon else None for _, row in rows],
    )
    return Labels(boxes, found.finished(), found.blank, untrained)


class _Lines:
    """The lines of one file, as they are taken in."""

    def __init__(self, file: str, image: str) -> None:
        self._file, self._image = file, image
        self.rows: list[tuple[int, ParsedLine]] = []
        self.blank = True
        self._problems: list[Problem] = []
        self._lost: set[int] = set()
        self._skipped = 0
        self._seen: dict[tuple[int, int, bytes], tuple[int, bytes]] = {}

    def take(self, number: int, text: bytes, names: Collection[int] | None, rules: LabelRules) -> None:
        self.blank = False
        try:
            row = _parse_raw(text, rules)
            if names is not None and row.class_id not in names:
                raise BadLine(
                    f"class id {row.class_id} is absent from the class names", ProblemCode.UNKNOWN_CLASS
                )
            self._check_new(number, text, row)
        except BadLine as error:
            if error.code != ProblemCode.REPEATED_LINE:
                self._lost.add(number)
            self._tell(error.code, number, str(error))
            return
        self.rows.append((number, row))
        if row.beyond:
            reason = "reaches beyond the image; read as it is, cut at the border where it is trained on"
            self._tell(ProblemCode.BEYOND_IMAGE, number, reason)

    def compare(self, data: bytes, rules: LabelRules, names: Collection[int] | None) -> str:
        """Tell what the trainer makes of the file; returns why it does not read these boxes, or ""."""
        shape = mixed([(number, row.fields) for number, row in self.rows], rules)
        if shape is not None and not shape.refused:
            self._ignored(shape, rules.tracks)
            return shape.reason
        classes = None if names is None else max(names, default=-1) + 1
        if shape is not None:
            whole = why_ignored(data, rules, classes) if self._lost else None
            self._ignored(shape if whole is None else whole, "")
            return shape.reason
        if self._lost and (whole := why_ignored(data, rules, classes)) is not None:
            if whole.refused:
                self._ignored(whole, "")
            else:
                self._add_to_lost(whole)
            return whole.reason
        tracks = [number for number, row in self.rows if row.fields == 7 and rules.tracks]
        if tracks and (short := why_ignored(without(data, self._lost), rules, classes)) is not None:
            self._ignored(short, rules.tracks)
            return short.reason
        if tracks:
            reason = "a box with a confidence and a track id, which YOLO reads as a polygon of three points"
            self._tell(ProblemCode.MISREAD_LABELS, tracks[0], reason, at_once=True)
            return reason
        return ""

    def finished(self) -> list[Problem]:
        """The problems, with the number of those beyond the limit."""
        if not self._skipped:
            return self._problems
        more = f"{counted(self._skipped, 'more bad line')}, not listed"
        return [*self._problems, Problem(ProblemCode.NOT_LISTED, self._file, None, more, self._image)]

    def _check_new(self, number: int, text: bytes, row: ParsedLine) -> None:
        """Raises BadLine for a line that holds what an earlier one does; single precision, as in training."""
        plain = b" ".join(text.split())
        key = (row.class_id, row.fields, array("f", row.numbers).tobytes())
        first, words = self._seen.setdefault(key, (number, plain))
        if first != number:
            what = "exact duplicate" if words == plain else "same numbers, written otherwise, as in the box"
            raise BadLine(f"{what} of line {first + 1}", ProblemCode.REPEATED_LINE)

    def _ignored(self, why: Ignored, tracks: Tracks) -> None:
        what = f"{why.reason}, in lines with a track's number" if tracks else why.reason
        code = ProblemCode.REFUSED_LABELS if why.refused else ProblemCode.IGNORED_IMAGE
        does = "refuses the whole split" if why.refused else "ignores the whole image"
        reason = f"{what}: YOLO {does} ({counted(len(self.rows), 'box')})"
        self._tell(code, why.line, reason, at_once=True)

    def _add_to_lost(self, why: Ignored) -> None:
        """Say it with the line that is a problem anyway: without it, the image is trained on."""
        lines = {p.line: at for at, p in enumerate(self._problems) if p.line in self._lost}
        at = lines.get(why.line, next(iter(lines.values()), None))
        if at is not None:
            problem = self._problems[at]
            self._problems[at] = replace(problem, reason=f"{problem.reason}; YOLO ignores the whole image")

    def _tell(self, code: ProblemCode, line: int, reason: str, *, at_once: bool = False) -> None:
        if len(self._problems) < MAX_PROBLEMS or at_once:
            self._problems.append(Problem(code, self._file, line, reason, self._image))
        else:
            self._skipped += 1


def _parse_raw(text: bytes, rules: LabelRules) -> ParsedLine:
    if len(text) > MAX_LINE_BYTES:
        raise BadLine(f"line longer than {MAX_LINE_BYTES // 2**20} MiB")
    try:
        return parse_line(text.decode("utf-8"), rules)
    except UnicodeDecodeError:
        raise BadLine("bytes that are not UTF-8 text") from None


def _nothing(file: str, reason: str, image: str) -> Labels:
    problem = Problem(ProblemCode.BAD_LABEL_FILE, file, None, reason, image)
    return Labels(Boxes.of([], [], []), [problem], blank=False, untrained=reason)
