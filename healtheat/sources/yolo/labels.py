"""One YOLO label file: bytes in, boxes and problems out."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.text import Content, Unreadable, counted, read_small
from healtheat.sources.yolo.line import BadLine, ParsedLine, parse_line

MAX_LABEL_BYTES = 16 * 2**20
MAX_LINE_BYTES = 2**20  # a polygon of some 50,000 points
MAX_PROBLEMS = 10_000  # a file; beyond it they are counted, not listed


@dataclass(frozen=True, slots=True)
class Labels:
    """What one label file says. `blank` means that it holds no line at all but white space."""

    boxes: Boxes
    problems: list[Problem]
    blank: bool


def read_labels(
    path: Path, names: Container[int] | None, *, file: str | None = None
) -> tuple[Boxes, list[Problem]]:
    """Boxes (not numbered; `line` is the 0-based physical line) and problems of the label file `path`.

    Class ids absent from `names` are problems; with None every id is taken as it is. `file` is the name that
    problems carry (default: `path` itself). Never raises for what the file holds or lacks. For a folder of
    label files without images.
    """
    file = path.as_posix() if file is None else file
    try:
        content = read_small(path, MAX_LABEL_BYTES)
    except Unreadable as error:
        return Boxes.of([], [], []), [Problem(ProblemCode.BAD_LABEL_FILE, file, None, f"label file {error}")]
    labels = parse_labels(content, names, file=file)
    return labels.boxes, labels.problems


def parse_labels(content: Content, names: Container[int] | None, *, file: str, image: str = "") -> Labels:
    """The boxes and problems of a label file's content; `file` and `image` are what problems name."""
    data = content.data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _nothing(file, "UTF-16 text; save the file as UTF-8", image)
    if b"\0" in data:
        return _nothing(file, "binary data, not a label file", image)

    lines: list[int] = []
    rows: list[ParsedLine] = []
    problems: list[Problem] = []
    first_seen: dict[bytes, int] = {}
    skipped = 0
    blank = True
    for number, raw in enumerate(data.splitlines()):  # bytes split at \n, \r\n and \r alone, as editors do
        if not (text := raw.strip(b" \t")):
            continue
        blank = False
        try:
            row = _parse_raw(text)
            key = b" ".join(text.split())
            if (first := first_seen.setdefault(key, number)) != number:
                raise BadLine(f"exact duplicate of line {first + 1}", ProblemCode.REPEATED_LINE)
            if names is not None and row.class_id not in names:
                raise BadLine(
                    f"class id {row.class_id} is absent from the class names", ProblemCode.UNKNOWN_CLASS
                )
        except BadLine as error:
            if len(problems) < MAX_PROBLEMS:
                problems.append(Problem(error.code, file, number, str(error), image))
            else:
                skipped += 1
            continue
        lines.append(number)
        rows.append(row)
    if skipped:
        more = f"{counted(skipped, 'more bad line')}, not listed"
        problems.append(Problem(ProblemCode.NOT_LISTED, file, None, more, image))
    boxes = Boxes.of(lines, [r.class_id for r in rows], [r.xywhn for r in rows], [r.confidence for r in rows])
    return Labels(boxes, problems, blank)


def _parse_raw(text: bytes) -> ParsedLine:
    if text.startswith(b"\xef\xbb\xbf"):
        raise BadLine("byte-order mark (BOM) before the class id; save the file as UTF-8 without BOM")
    if len(text) > MAX_LINE_BYTES:
        raise BadLine(f"line longer than {MAX_LINE_BYTES // 2**20} MiB")
    try:
        return parse_line(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadLine("bytes that are not UTF-8 text") from None


def _nothing(file: str, reason: str, image: str) -> Labels:
    problem = Problem(ProblemCode.BAD_LABEL_FILE, file, None, reason, image)
    return Labels(Boxes.of([], [], []), [problem], blank=False)
