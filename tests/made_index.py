"""An index made by hand: a real catalog with rows that a test wrote, over a real YOLO folder, no encoder."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from healtheat.core.atomic import sha256_file
from healtheat.core.boxes import ProblemCode
from healtheat.findings.places import Copies, leading, place_ids, units_of
from healtheat.index import FORMAT_VERSION, Index
from healtheat.index.catalog import CatalogWriter
from healtheat.index.manifest import FileEntry, Manifest, SourceEntry
from healtheat.index.tables import TABLES
from healtheat.index.verdicts.log import VerdictLog


def with_places(rows: list[dict[str, Any]], copies: Copies) -> list[dict[str, Any]]:
    """The rows with the places that the product makes of them."""
    columns = {
        name: [row[name] for row in rows]
        for name in ("box_id", "image_id", "class_id", "issue", "suggestion", "cx")
    }
    columns["score"] = [row["score"] or 0.0 for row in rows]
    units = units_of(columns)
    leaders = leading(columns, [at for at, row in enumerate(rows) if row["passed"]], units)
    ids, pairs = place_ids(columns, units, leaders, copies)
    first = set(leaders.values())
    twin = {at: columns["box_id"][other] for pair in pairs for at, other in (pair, pair[::-1])}
    return [
        {**row, "place_id": place, "flagged": at in first, "twin_box_id": twin.get(at, row["twin_box_id"])}
        for at, (row, place) in enumerate(zip(rows, ids, strict=True))
    ]


class MadeIndex(Index):
    """An index without vectors: all that `query` and the exports use is real."""

    def __init__(
        self,
        folder: Path,
        *,
        names: Mapping[int, str],
        root: Path,
        labels: Mapping[str, Sequence[str]],
        findings: Sequence[Mapping[str, Any]],
        problems: Sequence[tuple[str, int | None, str]] = (),
        unreadable: Sequence[str] = (),
        raw_labels: Mapping[str, bytes] | None = None,
        pixels: Mapping[str, bytes] | None = None,
        copies: Copies | None = None,
        held: Collection[tuple[str, int]] | None = None,
    ) -> None:
        """`labels`: image path → its label lines; writes them below `root` beside images of a few bytes.

        `raw_labels` are the bytes to write where they must not be the lines with line feeds, `pixels` those
        of image files that must be images.

        A finding has image, line, issue and score; every other column has a plain default. `flagged` says
        that it reached its threshold; of those of one box the strongest leads. With `held` (image path, line)
        it is a vetted batch, whose other boxes were accepted.
        """
        self.root = root
        self.label_files: dict[str, FileEntry] = {}
        folder.mkdir(parents=True, exist_ok=True)
        bad = {(file, line) for file, line, _ in problems}
        with CatalogWriter(folder / "catalog.duckdb") as catalog:
            for class_id, name in names.items():
                catalog.add("classes", class_id=class_id, name=name, batch_id=0)
            box_ids: dict[tuple[str, int], tuple[int, int]] = {}
            image_ids: dict[str, int] = {}
            for image_id, (path, lines) in enumerate(labels.items()):
                self._write_image(path, lines, (raw_labels or {}).get(path), (pixels or {}).get(path))
                image_ids[path] = image_id
                label = self.label_of(path)
                status = "unreadable" if path in unreadable else "labelled" if lines else "empty"
                split = path.split("/")[1] if path.startswith("images/") else ""
                digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
                catalog.add(
                    "images",
                    image_id=image_id,
                    path=path,
                    file=path,
                    split=split,
                    status=status,
                    label_path=label,
                    width_px=10,
                    height_px=10,
                    sha256=digest,
                    dhash=0,
                    group_key=path,
                    batch_id=0,
                )
                for number, line in enumerate(lines):
                    fields = line.split()
                    if (label, number) in bad:
                        continue
                    box_ids[path, number] = (len(box_ids), int(fields[0]))
                    cx, cy, w, h = (float(v) for v in fields[1:])
                    catalog.add(
                        "boxes",
                        box_id=len(box_ids) - 1,
                        image_id=image_id,
                        line=number,
                        class_id=int(fields[0]),
                        cx=cx,
                        cy=cy,
                        w=w,
                        h=h,
                        confidence=None,
                        corners=None,
                        crop_key=f"key{path}{number}",
                        dhash=0,
                        sharpness=1.0,
                        brightness=1.0,
                        contrast=1.0,
                    )
            for number, (file, line, reason) in enumerate(problems):
                code = ProblemCode.BAD_LABEL_FILE if line is None else ProblemCode.BAD_LINE
                catalog.add(
                    "problems",
                    problem_id=number,
                    code=code,
                    file=file,
                    line=line,
                    reason=reason,
                    image_id=None,
                    batch_id=0,
                )
            rows = []
            for number, given in enumerate(findings):
                box_id, class_id = box_ids.get(
                    (given["image"], given["line"]), (-1, given.get("class_id", -1))
                )
                kind = "box" if box_id >= 0 else "line" if given["line"] >= 0 else "image"
                row = {
                    **dict.fromkeys(TABLES["findings"]),
                    "kind": "place" if given["issue"] == "missing_box" else kind,
                    "twin_box_id": -1,
                    "run_id": 0,
                    "score": 0.5,
                    "signal": "made",
                    "reason": "made up",
                    "suggestion": -1,
                    "evidence": "{}",
                    "passed": given.get("flagged", True),
                    **given,
                    "finding_id": number,
                    "box_id": box_id,
                    "image_id": image_ids[given["image"]],
                    "class_id": class_id,
                }
                if "suspicion" not in given:
                    row["suspicion"] = row["score"]
                del row["image"]
                rows.append(row)
            for row in with_places(rows, copies or Copies()):
                catalog.add("findings", **row)
            for (path, number), (box_id, _) in box_ids.items() if held is not None else ():
                holds = (path, number) in (held or ())
                catalog.add(
                    "decisions",
                    box_id=box_id,
                    decision="hold" if holds else "accept",
                    score=0.75 if holds else 0.01,
                    p_value=0.001 if holds else 0.5,
                    held_for="class" if holds else None,
                    reason="made up",
                    suggestion=-1,
                )
            catalog.finish()
        source = SourceEntry(
            kind="yolo", edits="lines", root=root.as_posix(), data=(root / "data.yaml").as_posix()
        )
        manifest = Manifest.model_construct(
            format_version=FORMAT_VERSION, source=source, label_files=self.label_files, settings={}
        )
        super().__init__(folder, manifest, VerdictLog(folder))

    @staticmethod
    def label_of(path: str) -> str:
        return Path(path.replace("images/", "labels/", 1)).with_suffix(".txt").as_posix()

    def _write_image(self, path: str, lines: Sequence[str], raw: bytes | None, pixels: bytes | None) -> None:
        image, label = self.root / path, self.root / self.label_of(path)
        for file in (image, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(f"pixels of {path}".encode() if pixels is None else pixels)
        label.write_bytes("".join(f"{line}\n" for line in lines).encode() if raw is None else raw)
        self.label_files[self.label_of(path)] = FileEntry(
            sha256=sha256_file(label), size=label.stat().st_size
        )
