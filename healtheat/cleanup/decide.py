"""Which boxes and photos a cleanup takes out, which ones go out as advice, and which it leaves alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from healtheat.findings.query import Catalog, Filters, query

Drop = Literal["boxes", "photos"]


@dataclass(frozen=True, slots=True)
class Removal:
    """One line of removed.csv: a box's line or a whole photo, for one finding. `line` is 0-based."""

    image: str
    line: int | None
    class_id: int | None
    class_name: str | None
    label_file: str
    removed: Literal["line", "photo"]
    issue: str
    score: float | None
    status: str  # confirmed by a person, or only flagged
    decided_by: str | None
    decided_at: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Relabel:
    """One line of relabel.csv: a class a person wants for a box. The label file keeps `class_id`."""

    image: str
    line: int | None
    class_id: int | None
    class_name: str | None
    relabel_to: int
    relabel_name: str | None
    label_file: str
    cx: float | None
    cy: float | None
    w: float | None
    h: float | None
    issue: str
    decided_by: str | None
    decided_at: str | None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One line of held_back.csv: what the verdicts or flags would take out, and why it stays."""

    image: str
    line: int | None
    class_id: int | None
    label_file: str
    issue: str
    why: str


@dataclass(slots=True)
class Decisions:
    """`lines`: image → 0-based lines to take out; `photos`: images to take out whole."""

    lines: dict[str, set[int]]
    photos: set[str]
    removals: list[Removal]
    relabels: list[Relabel]
    held_back: list[HeldBack]


def decide(index: Catalog, filters: Filters, *, flagged: bool, drop: Drop, yolo: bool = True) -> Decisions:
    """What is to be done, from verdicts (and, with `flagged`, from flags nobody decided on).

    Held back are: boxes that somebody wants dropped and somebody else relabelled; one of two boxes that are
    flagged as each other's duplicate; photos that are only flagged; lines of a label file that two photos
    share.
    """
    wanted: tuple[str, ...] = ("confirmed", "flagged") if flagged else ("confirmed",)
    rows = query(index, replace(filters, flagged_only=False, statuses=wanted), sort="box").to_pylist()
    everything = Filters(flagged_only=False, verdicts=("relabel",))
    relabelled = {r["box_id"] for r in query(index, everything, sort="box").to_pylist() if r["box_id"] >= 0}
    # One COCO file labels many photos, and its bad annotations are not told apart by photo.
    bad_lines = _bad_lines(index) if yolo else set()
    files = index.sql("select label_path from images where label_path <> ''") if yolo else None
    shared = Counter([] if files is None else files["label_path"].to_pylist())
    out = Decisions({}, set(), [], [], [])
    gone: set[int] = set()  # boxes
    lines: defaultdict[str, set[int]] = defaultdict(set)
    for row in sorted(rows, key=lambda row: row["status"] != "confirmed"):  # people first
        if row["verdict"] == "relabel":
            out.relabels.append(_relabel(row, index.names))
            continue
        if row["image"] is None:
            continue  # a label file without a photo: a problem, not a sample
        is_line = row["box_id"] >= 0 or (row["label_file"], row["line"]) in bad_lines
        whole = not is_line or drop == "photos"
        why = _why_not(row, relabelled, gone, is_line, whole, shared)
        if why:
            out.held_back.append(_held(row, why))
            continue
        if is_line:
            gone.add(row["box_id"])
        if whole:
            out.photos.add(row["image"])
        else:
            lines[row["image"]].add(row["line"])
        out.removals.append(_removal(row, whole))
    out.lines = {image: found for image, found in lines.items() if image not in out.photos}
    return out


def _why_not(
    row: Mapping[str, Any],
    relabelled: set[int],
    gone: set[int],
    is_line: bool,
    whole: bool,
    shared: Mapping[str, int],
) -> str:
    if row["box_id"] >= 0 and row["box_id"] in relabelled:
        return "a person wants another class for this box: mend the label instead"
    if row["status"] != "confirmed":
        if not is_line:
            return "a whole photo is taken out only where a person said so"
        if row["twin_box_id"] in gone and row["box_id"] not in gone:
            return "its twin is taken out already"
    if not whole and shared[row["label_file"]] > 1:
        return "another photo has the same label file"
    return ""


def _bad_lines(index: Catalog) -> set[tuple[str, int]]:
    rows = index.sql("select file, line from problems where line is not null").to_pylist()
    return {(row["file"], row["line"]) for row in rows}


def _removal(row: Mapping[str, Any], whole: bool) -> Removal:
    same = ("image", "line", "class_id", "class_name", "issue", "score", "status", "decided_by", "decided_at")
    return Removal(
        **{name: row[name] for name in same},
        label_file=row["label_file"] or "",
        removed="photo" if whole else "line",
        why=row["reason"],
    )


def _relabel(row: Mapping[str, Any], names: Mapping[int, str]) -> Relabel:
    same = ("image", "line", "class_id", "class_name", "relabel_to", "cx", "cy", "w", "h", "issue")
    return Relabel(
        **{name: row[name] for name in (*same, "decided_by", "decided_at")},
        relabel_name=names.get(row["relabel_to"]),
        label_file=row["label_file"] or "",
    )


def _held(row: Mapping[str, Any], why: str) -> HeldBack:
    return HeldBack(row["image"], row["line"], row["class_id"], row["label_file"] or "", row["issue"], why)
