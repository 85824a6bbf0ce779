"""What people confirmed, as changes of label files: which line gets another class, and which one goes."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from healtheat.cleanup.check import Box, find_coco, parsed_box, same_box
from healtheat.cleanup.edits import box_line
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.paths import contained, is_folder, yolo_label_path
from healtheat.core.verdicts import CONFIRMS, Place
from healtheat.findings.filters import Filters, words
from healtheat.findings.query import query
from healtheat.index.verdicts.spots import SAME, overlap
from healtheat.sources.yolo.labels import MAX_LABEL_BYTES

if TYPE_CHECKING:
    from healtheat.index import Index
from healtheat.index.batches import batches_of

Finding = Mapping[str, Any]
CONFIRMING = CONFIRMS  # the verdicts that a patch holds
_SIDES = ("cx", "cy", "w", "h")


class Unwritten(StrEnum):
    """Why a verdict is not in the patch, for programs; `words` says it for people."""

    CHANGED = "changed"
    OUTSIDE = "outside"
    BATCH = "batch"
    LINKED = "linked"
    SHARED = "shared"
    CONTRADICTION = "contradiction"
    UNKNOWN_CLASS = "unknown_class"
    SAME_CLASS = "same_class"
    WHOLE_IMAGE = "whole_image"
    THERE = "there"
    OUTLINE = "outline"
    OTHER_TASK = "other_task"
    COCO = "coco"

    @property
    def words(self) -> str:
        """The reason, and what to do."""
        return _WORDS[self]


_WORDS = {
    Unwritten.CHANGED: "the line changed since the build; build the index again",
    Unwritten.OUTSIDE: "the label file lies outside the data set's folder, where no patch should reach",
    Unwritten.BATCH: "it came with a batch of other label files; build an index of those for a patch",
    Unwritten.LINKED: "the label file is reached by a link, which a patch cannot follow",
    Unwritten.SHARED: "two images have this label file, so a verdict on one would change the other",
    Unwritten.CONTRADICTION: "the verdicts on this box contradict each other; take one of them back",
    Unwritten.UNKNOWN_CLASS: "the data set has no class of the id that the box should get",
    Unwritten.SAME_CLASS: "the box has the class already",
    Unwritten.WHOLE_IMAGE: "it is about a whole image, which no patch of a label file takes out; "
    "`healtheat apply` does",
    Unwritten.THERE: "the labels hold such a box by now",
    Unwritten.OUTLINE: "it is an outline, not a box of four numbers; move it in the annotation tool",
    Unwritten.OTHER_TASK: "label files of this task hold no plain boxes; draw it in the annotation tool",
    Unwritten.COCO: "boxes are added to or moved in YOLO label files only; the hand-offs of `export` hold it",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a label file (of COCO: one entry of `annotations`), 0-based. `to` None: it goes.

    `class_id` is None for a line that is no box. `box` is where a moved box should be, `to` its class then.
    """

    line: int
    class_id: int | None
    to: int | None
    issue: str
    who: str
    box: Place | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A box that a person added, to go to the end of a label file of lines (of the task detect).

    `xywhn`: centre and size as shares of the image.
    """

    class_id: int
    xywhn: tuple[float, float, float, float]
    issue: str
    who: str

    def __str__(self) -> str:
        """The line: six digits, a thousandth of a pixel of the largest image.

        >>> str(Added(3, (0.5, 1 / 3, 0.25, 1e-6), "missing_box", "a"))
        '3 0.5 0.333333 0.25 0.000001'
        """
        return box_line(self.class_id, self.xywhn)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A verdict that is not in the patch."""

    image: str
    label_file: str
    line: int  # 0-based, -1 for none
    why: Unwritten

    def __str__(self) -> str:
        where = self.label_file or self.image
        return f"{where}:{self.line + 1}" if self.line >= 0 else where


@dataclass(frozen=True, slots=True)
class Changes:
    """Label files (relative to `root`) and what changes in each, by line; and the verdicts that are left.

    `by` says what a label file consists of; where `many`, each file has a patch of its own. `added` are boxes
    for files of lines; one that is not among `contents` is made. `emptied` are the label files of lines (of
    COCO: the images) that keep no box: their images would train as background.
    """

    root: Path
    by: Literal["lines", "annotations"]
    many: bool
    names: Mapping[int, str]
    files: Mapping[str, tuple[Change, ...]]
    left_alone: tuple[LeftAlone, ...]
    contents: Mapping[str, bytes] = field(repr=False)  # of the files, where they consist of lines
    added: Mapping[str, tuple[Added, ...]] = field(default_factory=dict)
    emptied: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for added boxes where label files do not consist of lines."""
        if self.added and self.by != "lines":
            raise ValueError("boxes can be added to label files of lines only")

    @property
    def new(self) -> int:
        """Boxes that are added."""
        return sum(map(len, self.added.values()))

    @property
    def relabelled(self) -> int:
        """Boxes that get another class."""
        every = (change for changes in self.files.values() for change in changes)
        return sum(change.to is not None and change.box is None for change in every)

    @property
    def moved(self) -> int:
        """Boxes that get another place."""
        return sum(change.box is not None for changes in self.files.values() for change in changes)

    @property
    def dropped(self) -> int:
        """Lines that go."""
        return sum(change.to is None for changes in self.files.values() for change in changes)


def gather_changes(index: Index, filters: Filters | None = None) -> Changes:
    """The changes that people confirmed, each compared with the label files as they are now.

    Filters narrow it, as for `query`. A line is only changed where it still holds the box that was judged;
    in a file that changed since the build it is found again where it stands there once. Raises InputError
    for an index without label files, or filters for what nobody confirmed.
    """
    source = index.manifest.source
    if source.edits == "none":
        raise InputError(f"an index built from {source.kind} has no label files that could be patched")
    index.check_source()
    confirmed = _confirmed(index, filters or Filters())
    wanted, left = _decided(index, [row for row in confirmed if row["verdict"] != "added"])
    root, data = Path(source.root), Path(source.data)
    if lines := source.edits == "lines":
        files, contents, more = _in_lines(index, root, wanted)
    else:
        contents = {}
        files, more = _in_annotations(data, root, wanted)
    added, new_contents, not_added = _added(index, root, [r for r in confirmed if r["verdict"] == "added"])
    return Changes(
        root=root,
        by=source.edits,
        many=source.edits == "annotations" and is_folder(data),
        names=dict(index.names),
        files={path: tuple(sorted(files[path], key=lambda change: change.line)) for path in sorted(files)},
        left_alone=(*left, *more, *not_added),
        contents={**contents, **new_contents},
        added=added,
        emptied=_empty_files(files, contents, added) if lines else _bare(index, wanted, more),
    )


def _added(
    index: Index, root: Path, rows: Sequence[Finding]
) -> tuple[dict[str, tuple[Added, ...]], dict[str, bytes], list[LeftAlone]]:
    """Boxes that people added, by label file; what those files hold now; and what is left alone."""
    found: defaultdict[str, list[Added]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    left: list[LeftAlone] = []
    users, foreign = _users(index), _foreign(index)
    lines, task = index.manifest.source.edits == "lines", index.manifest.settings.get("task")
    for row in rows:
        box = Added(row["relabel_to"], _to(row), row["issue"], row["decided_by"] or "")
        path = row["label_file"] or _new_label_file(row["image"])
        data, why = b"", _why_not_added(row, users, foreign, index.names, lines, task)
        if not why:
            data, why = _content(root, path, made=not row["label_file"])
        if not why and _is_there(box, data):
            why = Unwritten.THERE
        if why:
            left.append(_left(row, why))
        elif box not in found[path]:  # of two findings at one spot
            found[path].append(box)
            if row["label_file"]:
                contents[path] = data
    return {path: tuple(boxes) for path, boxes in sorted(found.items()) if boxes}, contents, left


def _why_not_added(
    row: Finding,
    users: Mapping[str, int],
    foreign: Collection[str],
    names: Mapping[int, str],
    lines: bool,
    task: object,
) -> Unwritten | None:
    if row["image"] in foreign:
        return Unwritten.BATCH
    if not lines:
        return Unwritten.COCO
    if row["relabel_to"] not in names:
        return Unwritten.UNKNOWN_CLASS
    if task not in (None, "detect"):
        return Unwritten.OTHER_TASK
    if row["label_file"] and users.get(row["label_file"], 0) > 1:
        return Unwritten.SHARED
    return None


def _new_label_file(image: str) -> str:
    """Where the label file of an image without one belongs, relative to the root as the image is."""
    return yolo_label_path(Path(image)).as_posix()


def _is_there(box: Added, data: bytes) -> bool:
    """Whether a label file holds a box of this class there, or about there."""
    found = (parsed_box(line) for line in data.splitlines())
    return any(
        one and one[0] == box.class_id and overlap(_as_place(one[1]), box.xywhn) >= SAME for one in found
    )


def _as_place(given: Sequence[float]) -> Place:
    cx, cy, w, h = given
    return cx, cy, w, h


def _to(row: Finding) -> Place:
    return _as_place([row[f"to_{side}"] for side in _SIDES])


def _empty_files(
    files: Mapping[str, Sequence[Change]], contents: Mapping[str, bytes], added: Collection[str]
) -> tuple[str, ...]:
    """Label files of which every line goes that is not blank, and none is added."""
    found = []
    for path, changes in files.items():
        if path in added:
            continue
        gone = {change.line for change in changes if change.to is None}
        left = (n for n, line in enumerate(contents[path].splitlines()) if line.strip() and n not in gone)
        if gone and next(left, None) is None:
            found.append(path)
    return tuple(sorted(found))


def _bare(index: Index, rows: Sequence[Finding], left: Sequence[LeftAlone]) -> tuple[str, ...]:
    """Images of which every box goes; `left` are those of `rows` that are not followed."""
    not_followed = {(one.image, one.line) for one in left}
    gone = Counter(
        row["image"]
        for row in rows
        if row["verdict"] == "drop" and (row["image"], row["line"]) not in not_followed
    )
    boxes = index.sql("select path, count(*) as n from boxes join images using (image_id) group by path")
    return tuple(sorted(row["path"] for row in boxes.to_pylist() if gone[row["path"]] == row["n"]))


def _confirmed(index: Index, filters: Filters) -> list[Finding]:
    for name, known in (("statuses", ("confirmed",)), ("verdicts", CONFIRMING)):
        if odd := set(words(getattr(filters, name))) - set(known):
            raise InputError(
                Argument({"statuses": "status", "verdicts": "verdict"}[name], min(odd)),
                f": a patch holds what people confirmed; {' and '.join(known)} can be asked for",
            )
    chosen = replace(filters, flagged_only=False, statuses=(), verdicts=filters.verdicts or CONFIRMING)
    rows: list[Finding] = query(index, chosen, sort="box").to_pylist()
    return rows


def _decided(index: Index, rows: Sequence[Finding]) -> tuple[list[Finding], list[LeftAlone]]:
    """One finding for each box or line that changes, and what is left for what was said."""
    found: defaultdict[tuple[str, int, int], list[Finding]] = defaultdict(list)
    left: list[LeftAlone] = []
    for row in rows:
        if row["line"] < 0 or not row["label_file"]:
            left.append(_left(row, Unwritten.WHOLE_IMAGE))
        else:
            found[row["image"] or "", row["box_id"], row["line"]].append(row)
    kept: list[Finding] = []
    users, foreign = _users(index), _foreign(index)
    outlines = set(index.sql("select box_id from boxes where corners is not null")["box_id"].to_pylist())
    for same in found.values():
        row = same[0]
        if row["image"] in foreign:
            left.append(_left(row, Unwritten.BATCH))
            continue
        if len({(other["relabel_to"], other["verdict"], *_wanted_place(other)) for other in same}) > 1:
            left.append(_left(row, Unwritten.CONTRADICTION))
        elif row["verdict"] == "moved" and index.manifest.source.edits != "lines":
            left.append(_left(row, Unwritten.COCO))
        elif row["verdict"] == "moved" and row["box_id"] in outlines:
            left.append(_left(row, Unwritten.OUTLINE))
        elif row["relabel_to"] is not None and row["relabel_to"] not in index.names:
            left.append(_left(row, Unwritten.UNKNOWN_CLASS))
        elif row["relabel_to"] is not None and row["relabel_to"] == row["class_id"]:
            left.append(_left(row, Unwritten.SAME_CLASS))
        elif users.get(row["label_file"], 0) > 1 and index.manifest.source.edits == "lines":
            left.append(_left(row, Unwritten.SHARED))
        else:
            kept.append(row)
    return kept, left


def _wanted_place(row: Finding) -> tuple[float | None, ...]:
    return tuple(row[f"to_{side}"] for side in _SIDES)


def _foreign(index: Index) -> set[str]:
    """Images of batches that cannot be patched with the rest: only YOLO label files on both sides can."""
    edits = index.manifest.source.edits
    others = [b.batch_id for b in batches_of(index) if not b.edits == edits == "lines"]
    rows = index.sql("SELECT path, batch_id FROM images WHERE batch_id > 0").to_pydict()
    return {path for path, batch in zip(rows["path"], rows["batch_id"], strict=True) if batch in others}


def _users(index: Index) -> dict[str, int]:
    rows = index.sql("select label_path, count(*) as n from images group by label_path").to_pydict()
    return dict(zip(rows["label_path"], rows["n"], strict=True))


def _in_lines(
    index: Index, root: Path, rows: Sequence[Finding]
) -> tuple[dict[str, list[Change]], dict[str, bytes], list[LeftAlone]]:
    by_file: defaultdict[str, list[Finding]] = defaultdict(list)
    for row in rows:
        by_file[row["label_file"]].append(row)
    files: dict[str, list[Change]] = {}
    contents: dict[str, bytes] = {}
    left: list[LeftAlone] = []
    for path, wanted in by_file.items():
        data, why = _content(root, path)
        if why:
            left += [_left(row, why) for row in wanted]
            continue
        known = index.manifest.every_label_file().get(path)
        same = known is not None and known.sha256 == hashlib.sha256(data).hexdigest()
        twice = set() if same else _twice(index, path)
        lines = data.splitlines()
        for row in wanted:
            at = _line_as_judged(row, lines) if same else _line_of_box(row, lines, twice)
            if at is None:
                left.append(_left(row, Unwritten.CHANGED))
            else:
                files.setdefault(path, []).append(_change(row, at))
                contents[path] = data
    return files, contents, left


def _content(root: Path, path: str, *, made: bool = False) -> tuple[bytes, Unwritten | None]:
    """The label file, or why no patch may touch it; `made`: there is none yet."""
    try:
        place = contained(path)
    except ValueError:
        return b"", Unwritten.OUTSIDE
    if (root / place).resolve() != root.resolve() / place:
        return b"", Unwritten.LINKED
    if made and not (root / place).exists():
        return b"", None
    try:
        return read_small(root / place, MAX_LABEL_BYTES).data, Unwritten.CHANGED if made else None
    except Unreadable:
        return b"", Unwritten.CHANGED


def _line_as_judged(row: Finding, lines: Sequence[bytes]) -> int | None:
    """The line of a finding in a file that is as it was; None where it is not what the index says."""
    line: int = row["line"]
    there = line < len(lines) and (row["box_id"] < 0 or same_box(lines[line], _box(row)))
    return line if there else None


def _line_of_box(row: Finding, lines: Sequence[bytes], twice: set[Box]) -> int | None:
    """Where the box is in a file that changed; None where that cannot be told for certain."""
    if row["box_id"] < 0 or _box(row) in twice:
        return None
    found = [n for n, text in enumerate(lines) if same_box(text, _box(row))]
    return found[0] if len(found) == 1 else None


def _twice(index: Index, path: str) -> set[Box]:
    """Boxes of which the label file held two: who took one away may have meant either."""
    rows = index.sql(
        "select b.class_id, b.cx, b.cy, b.w, b.h from boxes b join images i using (image_id) "
        "where i.label_path = ? group by all having count(*) > 1",
        [path],
    ).to_pylist()
    return {_box(row) for row in rows}


def _in_annotations(
    data: Path, root: Path, rows: Sequence[Finding]
) -> tuple[dict[str, list[Change]], list[LeftAlone]]:
    boxes = {
        (row["image"], row["line"]): (row["label_file"], _box(row)) for row in rows if row["box_id"] >= 0
    }
    found = find_coco(data, root, boxes) if boxes else {}
    files: defaultdict[str, list[Change]] = defaultdict(list)
    left: list[LeftAlone] = []
    for row in rows:
        file, at = found.get((row["image"], row["line"]), ("", []))
        if len(at) != 1:
            left.append(_left(row, Unwritten.CHANGED))
        else:
            files[file].append(_change(row, at[0]))
    return dict(files), left


def _box(row: Finding) -> Box:
    return row["class_id"], (row["cx"], row["cy"], row["w"], row["h"])


def _change(row: Finding, line: int) -> Change:
    class_id = row["class_id"] if row["box_id"] >= 0 else None
    box = _to(row) if row["verdict"] == "moved" else None
    to = row["relabel_to"] if box is None else class_id
    return Change(line, class_id, to, row["issue"], row["decided_by"] or "", box)


def _left(row: Finding, why: Unwritten) -> LeftAlone:
    return LeftAlone(row["image"] or "", row["label_file"] or "", row["line"], why)
