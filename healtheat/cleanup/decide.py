"""Which boxes and images a cleanup leaves out, which go out as advice, and which it leaves alone.

The rules, for cleaned labels and for lists to train on:

| | labels | training |
|---|---|---|
| a person wants the box dropped | its line goes | its line goes |
| a person wants another class, in place | stays, whatever else is said; goes out as advice | |
| a person wants another class, in a copy | its line goes, whatever was asked for; advice too | the same |
| flagged, nobody decided | its line goes, if that is asked for | its line goes |
| the other of two boxes that are flagged as each other's duplicate | stays | stays |
| flagged as a hint only (`HINTS`), and the issue is not named | stays | stays |
| a person added a box or moved one, in place | stays as it is; goes out as advice | |
| a person added a box or moved one, in a copy | the copy has it | the same |
| a finding about no line | the image goes where a person said so | the image goes |
| a line of a label file that two images share | stays | the image goes |
| the last box of an image, in place | its line goes, with a warning | |
| the last box of an image, in a copy | the image goes | the image goes |
| a line that is no box and that the trainer would take for one, in a copy | goes | goes, or its image |
| labels that the trainer takes for others, or refuses the split for, in a copy | the image goes | the same |
| else a line that is no box, an image or label file that cannot be used | stays | goes, or its image |

With `drop="images"` the whole image goes for a line. With `drop="mask"` the box is greyed out in a copy of
the image as well, and so is the place of a missing box where one is proposed, instead of losing the image.

A box goes once, however many findings speak against it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from healtheat.cleanup.rows import Goal, HeldBack, LeftOut, Place, PlacedBox, PlannedImage, Relabel
from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.drop import Drop
from healtheat.core.issues import HINTS
from healtheat.core.lines import listable
from healtheat.core.verdicts import CONFIRMS, PLACES
from healtheat.findings.filters import Filters, Findings
from healtheat.findings.query import query
from healtheat.index.verdicts.spots import SAME, overlap
from healtheat.sources.yolo.trainer import Ignored

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
_SIDES = ("cx", "cy", "w", "h")
WhyIgnored = Callable[[str, Collection[int]], Ignored | None]
# Of labels that the trainer does not read as they are read here, those that do not cost their image alone.
_TRAINED_WRONGLY = (ProblemCode.MISREAD_LABELS, ProblemCode.REFUSED_LABELS)


@dataclass(slots=True)
class Decisions:
    """What becomes of every image, and the rows that say so."""

    images: list[PlannedImage]
    left_out: list[LeftOut]
    relabels: list[Relabel]
    held_back: list[HeldBack]
    placed: list[PlacedBox]
    relabelled_out: int  # boxes that go because a person wants another class for them


def called_wrong(index: Findings, decided: pa.Table) -> pa.Table:
    """`decided`, and whatever else a person wants another class or place for, or drew: no filter lets
    anybody train without that.
    """
    return _joined(decided, _said(index, ("relabel", *PLACES)))


def _said(index: Findings, verdicts: Sequence[str]) -> pa.Table:
    """The findings with these verdicts, flagged or not."""
    return query(index, Filters(flagged_only=False, verdicts=tuple(verdicts)), sort="box")


def _joined(findings: pa.Table, more: pa.Table) -> pa.Table:
    """`findings`, and those of `more` that are not among them."""
    import pyarrow as pa

    known = set(findings["finding_id"].to_pylist())
    new = [finding not in known for finding in more["finding_id"].to_pylist()]
    return pa.concat_tables([findings, more.filter(pa.array(new, pa.bool_()))])


def asked_for(index: Findings, filters: Filters, *, flagged: bool) -> pa.Table:
    """The findings that cleaned labels act on: what people confirmed and, with `flagged`, what is flagged."""
    statuses = ("confirmed", "flagged") if flagged else ("confirmed",)
    return query(index, replace(filters, flagged_only=False, statuses=statuses), sort="box")


def deciding(index: Findings, filters: Filters) -> pa.Table:
    """The findings that lists to train on act on: those flagged and not called `ok` by a person, and those
    about which a person said what is wrong, flagged or not. The other filters apply to both.
    """
    if filters.verdicts or filters.statuses:
        return query(index, replace(filters, flagged_only=False), sort="box")
    flagged = query(index, replace(filters, flagged_only=True), sort="box")
    confirmed = replace(filters, flagged_only=False, verdicts=CONFIRMS)
    return _joined(flagged, query(index, confirmed, sort="box"))


class Facts:
    """What the rules need to know of an index.

    `named` are the issues that the user names, `changed` label files that changed since the build.
    """

    def __init__(
        self,
        index: Findings,
        *,
        named: Collection[str],
        changed: Collection[str],
        whole_images: bool,
        task: str | None = None,
    ) -> None:
        self.plain = task in (None, "detect")  # whether a line of five fields is a box like the others
        self.names = index.names
        self.hints = frozenset(HINTS) - frozenset(named)  # no reason to drop anything
        self.changed = frozenset(changed)
        self.whole_images = whole_images  # whether images can be left out: one label file each
        self.images = index.sql("select * from images order by image_id").to_pylist()
        self.ids = {image["path"]: image["image_id"] for image in self.images}
        self.boxes: defaultdict[int, dict[int, Place]] = defaultdict(dict)  # image id → line → place
        self.classes: defaultdict[int, dict[int, int]] = defaultdict(dict)  # image id → line → class id
        self.outlines: set[int] = set()  # boxes with corners of their own
        columns = "box_id, image_id, line, class_id, cx, cy, w, h, corners is not null as outline"
        for box in index.sql(f"select {columns} from boxes").to_pylist():
            self.boxes[box["image_id"]][box["line"]] = _place(box)
            self.classes[box["image_id"]][box["line"]] = box["class_id"]
            self.outlines |= {box["box_id"]} if box["outline"] else set()
        self.problems: defaultdict[str, list[Row]] = defaultdict(list)
        # One COCO file labels many images, and its bad annotations are not known by image.
        self.untrained: dict[int, Problem] = {}  # image id → why the trainer ignores it
        problems = "select code, file, line, reason, image_id from problems order by problem_id"
        for problem in index.sql(problems).to_pylist() if whole_images else ():
            told = Problem(ProblemCode(problem["code"]), problem["file"], problem["line"], problem["reason"])
            if told.is_untrained:
                self.untrained.setdefault(problem["image_id"], told)
            elif not told.is_note:
                self.problems[told.file].append(problem)
        labels = [image["label_path"] for image in self.images if image["label_path"]]
        self.users = Counter(labels if whole_images else ())
        self.relabelled = {box for box in _said(index, ["relabel"])["box_id"].to_pylist() if box >= 0}

    def bad_lines(self, label_path: str) -> dict[int, str]:
        """Lines of a label file that are no box of their own → why."""
        return {p["line"]: p["reason"] for p in self.problems[label_path] if p["line"] is not None}

    def unreadable_label(self, label_path: str) -> str:
        """Why no line of a label file can be read; "" where lines can."""
        whole = (p["reason"] for p in self.problems[label_path] if p["code"] == ProblemCode.BAD_LABEL_FILE)
        return next(whole, "")

    def file_problem(self, label_path: str) -> str:
        """Why a label file cannot be used as a whole; "" where it can."""
        whole = (p["reason"] for p in self.problems[label_path] if p["line"] is None)
        return next(whole, "")


def decide(
    facts: Facts,
    findings: Sequence[Row],
    *,
    goal: Goal,
    drop: Drop,
    copied: bool = False,
    why_ignored: WhyIgnored,
) -> Decisions:
    """Apply the rules above to `findings` (rows of `asked_for` or `deciding`); `copied`: for a copy.

    `why_ignored` says why the trainer does not take what is left of a label file without these lines.
    """
    sorting = _Sorting(facts, goal, drop, copied)
    # People first; then what is wrong with one box alone: of two boxes on one object the right one stays.
    for row in sorted(findings, key=lambda row: (row["status"] != "confirmed", _of_two(row))):
        if row["image"] is not None:  # a label file without an image is a problem, not a sample
            sorting.sort(row)
    out = Decisions([], [], sorting.relabels, [], [], len(sorting.gone & facts.relabelled))
    for image in facts.images:
        path = image["path"]
        lines = sorting.lines[path]
        late = [row for row, _ in sorting.held[path] if row["box_id"] in sorting.gone]  # gone for more
        rows = sorting.taken[path] + late
        bad = facts.bad_lines(image["label_path"])
        asked = goal == "labels" and copied and bool(lines or bad)
        left = why_ignored(image["label_path"], lines) if asked else None
        if goal == "labels" and not (copied and bad and left is None):
            bad = {}
        placed = sorting.placed_on(path, copied=copied or goal == "training")
        added = tuple((box.class_id, box.to) for box in placed if box.written and box.line < 0)
        why = _why_whole(facts, image, sorting, bad, goal, drop, copied=copied, stays=bool(added))
        if lines and left is not None and left.refused and not why:
            why = left.reason  # polygons went, and a box beside them is left
        bad = {} if why else bad
        placed = [replace(box, written=box.written and not why) for box in placed]
        out.placed += placed
        moved = tuple((box.line, box.to) for box in placed if box.written and box.line >= 0)
        grey, visible = _pixels(facts, image, sorting, bad) if drop == "mask" and not why else ((), ())
        out.images.append(
            PlannedImage(
                path=path,
                file=image["file"],
                split=image["split"],
                label_path=image["label_path"],
                sha256=image["sha256"] or "",
                lines_out=frozenset() if why else frozenset(lines | bad.keys()),
                left_out=why,
                grey=grey,
                visible=(*visible, *(place for _, place in (*added, *moved))) if visible or grey else (),
                added=() if why else added,
                moved=moved,
            )
        )
        out.left_out += [_left_out(same, whole=bool(why)) for same in _by_place(rows)]
        if why and not rows:
            out.left_out.append(_undecided(image, None, why))
        out.left_out += [_undecided(image, n, bad[n]) for n in sorted(bad.keys() - lines)]
        if not why:
            held = [(row, why) for row, why in sorting.held[path] if row["box_id"] not in sorting.gone]
            out.held_back += [_held(row, why) for row, why in held]
    return out


def _of_two(row: Row) -> bool:
    """Whether it is enough that one of two boxes goes. Of two exchanged ones both are wrong."""
    return bool(row["issue"] == "duplicate" and row["twin_box_id"] >= 0)


class _Sorting:
    """Findings one by one: lines to take out, findings about whole images, what is held back."""

    def __init__(self, facts: Facts, goal: Goal, drop: Drop, copied: bool) -> None:
        self._facts, self._goal, self._drop, self._copied = facts, goal, drop, copied
        self.gone: set[int] = set()  # boxes
        self.lines: defaultdict[str, set[int]] = defaultdict(set)
        self.spots: defaultdict[str, list[Place]] = defaultdict(list)  # of missing boxes, to grey out
        self.whole: defaultdict[str, list[str]] = defaultdict(list)  # issues for which the image goes
        self.taken: defaultdict[str, list[Row]] = defaultdict(list)
        self.held: defaultdict[str, list[tuple[Row, str]]] = defaultdict(list)
        self.relabels: list[Relabel] = []
        self.placed: defaultdict[str, list[tuple[int, PlacedBox]]] = defaultdict(list)  # with the box's id

    def sort(self, row: Row) -> None:
        image = row["image"]
        if row["verdict"] in PLACES:
            self._place(row)
            return
        if self._goal == "labels" and row["verdict"] == "relabel":
            self.relabels.append(_relabel(row, self._facts.names))
            if not self._copied:
                return
        is_line = row["box_id"] >= 0 or row["line"] in self._facts.bad_lines(row["label_file"] or "")
        spot = self._drop == "mask" and row["kind"] == "place" and row["cx"] is not None
        whole = self._drop == "images" or not (is_line or spot) or self._is_shared_and_wrong(row)
        if why := self._why_held(row, is_line, whole):
            self.held[image].append((row, why))
            return
        self.taken[image].append(row)
        if row["box_id"] >= 0:
            self.gone.add(row["box_id"])
        if whole:
            self.whole[image].append(row["issue"])
        elif spot:
            self.spots[image].append(_place(row))
        else:
            self.lines[image].add(row["line"])

    def _place(self, row: Row) -> None:
        box = _placed(row, self._facts.names)
        if why := self._why_not_placed(row, box):
            self.held[row["image"]].append((row, why))
        elif not any(
            _same_box(box, other) for _, other in self.placed[row["image"]]
        ):  # of two findings at one spot
            self.placed[row["image"]].append((row["box_id"], box))

    def _why_not_placed(self, row: Row, box: PlacedBox) -> str:
        facts, image = self._facts, self._facts.ids[row["image"]]
        if not facts.whole_images:
            return "boxes are added to or moved in YOLO label files only; the hand-offs of `export` hold them"
        if box.line >= 0 and row["box_id"] in facts.outlines:
            return "an outline is moved in the annotation tool only"
        if box.line < 0 and not facts.plain:
            return "label files of this task hold no plain boxes; draw it in the annotation tool"
        if facts.users[box.label_file] > 1:
            return "another image has the same label file"
        if facts.unreadable_label(box.label_file):
            return "its label file cannot be read"
        same = [
            place for line, place in facts.boxes[image].items() if facts.classes[image][line] == box.class_id
        ]
        if box.line < 0 and any(overlap(box.to, place) >= SAME for place in same):
            return "the labels hold such a box already"
        return ""

    def placed_on(self, image: str, *, copied: bool) -> list[PlacedBox]:
        """The boxes that a person wants on an image, but for those that go; `copied`: they are written."""
        return [replace(box, written=copied) for box_id, box in self.placed[image] if box_id not in self.gone]

    def _is_shared_and_wrong(self, row: Row) -> bool:
        """Whether a person wants another class, on one image of two that have the label file."""
        wrong = row["box_id"] in self._facts.relabelled and self._goal == "labels"
        return wrong and self._facts.users[row["label_file"]] > 1

    def _why_held(self, row: Row, is_line: bool, whole: bool) -> str:
        box, labels = row["box_id"], self._goal == "labels"
        if row["status"] != "confirmed" and row["issue"] in self._facts.hints:
            return f"{row['issue']} is a hint, no reason to drop unless its issue is asked for"
        if labels and not self._copied and box >= 0 and box in self._facts.relabelled:
            return "a person wants another class for this box: fix the label instead"
        if labels and not is_line and whole and row["status"] != "confirmed":
            return "a whole image is taken out only where a person said so"
        if labels and whole and not self._facts.whole_images:
            return "whole images are taken out of YOLO data sets only"
        one_goes = (
            _of_two(row) and row["twin_box_id"] in self.gone and not (whole and self.whole[row["image"]])
        )
        if row["status"] != "confirmed" and one_goes and box not in self.gone:
            return "its twin is taken out already"
        if labels and is_line and not whole and self._facts.users[row["label_file"]] > 1:
            return "another image has the same label file"
        return ""


def _no_box_left(own: Collection[int], gone: Collection[int]) -> str:
    """Why an image goes once the lines `gone` go and `own` hold its boxes; "" where it stays.

    What was in the last box is still on the image, and a detector would learn that it is background. So
    nothing that is written to be trained on keeps such an image; one whose label file was empty before stays.
    """
    return "no box is left" if gone and all(line in gone for line in own) else ""


def _why_whole(
    facts: Facts,
    image: Row,
    sorting: _Sorting,
    bad: Mapping[int, str],
    goal: Goal,
    drop: Drop,
    *,
    copied: bool = False,
    stays: bool = False,
) -> str:
    """Why an image goes as a whole; "" where it stays. `bad` are the lines that are no box and go. `stays`: a
    person added a box, so that one is left whatever goes.
    """
    path, label = image["path"], image["label_path"]
    lines, issues = sorting.lines[path], ", ".join(dict.fromkeys(sorting.whole[path]))
    own = facts.boxes[image["image_id"]].keys()
    if goal == "labels":
        if issues or not (copied and facts.whole_images):
            return issues
        untrained = facts.untrained.get(image["image_id"])
        if untrained and untrained.code in _TRAINED_WRONGLY:
            return untrained.reason
        return "" if stays else _no_box_left(own, lines | bad.keys())
    if image["status"] == "unreadable":
        return "the image cannot be read"
    if untrained := facts.untrained.get(image["image_id"]):
        return untrained.reason
    if label in facts.changed:
        return "its label file changed since the build"
    if not listable(path):
        return "its name cannot stand in a list, one path per line"
    if label and (problem := facts.file_problem(label)):
        return f"label file: {problem}"
    if issues:
        return issues
    if drop == "images" and bad:
        return f"label line {min(bad) + 1}: {bad[min(bad)]}"
    if not stays and (
        why := _no_box_left(own, lines | bad.keys())
    ):  # one of bad lines alone says nothing about its image
        return why
    if (lines or bad) and facts.users[label] > 1:
        return "another image has the same label file"
    return ""


def _pixels(
    facts: Facts, image: Row, sorting: _Sorting, bad: Collection[int]
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Places to grey out in an image, and the boxes that stay visible. A bad line has no place."""
    boxes, out = facts.boxes[image["image_id"]], sorting.lines[image["path"]]
    grey = [place for line, place in sorted(boxes.items()) if line in out] + sorting.spots[image["path"]]
    if not grey:
        return (), ()
    return tuple(grey), tuple(place for line, place in sorted(boxes.items()) if line not in out)


def _by_place(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one image by the box or line they are about, the leading one first; others stand alone."""
    places: defaultdict[tuple[int, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        alone = row["finding_id"] if row["box_id"] < 0 and row["line"] < 0 else -1
        places[row["box_id"], row["line"], alone].append(row)
    return [sorted(same, key=_lead) for same in places.values()]


def _lead(row: Row) -> tuple[bool, bool, bool, float, int]:
    score = 0.0 if row["score"] is None else row["score"]
    hint = row["issue"] in HINTS
    return row["status"] != "confirmed", hint, not row["flagged"], -score, row["finding_id"]


def _place(row: Row) -> Place:
    return row["cx"], row["cy"], row["w"], row["h"]


def _left_out(rows: Sequence[Row], *, whole: bool) -> LeftOut:
    """The row of one place, by its findings."""
    row = rows[0]
    also = {other["issue"] for other in rows[1:]} - {row["issue"]}
    same = ("image", "line", "class_id", "class_name", "issue", "score", "status", "decided_by", "decided_at")
    return LeftOut(
        **{name: row[name] for name in same},
        label_file=row["label_file"] or "",
        left_out="image" if whole else "box" if row["line"] >= 0 else "place",
        also=", ".join(sorted(also)),
        why=row["reason"],
    )


def _undecided(image: Row, line: int | None, why: str) -> LeftOut:
    """A row that no finding decided."""
    return LeftOut(
        image=image["path"],
        line=line,
        class_id=None,
        class_name=None,
        label_file=image["label_path"],
        left_out="image" if line is None else "box",
        issue="",
        also="",
        score=None,
        status=None,
        decided_by=None,
        decided_at=None,
        why=why,
    )


def _relabel(row: Row, names: Mapping[int, str]) -> Relabel:
    same = ("image", "line", "class_id", "class_name", "relabel_to", "cx", "cy", "w", "h", "issue")
    return Relabel(
        **{name: row[name] for name in (*same, "decided_by", "decided_at")},
        relabel_name=names.get(row["relabel_to"]),
        label_file=row["label_file"] or "",
    )


def _placed(row: Row, names: Mapping[int, str]) -> PlacedBox:
    class_id = row["class_id"] if row["relabel_to"] is None else row["relabel_to"]
    same = ("image", "verdict", "issue", "decided_by", "decided_at", *(f"to_{side}" for side in _SIDES))
    known: dict[str, Any] = {side: row[side] if row["box_id"] >= 0 else None for side in _SIDES}
    return PlacedBox(
        **{name: row[name] for name in same},
        **known,
        line=row["line"],
        class_id=class_id,
        class_name=names.get(class_id),
        label_file=row["label_file"] or "",
        written=False,
    )


def _same_box(one: PlacedBox, other: PlacedBox) -> bool:
    return (one.line, one.class_id, one.to) == (other.line, other.class_id, other.to)


def _held(row: Row, why: str) -> HeldBack:
    return HeldBack(row["image"], row["line"], row["class_id"], row["label_file"] or "", row["issue"], why)
