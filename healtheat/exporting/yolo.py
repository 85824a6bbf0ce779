"""YOLO cleanup: what to leave out of training, planned first, without touching a file.

A photo is either kept (listed for training) or left out, with the reason. Class ids, label lines and
source files stay as they are; docs/cleanup.md says what each mode is good for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from healtheat.core.errors import InputError
from healtheat.findings.query import Catalog, Filters, query
from healtheat.index import Index
from healtheat.index.target import Places

if TYPE_CHECKING:
    import pyarrow as pa

Drop = Literal["images", "boxes"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One line of the list of what was left out and why. `line` and `class_id` are None for a whole photo."""

    image: str
    line: int | None
    class_id: int | None
    issue: str  # "" where no finding decided it
    score: float | None
    left_out: Literal["image", "box"]
    why: str


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo. `file` and `label_file` are absolute; `drop_lines` are the 0-based lines to remove."""

    path: str
    file: Path
    sha256: str
    split: str
    label_path: str
    label_file: Path
    drop_lines: frozenset[int] = frozenset()
    left_out: str = ""  # why it stands in no list; "" = it does


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """What a cleanup would do. `decided_by` are the findings behind it, as `query` lists them."""

    drop: Drop
    photos: list[Photo]
    left_out: list[LeftOut]
    boxes: Mapping[int, tuple[int, int]]  # class id → (boxes kept, boxes in all)
    names: Mapping[int, str]
    decided_by: pa.Table
    label_sha256: Mapping[str, str]
    places: Places  # where it must not be written

    @property
    def kept(self) -> list[Photo]:
        """The photos that are listed for training."""
        return [photo for photo in self.photos if not photo.left_out]

    def by_split(self) -> dict[str, tuple[int, int]]:
        """Split → (photos kept, photos in all)."""
        total = Counter(photo.split for photo in self.photos)
        kept = Counter(photo.split for photo in self.kept)
        return {split: (kept[split], n) for split, n in total.items()}


def deciding(index: Catalog, filters: Filters) -> pa.Table:
    """The findings that a cleanup acts on: those flagged and not called `ok` by a person, and those that a
    person wants dropped or relabelled, flagged or not. The other filters apply to both.
    """
    import pyarrow as pa

    flagged = query(index, replace(filters, flagged_only=True), sort="box")
    if filters.verdicts or filters.statuses:
        return query(index, replace(filters, flagged_only=False), sort="box")
    confirmed = replace(filters, flagged_only=False, verdicts=("drop", "relabel"))
    extra = query(index, confirmed, sort="box")
    new = [not row for row in extra["flagged"].to_pylist()]
    return pa.concat_tables([flagged, extra.filter(pa.array(new, pa.bool_()))])


def plan_cleanup(
    index: Index, decided_by: pa.Table, *, drop: Drop = "images", force: bool = False
) -> CleanupPlan:
    """Plan a cleanup from findings (`deciding`); nothing is written.

    `drop="images"` leaves out every photo with a finding. `drop="boxes"` removes the lines of the findings
    from a copy of the label file and leaves the photo out where that cannot help: a finding about no line (a
    missing box), or no line left. Photos that cannot be read, and bad label lines, are left out likewise.

    Raises InputError if the index was not built from YOLO files, or if label files changed since the build;
    with `force` the photos of changed files are left out instead.
    """
    source = index.manifest.source
    if source.kind != "yolo":
        raise InputError(
            f"a YOLO cleanup needs an index of YOLO label files, this one was built from {source.kind}; "
            "use another --format"
        )
    changed = frozenset(index.changed_label_files())
    if changed and not force:
        first, more = min(changed), f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(
            f"{first}{more} changed since the build, so lines may have moved; build again, or add --force "
            "to leave the photos of changed files out"
        )
    images = index.sql("select * from images order by image_id").to_pylist()
    boxes = _rows(index, "select image_id, line, class_id from boxes order by box_id")
    problems = index.sql("select file, line, reason from problems order by problem_id").to_pylist()
    judge = _Judge(drop, changed, images, boxes, problems, decided_by.to_pylist())
    photos, left_out = [], []
    for image in images:
        root = Path(source.root)
        lines, why, rows = judge(image)
        photos.append(
            Photo(
                path=image["path"],
                file=root / image["file"],
                sha256=image["sha256"] or "",
                split=image["split"],
                label_path=image["label_path"],
                label_file=root / image["label_path"],
                drop_lines=frozenset() if why else lines,
                left_out=why,
            )
        )
        left_out += rows
    total = Counter(class_id for _, _, class_id in boxes)
    of = {image["image_id"]: photo for image, photo in zip(images, photos, strict=True)}
    kept = Counter(
        class_id
        for image_id, line, class_id in boxes
        if not of[image_id].left_out and line not in of[image_id].drop_lines
    )
    return CleanupPlan(
        drop=drop,
        photos=photos,
        left_out=left_out,
        boxes={class_id: (kept[class_id], n) for class_id, n in sorted(total.items())},
        names=dict(index.names),
        decided_by=decided_by,
        label_sha256={path: entry.sha256 for path, entry in index.manifest.label_files.items()},
        places=Places.of(index),
    )


def _rows(index: Catalog, query: str) -> list[tuple[Any, ...]]:
    return [*zip(*index.sql(query).to_pydict().values(), strict=True)]


def listable(path: str) -> bool:
    """Whether `path` survives in a text file with one path a line, read as Ultralytics reads it."""
    return len(path.splitlines()) == 1 and path == path.strip()


class _Judge:
    """Decides one photo at a time: lines to remove, why the photo is left out (or ""), rows for the list."""

    def __init__(
        self,
        drop: Drop,
        changed: frozenset[str],
        images: Sequence[Mapping[str, Any]],
        boxes: Sequence[tuple[int, int, int]],
        problems: Sequence[Mapping[str, Any]],
        findings: Sequence[Mapping[str, Any]],
    ) -> None:
        self.drop = drop
        self.changed = changed
        self.lines: defaultdict[int, set[int]] = defaultdict(set)
        for image_id, line, _ in boxes:
            self.lines[image_id].add(line)
        self.problems: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for problem in problems:
            self.problems[problem["file"]].append(problem)
        self.findings: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for finding in findings:
            self.findings[finding["image"]].append(finding)
        self.users = Counter(image["label_path"] for image in images if image["label_path"])

    def __call__(self, image: Mapping[str, Any]) -> tuple[frozenset[int], str, list[LeftOut]]:
        path, label = image["path"], image["label_path"]
        findings, problems = self.findings[path], self.problems[label] if label else []
        own = self.lines[image["image_id"]]
        bad = {p["line"]: p["reason"] for p in problems if p["line"] is not None}
        lines = {f["line"] for f in findings if f["line"] in own or f["line"] in bad}
        whole = [f for f in findings if f["line"] not in lines]
        why = ""
        if image["status"] == "unreadable":
            why = "the photo cannot be read"
        elif label in self.changed:
            why = "its label file changed since the build"
        elif not listable(path):
            why = "its name cannot stand in a list, one path a line"
        elif file_problem := next((p["reason"] for p in problems if p["line"] is None), ""):
            why = f"label file: {file_problem}"
        elif self.drop == "images" and (findings or bad):
            issues = dict.fromkeys(f["issue"] for f in findings)
            why = ", ".join(issues) or f"label line {min(bad) + 1}: {bad[min(bad)]}"
        elif self.drop == "boxes" and whole:
            why = ", ".join(dict.fromkeys(f["issue"] for f in whole))
        elif self.drop == "boxes" and own and own <= lines:
            why = "no box is left"
        elif self.drop == "boxes" and (lines or bad) and self.users[label] > 1:
            why = "another photo has the same label file"
        rows = [
            LeftOut(
                path, f["line"], f["class_id"], f["issue"], f["score"], "image" if why else "box", f["reason"]
            )
            for f in findings
        ]
        if why and not findings:
            rows.append(LeftOut(path, None, None, "", None, "image", why))
        elif not why:
            rest = sorted((n, reason) for n, reason in bad.items() if n not in lines)
            rows += [LeftOut(path, n, None, "", None, "box", reason) for n, reason in rest]
        return frozenset(lines | set(bad)), why, rows
